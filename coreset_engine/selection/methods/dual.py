"""DUAL: difficulty and uncertainty of the first epochs (Cho et al. 2025, arXiv 2502.06905).

Sampled by a Beta density that moves to easier images the more is pruned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.types import Artefacts, Dynamics, Ranking
from coreset_engine.selection.keyed_random import best_first, image_keys
from coreset_engine.selection.methods.baselines import LABELS, rank_scores

CONCENTRATION = 15.0  # C: the Beta density has parameters that sum to C + 1
HARDEST = 10  # images of highest score whose mean probability anchors the density


@dataclass(frozen=True)
class DualConfig:
    """Cho et al. 2025."""

    labels: str = knob("pseudo", "labels of the training dynamics", choices=LABELS)
    sampling: str = knob(
        "beta",
        "beta: drawn by score times a density over the mean probability that depends on the "
        "pruning "
        "rate; top: the highest scores",
        choices=("beta", "top"),
    )
    c: float = knob(
        4.0,
        "c_D: larger values move the density to easy images later (the program's example for "
        "CIFAR-100: 4)",
        low=0.1,
        high=100.0,
        step=0.1,
    )


def dual(
    inputs: Artefacts,
    k: int,
    config: DualConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Mean over windows of the first T epochs of s (1 - m), then ratio-adaptive sampling.

    s and m are the standard deviation and the mean of the label's probability in a window. Image i
    is drawn without replacement with weight score_i Beta(m_i; a, b), m_i its mean probability over
    the T epochs, r = 1 - k / N the pruning rate, b = 15 (1 - m_D) (1 - r^c) and a = 16 - b, m_D the
    mean m_i of the ten highest scores. T and J are settings of the dynamics (30 and 10).

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : DualConfig
        Labels of the dynamics, "beta" or "top" sampling, and c > 0 (c_D of the paper).

    Returns
    -------
    Ranking
        For this k alone; scores: the DUAL score where sampling is "top".

    References
    ----------
    Cho et al. 2025, the DUAL score and Beta sampling; constants and anchor as in the released
    program.
    """
    dynamics = inputs.dynamics_at(labels=config.labels)
    score, probability = _recorded(dynamics)
    ids = inputs.dataset.ids
    if config.sampling == "top":
        reason = "hard and uncertain in the first epochs"
        order = best_first(score, ids, seed)
        return Ranking(order, score, nested=False, info={"reason": reason})
    anchor = float(probability[best_first(score, ids, seed)[:HARDEST]].mean())
    a, b = beta_parameters(anchor, 1 - k / len(score), config.c)
    order = drawn(log_weights(score, probability, a, b), image_keys(ids, seed))
    reason = f"hard and uncertain in the first epochs, drawn around Beta({a:.1f}, {b:.2f})"
    info = {"reason": reason, "a": a, "b": b}
    return Ranking(order, rank_scores(order, len(order)), nested=False, info=info)


def _recorded(dynamics: Dynamics) -> tuple[np.ndarray, np.ndarray]:
    if dynamics.info.get("source") == "predictions":
        raise BadInput(
            "dual needs training over several epochs, and predictions are a single snapshot; "
            "choose "
            "a method on aum, el2n or entropy, or leave --predictions out."
        )
    if dynamics.dual is None or dynamics.mean_probability is None:
        raise Missing("these dynamics lack DUAL's score; `score` computes them again.")
    return np.asarray(dynamics.dual, np.float64), np.asarray(dynamics.mean_probability, np.float64)


def beta_parameters(anchor: float, prune_rate: float, c: float) -> tuple[float, float]:
    """(a, b) of the Beta density at a pruning rate in [0, 1); anchor: m_D in [0, 1]."""
    b = CONCENTRATION * (1 - anchor) * (1 - prune_rate**c)
    return CONCENTRATION + 1 - b, b


def log_weights(score: np.ndarray, probability: np.ndarray, a: float, b: float) -> np.ndarray:
    """Logarithm of the weight score Beta(probability; a, b), up to a constant.

    Parameters
    ----------
    score : (N,) float64
        DUAL's score; an image whose score is 0 weighs nothing and comes last.
    probability : (N,) float64
        Mean probability of the label, held 1e-6 off 0 and 1, where the density is 0 or infinite.
    a, b : float
        Of the Beta density, as `beta_parameters` gives them.

    Returns
    -------
    (N,) float64
        -inf for a score of 0.
    """
    held = np.clip(probability, 1e-6, 1 - 1e-6)
    density = (a - 1) * np.log(held) + (b - 1) * np.log1p(-held)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(score, 0)) + density)


def drawn(log_weight: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(N,) int64: one draw after the other without replacement, in proportion to the weights.

    log w_i plus Gumbel noise, largest first, draws as successive sampling does (Yellott 1977). The
    noise belongs to the image's key, so the order of the rows has no part in it.
    """
    u = (keys.astype(np.float64) + 0.5) / 2.0**64
    noise = -np.log(-np.log(np.clip(u, 1e-300, 1 - 1e-16)))
    return np.lexsort((keys, -(log_weight + noise))).astype(np.int64)
