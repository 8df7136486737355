"""Vectors as the methods compare them: float32, on request of unit length, on principal axes.

On their principal axes distances stay the same, but a loop over axes can stop early: once the first
few already put two images too far apart, the other thousand need not be read. With `dims` set, only
the leading axes are kept: 60,000 x 128 numbers are 30 MB, where 60,000 x 1,280 are 300.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Artefacts

METRICS = ("euclidean", "cosine")
_BLOCK = 4096
_SAMPLE = 20_000
_LARGE = 5_000  # images from which rows are kept
_MOST_KEPT = 2
_MOST_BYTES = 64 * 2**20
_KEPT: OrderedDict[tuple[Any, ...], tuple[Any, np.ndarray]] = OrderedDict()
_KEPT_LOCK = threading.Lock()


def comparable(inputs: Artefacts, metric: str, dims: int = 0) -> np.ndarray:
    """Rows whose Euclidean distances are those of the metric, on principal axes.

    Parameters
    ----------
    inputs : Artefacts
    metric : "euclidean" or "cosine"
        Cosine scales rows to length 1; half the squared distance is then the cosine distance.
    dims : int
        Leading axes that are kept; 0 = all D.

    Returns
    -------
    (N, d) float32

    Raises
    ------
    BadInput
        Vectors that are not finite.
    """
    return on_principal_axes(inputs, metric, dims)[0]


def comparable_again(inputs: Artefacts, metric: str, dims: int = 0) -> np.ndarray:
    """`comparable`, kept for the next call on the same images: to be read, never changed.

    For methods that start anew for every number of images, in an app that changes the number. Of
    the last two large inputs; a view of a run says what it shows (`source`).
    """
    source = getattr(inputs, "source", None) if hasattr(type(inputs), "source") else None
    if source is None or len(source[1]) < _LARGE:
        return comparable(inputs, metric, dims)
    vectors, positions = source
    shown = hashlib.blake2b(np.ascontiguousarray(positions).tobytes(), digest_size=16).digest()
    key = (id(vectors), shown, metric, dims)
    with _KEPT_LOCK:
        alive, rows = _KEPT.get(key, (None, None))
    if rows is not None and alive is not None and alive() is vectors:
        return rows
    rows = comparable(inputs, metric, dims)
    if rows.nbytes <= _MOST_BYTES:
        with _KEPT_LOCK:
            _KEPT[key] = (weakref.ref(vectors), rows)
            while len(_KEPT) > _MOST_KEPT:
                _KEPT.popitem(last=False)
    return rows


def on_principal_axes(
    inputs: Artefacts, metric: str, dims: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(rows as `comparable`, origin (d,) float32): rows + origin keeps inner products."""
    vectors = np.asarray(inputs.vectors)
    width = vectors.shape[1]
    keep = width if dims <= 0 else min(dims, width)
    mean, axes = _principal_axes(vectors, metric, keep)
    out = np.empty((len(vectors), keep), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        out[start : start + _BLOCK] = (
            _block(vectors[start : start + _BLOCK], metric) - mean
        ) @ axes
    return out, (mean @ axes)[0]


def on_own_axes(inputs: Artefacts, metric: str) -> np.ndarray:
    """(N, D) float32 rows on the vectors' own axes; of unit length for "cosine"."""
    vectors = np.asarray(inputs.vectors)
    out = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _BLOCK):
        out[start : start + _BLOCK] = _block(vectors[start : start + _BLOCK], metric)
    return out


def _block(part: np.ndarray, metric: str) -> np.ndarray:
    part = np.asarray(part, np.float32)
    if not np.isfinite(part).all():
        raise BadInput("a vector holds NaN or infinity; embed these images again or drop them.")
    if metric == "euclidean":
        return part
    unit: np.ndarray = part / np.maximum(
        np.linalg.norm(part, axis=1, keepdims=True), np.float32(1e-12)
    )
    return unit


def _principal_axes(vectors: np.ndarray, metric: str, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """(1, D) mean and (D, keep) axes of the first 20,000 rows, under `by_key` a random sample."""
    width = vectors.shape[1]
    total = np.zeros(width)
    square = np.zeros((width, width))
    n = min(len(vectors), _SAMPLE)
    for start in range(0, n, _BLOCK):
        part = _block(vectors[start : min(start + _BLOCK, n)], metric)
        total += part.sum(axis=0, dtype=np.float64)
        square += part.T @ part
    mean = total / n
    _, axes = np.linalg.eigh(square / n - np.outer(mean, mean))
    return mean[None].astype(np.float32), np.ascontiguousarray(axes[:, ::-1][:, :keep], np.float32)
