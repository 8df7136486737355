"""Hashes of images: keys and digests that depend on an image alone, not on its row.

A method that breaks ties or draws by such keys gives the same result for any order of the rows.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)
_WORDS = 2**16  # hashed at a time: what stays in the cache


def mix(x: np.ndarray) -> np.ndarray:
    """Spread every input bit over all output bits: (N,) uint64 -> (N,) uint64 (splitmix64)."""
    x = x.astype(np.uint64)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


def uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """(N,) float64 in [0, 1), a pure function of each key (uint64) and the seed."""
    with np.errstate(over="ignore"):
        salt = mix(np.array([int(seed) % 2**64], np.uint64) + _STEP)
        return (mix(keys ^ salt) >> np.uint64(11)) * 2.0**-53


def row_keys(rows: np.ndarray) -> np.ndarray:
    """Key of each row from its values; rows that are equal have equal keys.

    Parameters
    ----------
    rows : (N, D) float16, float32 or float64
        Read once, in blocks of rows.

    Returns
    -------
    (N,) uint64
    """
    width = rows.shape[1] * max(1, rows.dtype.itemsize // 4)
    odd = mix(np.arange(width, dtype=np.uint64) + _STEP) | np.uint64(1)
    factor = odd.astype(np.uint32)
    keys = np.empty(len(rows), np.uint64)
    step = max(1, _WORDS // width)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows), step):
            words = _words(rows[start : start + step]) * factor
            words ^= words >> np.uint32(15)
            # Not `@`: for whole numbers it is no faster, and sums are the same in any order.
            keys[start : start + step] = np.einsum("nd,d->n", words.astype(np.uint64), odd)
        return mix(keys)


def _words(rows: np.ndarray) -> np.ndarray:
    """(n, D or 2 D) uint32 with the bits of the values; -0.0 as 0.0."""
    bits = np.ascontiguousarray(rows) + rows.dtype.type(0)
    if bits.itemsize == 2:
        words: np.ndarray = bits.view(np.uint16).astype(np.uint32)
    else:
        words = bits.view(np.uint32)
    return words


def pixel_digest(image: Any, pixels: Any = None) -> str:
    """16 hex digits over the pixels of a Pillow image, whatever file format it came from.

    pixels: the same as an array in C order, where there is one already.
    """
    seen = hashlib.blake2b(f"{image.size}".encode(), digest_size=8)
    seen.update(image.tobytes() if pixels is None else pixels)
    return seen.hexdigest()
