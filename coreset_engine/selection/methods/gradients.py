"""Methods on gradients of a linear proxy: BADGE, CRAIG, GradMatch, Glister.

CRAIG and GradMatch compare all pairs within a class, as their papers do; a class of many images is
split at random into parts that fit, each of which gives its share. That is the one deviation both
have here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.canonical_order import (
    NONE_PRESELECTED,
    by_key,
    filled,
    relative_weights,
)
from coreset_engine.selection.kernels.kmeans_partition import proportional
from coreset_engine.selection.kernels.linear_proxy import (
    Gradients,
    inputs_of,
    proxy_gradients,
    softmax,
)
from coreset_engine.selection.methods.baselines import LABELS, labels_of, rank_scores

CRAIG_PART = 4000
OMP_PART = 1000
PROXY_LABELS = "labels that the linear proxy is trained on"


@dataclass(frozen=True)
class BadgeConfig:
    """Ash et al. 2020."""

    labels: str = knob("pseudo", PROXY_LABELS, choices=LABELS)


@dataclass(frozen=True)
class CraigConfig:
    """Mirzasoleiman et al. 2020."""

    labels: str = knob("pseudo", PROXY_LABELS, choices=LABELS)


@dataclass(frozen=True)
class GradmatchConfig:
    """Killamsetty et al. 2021: lambda 0.5 in their experiments; the survey's program takes 1."""

    labels: str = knob("pseudo", PROXY_LABELS, choices=LABELS)
    ridge: float = knob(0.5, "lambda: penalty on large weights", low=0.0, high=100.0)
    ridge_scale: str = knob(
        "relative",
        "lambda as it is (paper), or times the mean squared gradient, so that it means the same "
        "for "
        "a proxy of any scale",
        choices=("relative", "absolute"),
    )
    weights: str = knob(
        "nnls",
        "last step: weights by non-negative least squares (released programs), or the ridge "
        "solution with negative weights set to 0",
        choices=("nnls", "clipped"),
    )


@dataclass(frozen=True)
class GlisterConfig:
    """Killamsetty et al. 2021: greedy rounds with a step of the model between them."""

    labels: str = knob("pseudo", PROXY_LABELS, choices=LABELS)
    rounds: int = knob(200, "greedy rounds, with a model step after each", low=1, high=1000)
    step: float = knob(1.0, "learning rate of the step", low=0.001, high=100.0)


@by_key
def badge(
    inputs: Artefacts,
    k: int,
    config: BadgeConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """k-means++ draws on gradients taken against the proxy's own prediction.

    The first is the longest gradient; each next is drawn by its squared distance to the nearest
    drawn one.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, pseudo-labels are read.
    config : BadgeConfig
        Which labels the linear proxy is trained on.

    References
    ----------
    Ash et al. 2020, algorithm 1.
    """
    from coreset_engine.selection.kernels import gradient_matching

    gradients = proxy_gradients(inputs, config.labels, own_prediction=True)
    n = len(gradients.error)
    coins = np.random.default_rng(np.random.SeedSequence([seed % 2**63, n])).random(min(k, n))
    length = np.einsum("nd,nd->n", gradients.rows, gradients.rows)
    order = gradient_matching.kmeanspp_draws(
        gradients.error, gradients.rows, length, preselected, coins
    )
    return Ranking(
        filled(order, n, k),
        rank_scores(order, n),
        info={"reason": "uncertain for a linear proxy, with a gradient unlike the others"},
    )


@by_key
def craig(
    inputs: Artefacts,
    k: int,
    config: CraigConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Facility location on gradient distances within each class.

    Weights are how many images each stands for, scaled to mean 1 over the kept.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, pseudo-labels are read.
    config : CraigConfig
        Which labels the linear proxy is trained on.

    Returns
    -------
    Ranking
        For this k alone; weights >= 0 of mean 1 over the kept.

    References
    ----------
    Mirzasoleiman et al. 2020, algorithm 1.
    """
    from coreset_engine.selection.kernels import gradient_matching

    gradients = proxy_gradients(inputs, config.labels)
    square = gradients.square

    def choose(part: np.ndarray, count: int, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        far = np.maximum(square[part, None] + square[part] - 2 * gradients.products(part, part), 0)
        np.sqrt(far, out=far)
        return gradient_matching.facility_dense(far.max() - far, first, count)

    return _by_part(
        gradients,
        k,
        CRAIG_PART,
        preselected,
        choose,
        "its gradient represents many others of its class",
    )


@by_key
def gradmatch(
    inputs: Artefacts,
    k: int,
    config: GradmatchConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Orthogonal matching pursuit of the sum of a class's gradients, weights >= 0.

    Ends early where the kept ones match; what is then short of k is drawn at random, as in the
    authors' program.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, pseudo-labels are read.
    config : GradmatchConfig
        Labels of the proxy, ridge lambda >= 0 and its scale, how weights are settled.

    Returns
    -------
    Ranking
        For this k alone; weights >= 0 of mean 1 over the kept.

    References
    ----------
    Killamsetty et al. 2021 (GradMatch), algorithm 2 with the ridge lambda of eq. 5.
    """
    from coreset_engine.selection.kernels.gradient_matching import matching_pursuit

    gradients = proxy_gradients(inputs, config.labels)

    def choose(part: np.ndarray, count: int, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gram = gradients.products(part, part).astype(np.float64)
        goal = gram.sum(axis=1)
        ridge = config.ridge
        if config.ridge_scale == "relative":
            ridge *= float(np.trace(gram)) / len(part)
        order, weights = matching_pursuit(gram, goal, ridge, first, count)
        if config.weights == "nnls":
            weights = non_negative(gram[np.ix_(order, order)], goal[order], ridge)
        return order, weights

    reason = "weighted, their gradients add up to those of their class"
    return _by_part(gradients, k, OMP_PART, preselected, choose, reason)


def non_negative(gram: np.ndarray, goal: np.ndarray, ridge: float) -> np.ndarray:
    """(m,) float64 w >= 0 that minimises w^T (G + ridge I) w / 2 - goal^T w.

    Non-negative least squares on the Cholesky factor, so that it is the ridge problem itself; the
    released programs pass the normal equations to their solver.
    """
    from scipy.optimize import nnls

    m = len(gram)
    if m == 0:
        return np.zeros(0)
    shift = max(ridge, 1e-9 * float(np.trace(gram)) / m + 1e-300)
    factor = np.linalg.cholesky(gram + shift * np.eye(m))
    return np.asarray(nnls(factor.T, np.linalg.solve(factor, goal), maxiter=30 * m)[0])


@by_key
def glister(
    inputs: Artefacts,
    k: int,
    config: GlisterConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Gain of an image = inner product of its gradient with that of the validation loss.

    After each of `rounds` batches the proxy takes a step on what is kept. The model starts at 0;
    the whole set under its labels is the validation set, as the paper allows without noise.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, pseudo-labels are read.
    config : GlisterConfig
        Labels of the proxy, greedy rounds >= 1, learning rate > 0.

    References
    ----------
    Killamsetty et al. 2021 (GLISTER), algorithm 2, first-order gain.
    """
    names, labels = np.unique(labels_of(inputs, config.labels), return_inverse=True)
    rows = inputs_of(inputs)
    n = len(labels)
    target = np.zeros((n, len(names)), np.float32)
    target[np.arange(n), labels] = 1
    weights = np.zeros((rows.shape[1], len(names)), np.float32)
    order = np.asarray(preselected, np.int64)
    k = min(k, n)
    for turn in range(config.rounds):
        error = softmax(rows @ weights) - target
        if len(order):
            weights -= np.float32(config.step) * (rows[order].T @ error[order]) / len(order)
            error = softmax(rows @ weights) - target
        gain = np.einsum("nc,nc->n", error, rows @ (rows.T @ error / n))
        gain[order] = -np.inf
        wanted = max(0, -(-(k - len(order)) // (config.rounds - turn)))
        order = np.concatenate([order, np.argsort(-gain, kind="stable")[:wanted]])
    return Ranking(
        filled(order, n, k),
        rank_scores(order, n),
        nested=False,
        info={"reason": "a gradient step on it lowers the loss on the whole set most"},
    )


def _by_part(
    gradients: Gradients,
    k: int,
    limit: int,
    preselected: np.ndarray,
    choose: Callable[..., tuple[Any, ...]],
    reason: str,
) -> Ranking:
    """Let every part of every class choose its share, and weave the parts' orders into one."""
    n = len(gradients.labels)
    parts = class_parts(gradients.labels, limit)
    is_preselected = np.zeros(n, bool)
    is_preselected[preselected] = True
    turn = np.full(n, np.inf)
    counts = np.zeros(n)
    for part, count in zip(parts, proportional(np.array([len(part) for part in parts]), min(k, n))):
        first = np.flatnonzero(is_preselected[part])
        if max(count, len(first)):
            order, weight = choose(part, int(max(count, len(first))), first)
            turn[part[order]] = (np.arange(len(order)) + 0.5) / max(count, len(first))
            counts[part[order]] = weight
    turn[preselected] = -1
    chosen = np.argsort(turn, kind="stable")[: np.isfinite(turn).sum()]
    return Ranking(
        filled(chosen, n, k),
        rank_scores(chosen, n),
        nested=False,
        weights=relative_weights(counts, chosen[:k]),
        info={"reason": reason},
    )


def class_parts(labels: np.ndarray, limit: int) -> list[np.ndarray]:
    """Positions of each class, in parts of equal size (within one), none above `limit`."""
    out: list[np.ndarray] = []
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        out += np.array_split(members, -(-len(members) // limit))
    return out
