"""`auto`: the method for whoever has no opinion. A rule by how much is kept, measured, with its reason in words.

Measured (benchmarks/auto_rule.py prints the table): few images are best spent on the middles of groups, which spread
over the set and avoid outliers; many images are best spent where a linear proxy is unsure, since by then every group
is present under any method. The switch lies where both gain the same over random.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from coreset_engine.knobs import knob
from coreset_engine.selection.geometric import KMedoidsConfig, kmedoids
from coreset_engine.selection.gradients import BadgeConfig, badge
from coreset_engine.types import Artefacts, Ranking

SWITCH = 0.15  # share kept above which gradients beat medoids


@dataclass(frozen=True)
class AutoConfig:
    """Where the rule changes over."""

    switch: float = knob(SWITCH, "share of the set kept above which BADGE takes over from k-means medoids", low=0.0,
                         high=1.0, step=0.01)


def auto(inputs: Artefacts, k: int, config: AutoConfig, seed: int, *, given: np.ndarray | None = None) -> Ranking:
    """k-means medoids while k <= switch N, BADGE above. info: `recommended`, the method taken, and the reason."""
    n = len(inputs.dataset)
    share = f"{k:,} of {n:,} images ({100 * k / n:.3g} %)"
    if k <= config.switch * n:
        name, found = "kmedoids", kmedoids(inputs, k, KMedoidsConfig(), seed, given=given)
        why = f"k-means medoids, since {share} are few: the middles of {k:,} groups cover the set without outliers"
    else:
        name, found = "badge", badge(inputs, k, BadgeConfig(), seed, given=given)
        why = (f"BADGE, since {share} are enough to have every kind of image anyway: the rest goes to images a linear "
               "proxy is unsure of, each in its own way")
    return dataclasses.replace(found, nested=False, info={**found.info, "recommended": name, "reason": why})
