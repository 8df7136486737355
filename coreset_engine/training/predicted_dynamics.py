"""Difficulty of images from a model's own predictions, in the place of a proxy's training.

Predictions are one snapshot of one model: what needs several epochs (forgetting, Dyn-Unc, TDDS) is
not known and NaN.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dynamics


def predicted_dynamics(
    probabilities: np.ndarray, logits: np.ndarray | None, labels: np.ndarray
) -> Dynamics:
    """Scores of each image against its label, from one snapshot.

    Parameters
    ----------
    probabilities : (N, C) float
        NaN rows = no prediction; such images get the median of the others.
    logits : (N, C) float or None
        Used for the margin where known.
    labels : (N,) int64 in [0, C)
        The labels that the margin is taken for; -1 = the predicted class.

    Returns
    -------
    Dynamics
        aum: z_y - max_{c != y} z_c (Pleiss et al. 2020, eq. 1, one epoch); el2n and grand: ||p -
        onehot(y)||; entropy: -sum p log p; loss: -log p_y; forgetting, dyn_unc, tdds, dual: NaN.

    Raises
    ------
    BadInput
        When no image has a prediction.
    """
    p = np.asarray(probabilities, np.float64)
    known = ~np.isnan(p[:, 0])
    if not known.any():
        raise BadInput("no image has a prediction; give predictions of this source.")
    at = np.arange(len(p))
    filled = np.where(known[:, None], p, 1 / p.shape[1])
    own = np.where(np.asarray(labels) >= 0, labels, filled.argmax(axis=1))
    outputs = filled if logits is None else np.where(known[:, None], logits, 0.0)
    scores = dict(
        aum=_margin(outputs, own),
        el2n=np.sqrt(((filled - np.eye(p.shape[1])[own]) ** 2).sum(axis=1)),
        entropy=-(filled * np.log(np.maximum(filled, 1e-12))).sum(axis=1),
        loss=-np.log(np.maximum(filled[at, own], 1e-12)),
    )
    scores = {name: _median_where(values, ~known) for name, values in scores.items()}
    unknown = np.full(len(p), np.nan, np.float32)
    return Dynamics(
        **scores,
        grand=scores["el2n"],
        forgetting=unknown,
        dyn_unc=unknown,
        tdds=unknown,
        dual=unknown,
        mean_probability=filled[at, own].astype(np.float32),
        margins=np.clip(scores["aum"], -65_000, 65_000)[:, None].astype(np.float16),
        info=dict(source="predictions", epochs=1, without_prediction=int((~known).sum())),
    )


def _margin(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    at = np.arange(len(outputs))
    others = outputs.copy()
    others[at, labels] = -np.inf
    return outputs[at, labels] - others.max(axis=1)


def _median_where(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    filled = np.where(unknown, np.median(values[~unknown]), values)
    return filled.astype(np.float32)
