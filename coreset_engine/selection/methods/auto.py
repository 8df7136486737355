"""`auto`: the recommended method, by a measured rule on the share that is kept, with its reason.

Measured with a linear probe on up to 128 principal components, paired over seeds, on Fashion-MNIST
(60,000 and 12,000 images), on a long-tailed version of it and on digits. Up to a quarter kept,
k-means medoids beat random most often and by most: they cover the set and avoid outliers. Above it
ProbCover does: what it leaves out is close to an image that is kept. Facility location and BADGE
gain more in places and lose to random in others. Not every margin is larger than its standard
error; `benchmarks/auto_rule.py` measures the rule on the full vectors.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.methods.geometric import KMedoidsConfig, kmedoids
from coreset_engine.selection.methods.graphs import ProbcoverConfig, probcover


@dataclass(frozen=True)
class AutoConfig:
    """Where the rule changes over."""

    switch: float = knob(
        0.25,
        "share of the set kept above which ProbCover takes over from k-means medoids",
        low=0.0,
        high=1.0,
        step=0.01,
    )


def auto(
    inputs: Artefacts,
    k: int,
    config: AutoConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """k-means medoids while k <= switch N, ProbCover above. info: `recommended`, the method taken,
    and the reason."""
    n = len(inputs.dataset)
    share = f"{k:,} of {n:,} images ({100 * k / n:.3g} %)"
    if k <= config.switch * n:
        name = "kmedoids"
        found = kmedoids(inputs, k, KMedoidsConfig(), seed, preselected=preselected)
        why = f"k-means medoids, since {share} are few: the middles of {k:,} groups cover the set without outliers"
    else:
        name = "probcover"
        found = probcover(inputs, k, ProbcoverConfig(), seed, preselected=preselected)
        why = f"ProbCover, since {share} are many: it leaves out images that lie close to one that is kept"
    return dataclasses.replace(
        found, nested=False, info={**found.info, "recommended": name, "reason": why}
    )
