"""Random numbers keyed by image id: a seed draws the same images in any input order.

Each id is hashed with the seed (a 64-bit multiply-xor-shift mixer), so a draw needs no generator
state, is nested (the first k of the order are a uniform sample for every k) and stays as it was
when other images come or go.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.core.hashing import mix
from coreset_engine.core.limits import limits

_STEP = np.uint64(0x9E3779B97F4A7C15)


def image_keys(ids: np.ndarray, seed: int) -> np.ndarray:
    """(N,) uint64, uniform, a pure function of (id, seed)."""
    keys = np.empty(len(ids), np.uint64)
    for start in range(
        0, len(ids), limits().ids_per_chunk
    ):  # the letters of 50 million ids at once would be gigabytes
        keys[start : start + limits().ids_per_chunk] = _keys(
            ids[start : start + limits().ids_per_chunk], seed
        )
    return keys


def _keys(ids: np.ndarray, seed: int) -> np.ndarray:
    text = np.ascontiguousarray(np.asarray(ids).astype(str))
    letters = text.view(np.uint32).reshape(len(text), -1)
    with np.errstate(over="ignore"):
        keys = mix(np.full(len(text), np.uint64(int(seed) % 2**64) + _STEP, np.uint64))
        for column in letters.T:
            # Zeros only pad a short id to the width of the longest; skipping them keeps its key
            # independent of others.
            keys = np.where(
                column > 0, mix(keys + _STEP * (column.astype(np.uint64) + np.uint64(1))), keys
            )
    return keys


def random_order(ids: np.ndarray, seed: int) -> np.ndarray:
    """(N,) int64: a uniform permutation; ids with equal keys (never seen) keep their order."""
    return np.argsort(image_keys(ids, seed), kind="stable").astype(np.int64)


def best_first(score: np.ndarray, ids: np.ndarray, seed: int) -> np.ndarray:
    """Order images by score, highest first, equal ones by their keys.

    Parameters
    ----------
    score : (N,) float
        Without NaN.
    ids : (N,) str
    seed : int
        Of the keys: another seed orders equal scores otherwise.

    Returns
    -------
    (N,) int64
        Positions; the same images whatever the order of the rows.
    """
    return np.lexsort((image_keys(ids, seed), -np.asarray(score))).astype(np.int64)
