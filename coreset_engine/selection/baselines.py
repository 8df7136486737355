"""Baselines: what every other method must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.types import Artefacts, Ranking


@dataclass(frozen=True)
class RandomConfig:
    """Random has no knobs but the seed."""


def random(inputs: Artefacts, k: int, config: RandomConfig, seed: int, *, given: np.ndarray | None = None) -> Ranking:
    """Uniform without replacement: one seeded permutation of all N images; every prefix is a uniform sample."""
    order = np.random.default_rng(seed).permutation(len(inputs.dataset)).astype(np.int64)
    scores = np.empty(len(order), np.float64)
    scores[order] = -np.arange(len(order), dtype=np.float64)
    return Ranking(order, scores)
