"""Probabilities of a linear probe on images it was not trained on (out of fold)."""

from __future__ import annotations

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.evaluation.linear import Linear, fit_linear
from coreset_engine.training.loop import TrainingSet
from coreset_engine.training.ridge import folds_of

FOLDS = 5
# Principal directions that the probe sees, so that a fold takes seconds instead of a minute; fewer
# where few images are labelled, since each counts alike after standardising: with 256 directions
# and 300 labels the probe learnt noise, and half of the right labels were suspected.
DIMENSIONS = 256
IMAGES_PER_DIMENSION = 10


def out_of_fold(
    inputs: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    keys: np.ndarray,
    *,
    n_folds: int = FOLDS,
    progress: Progress = silent,
) -> np.ndarray:
    """Probabilities for every image by a model that was trained on the other folds.

    Parameters
    ----------
    inputs : (n, D) float
    labels : (n,) int in [0, n_classes)
    n_classes : int
    keys : (n,) uint64
        See `training.ridge.folds_of`.
    progress : Progress
        Unit "folds".

    Returns
    -------
    (n, n_classes) float32, rows sum to 1.

    Raises
    ------
    BadInput
        With fewer images than folds.
    """
    if len(labels) < n_folds:
        raise BadInput(
            f"{len(labels)} labelled images are fewer than the {n_folds} parts of a "
            f"cross-validation; label at least {n_folds}."
        )
    rows = principal(inputs, dimensions_for(len(labels)))
    fold = folds_of(labels, keys, n_folds)
    predicted = np.empty((len(labels), n_classes), np.float32)
    for number in range(n_folds):
        held = fold == number
        model = fit_linear(TrainingSet(rows[~held], labels[~held]), n_classes)
        predicted[held] = probabilities(model, rows[held])
        progress(number + 1, n_folds, "folds")
    return predicted


def dimensions_for(n_labels: int) -> int:
    """Principal directions for so many labelled images."""
    return min(DIMENSIONS, max(2, n_labels // IMAGES_PER_DIMENSION))


def principal(inputs: np.ndarray, dimensions: int = DIMENSIONS) -> np.ndarray:
    """(n, min(D, dimensions)) float32 leading principal components of unit-length inputs.

    No label enters, so that held-out folds may take part.
    """
    rows = np.array(inputs, np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    rows -= rows.mean(axis=0)
    if rows.shape[1] <= dimensions:
        return rows
    some = rows[:: max(1, len(rows) // 10_000)]
    _, axes = np.linalg.eigh(some.T @ some)
    return rows @ axes[:, ::-1][:, :dimensions]


def probabilities(model: Linear, inputs: np.ndarray) -> np.ndarray:
    """(M, C) float32 softmax of a fitted model's outputs for (M, D) inputs."""
    import torch

    rows = torch.from_numpy(np.array(inputs, np.float32))
    rows = (rows - model.mean.cpu()) * model.scale.cpu()
    weights = model.weights.cpu()
    return torch.softmax(rows @ weights[:-1] + weights[-1], dim=1).numpy()
