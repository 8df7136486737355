"""Surrogate tasks: classifications of the images made from their vectors alone.

ELFS chooses beta by the accuracy of pseudo-labels at the number of classes (ELFS 3.4). The forecast
generalises this: k-means labels at several numbers of clusters, finer than the classes are likely
to be, are used instead of labels that do not exist yet. No true label is read here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.forecasting.config import ForecastConfig

_SAMPLE = 5_000  # rows that components and centres are learnt from
_ROUNDS = 30
_BLOCK = 8192
FEWEST = 20  # images below which nothing is forecast


@dataclass(frozen=True, eq=False)
class Features:
    """Vectors as the forecast sees them.

    Attributes
    ----------
    inputs : ndarray, (N, d) float32
        Leading principal components of the standardised vectors: what the judge is trained on.
    directions : ndarray, (N, d) float32
        Unit vectors on their own leading axes, not centred, so that their inner products are
        cosines up to the axes left out: what is clustered, and what methods rank by.
    """

    inputs: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True, eq=False)
class SurrogateTasks:
    """Labels of the surrogate tasks.

    Attributes
    ----------
    labels : ndarray, (T, N) int64
        Label of each image in each task, in [0, n_classes[t]).
    n_classes : tuple of int, length T
        Clusters that hold at least one image.
    """

    labels: np.ndarray
    n_classes: tuple[int, ...]


def make_features(
    vectors: np.ndarray, config: ForecastConfig, order: np.ndarray | None = None
) -> Features:
    """Reduce vectors to principal components, once standardised and once at unit length.

    Parameters
    ----------
    vectors : (N, D) float, finite, any scale
    config
        `n_components` bounds d; d is at most min(N - 1, D).
    order : (N,) int64, optional
        A permutation of the rows: components are learnt from the first of it. A random one that
        belongs to the ids makes the features independent of how the source is listed.

    Raises
    ------
    BadInput
        Vectors that are not finite.
    """
    count = min(config.n_components, vectors.shape[1], max(1, len(vectors) - 1))
    sample = np.asarray(vectors[_sample(len(vectors), order)], np.float32)
    if not np.isfinite(sample).all():
        raise BadInput("a vector holds NaN or infinity; embed these images again or drop them.")
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = sample.std(axis=0, dtype=np.float64).astype(np.float32)
    scale = 1 / np.maximum(deviation, max(1e-6 * float(deviation.max()), 1e-30))
    standard = scale[:, None] * _leading_axes((sample - mean) * scale, count)
    directions = _leading_axes(_unit(sample), count)
    axes = np.concatenate([standard, directions], axis=1)
    offset = mean @ directions
    inputs = np.empty((len(vectors), count), np.float32)
    turned = np.empty((len(vectors), count), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        part = np.asarray(vectors[start : start + _BLOCK], np.float32)
        along = (part - mean) @ axes
        inputs[start : start + _BLOCK] = along[:, :count]
        turned[start : start + _BLOCK] = (along[:, count:] + offset) / _length(part)
    return Features(inputs, turned)


def make_tasks(
    features: Features, config: ForecastConfig, seed: int = 0, order: np.ndarray | None = None
) -> SurrogateTasks:
    """Cluster the images at `coarsest`, twice, four times ... as many clusters.

    A task whose clusters would hold fewer than four images on average is left out, all but the
    first.

    Parameters
    ----------
    features
        (N, d) unit directions, from `make_features`.
    config
        `coarsest`, clusters of the first task, and `n_tasks`.
    seed
        Of k-means.
    order
        (N,) int64, a permutation; centres are learnt from its first rows. None = source order.
    """
    tasks: list[np.ndarray] = []
    for step in range(config.n_tasks):
        n_clusters = config.coarsest * 2**step
        if tasks and 4 * n_clusters > len(features.directions):
            break
        n_clusters = min(n_clusters, max(2, len(features.directions) // 2))
        tasks.append(_cluster(features.directions, n_clusters, seed, order))
    return SurrogateTasks(np.stack(tasks), tuple(int(labels.max()) + 1 for labels in tasks))


def _sample(n: int, order: np.ndarray | None) -> np.ndarray:
    return np.arange(min(n, _SAMPLE)) if order is None else order[:_SAMPLE]


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / _length(rows)
    return unit


def _length(rows: np.ndarray) -> np.ndarray:
    """(N, 1) Euclidean length of each row, > 0."""
    squares = np.einsum("ij,ij->i", rows, rows)[:, None]
    return np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))


def _leading_axes(rows: np.ndarray, count: int) -> np.ndarray:
    """(D, count) float32 eigenvectors of rows' rows with the largest eigenvalues."""
    from scipy.linalg import eigh

    square = (rows.T @ rows).astype(np.float64)
    width = len(square)
    _, axes = eigh(square, subset_by_index=(width - count, width - 1))
    return np.ascontiguousarray(axes[:, ::-1], np.float32)


def _cluster(rows: np.ndarray, n_clusters: int, seed: int, order: np.ndarray | None) -> np.ndarray:
    """(N,) int64 labels without gaps."""
    from sklearn.cluster import KMeans

    model = KMeans(n_clusters, n_init=1, max_iter=_ROUNDS, random_state=seed)
    model.fit(rows[_sample(len(rows), order)])
    return np.unique(model.predict(rows), return_inverse=True)[1].astype(np.int64)
