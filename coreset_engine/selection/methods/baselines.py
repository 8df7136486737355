"""Baselines: what every other method must beat. Uniform, and uniform within every class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.keyed_random import image_keys, random_order

LABELS = ("pseudo", "true")


@dataclass(frozen=True)
class RandomConfig:
    """Random has no setting but the seed."""


@dataclass(frozen=True)
class BalancedConfig:
    """Which labels are balanced."""

    labels: str = knob(
        "pseudo", "labels to balance: pseudo-labels, or the source's own", choices=LABELS
    )


def random(
    inputs: Artefacts,
    k: int,
    config: RandomConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Uniform without replacement: every prefix of the order is a uniform sample.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; ids alone are read.
    config : RandomConfig
        No setting.

    Returns
    -------
    Ranking
        Nested; scores: minus the place in the order.
    """
    order = random_order(inputs.dataset.ids, seed)
    return Ranking(order, rank_scores(order, len(order)))


def class_balanced(
    inputs: Artefacts,
    k: int,
    config: BalancedConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """One random image of every class in turn; a class that is used up drops out.

    Images of `preselected` count towards their class.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels are read.
    config : BalancedConfig
        Which labels: "pseudo" or "true".

    Returns
    -------
    Ranking
        Nested; scores: minus the place in the order.
    """
    labels = labels_of(inputs, config.labels)
    keys = image_keys(inputs.dataset.ids, seed)
    rank = rank_within_class(labels, keys, preselected)
    order = np.lexsort((keys, rank)).astype(np.int64)
    return Ranking(order, rank_scores(order, len(order)))


def labels_of(inputs: Artefacts, which: str) -> np.ndarray:
    """(N,) int64 labels, "pseudo" or "true"; raises Missing when the source has no true labels."""
    return np.asarray(inputs.labels if which == "true" else inputs.pseudo_labels.labels)


def rank_within_class(
    labels: np.ndarray, keys: np.ndarray, preselected: np.ndarray | None = None
) -> np.ndarray:
    """Rank each image within its class.

    Parameters
    ----------
    labels : (N,) int
    keys : (N,) sortable
        Smallest first.
    preselected : (P,) int64, optional
        Positions that come before all others of their class.

    Returns
    -------
    (N,) int64, from 0 in each class.
    """
    later = np.ones(len(labels), np.int8)
    if preselected is not None:
        later[preselected] = 0
    order = np.lexsort((keys, later, labels))
    sorted_labels = labels[order]
    starts = np.r_[0, np.flatnonzero(sorted_labels[1:] != sorted_labels[:-1]) + 1]
    sizes = np.diff(np.r_[starts, len(labels)])
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return rank


def rank_scores(order: np.ndarray, n: int) -> np.ndarray:
    """(n,) float64: minus the rank in `order`; -inf for images it does not hold."""
    scores = np.full(n, -np.inf)
    scores[order] = -np.arange(len(order), dtype=np.float64)
    return scores
