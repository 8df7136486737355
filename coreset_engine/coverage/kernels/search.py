"""Search a slice for the images near a centre: gaps in 16-bit levels filter, exact float64
distances decide.

A gap may misorder two images by at most the caller's slack, so whatever lies within radius + slack
is collected and nothing that matters is missed. Counts and masks run over vector lanes (simd.py);
only candidates are looked at singly.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numba.extending import overload

from coreset_engine.coverage.kernels.simd import (
    LANES,
    WORD,
    collect,
    collect_few,
    count_bits,
    count_within,
    gaps_first,
    gaps_more,
    gaps_two,
    lowest_bit,
    mask_equal,
    mask_within,
    prefetch,
)

FAR = 65534  # the largest gap an image can have; the padding behind the last image holds 65535
PROBES = 64  # lane groups looked at to guess a radius

# Not cached on its own: the entry in cpu.py is, with a stamp of all these files.
jit = numba.njit(nogil=True)


def as_float(x):
    """Column entries as float64; uint16 entries are the bits of float16."""
    raise NotImplementedError("compiled code only")


@overload(as_float)
def _as_float(x):
    if x == numba.uint16:

        def half(x):
            size = np.uint32((x & 0x7FFF) << 13).view(np.float32) * np.float32(2.0) ** 112
            return -np.float64(size) if x & 0x8000 else np.float64(size)

        return half

    def plain(x):
        return np.float64(x)

    return plain


class Matrix(NamedTuple):
    """What the kernel reads of `Columns`: exact (D, N), levels (D, W), modes (D,), ranks (N,)."""

    exact: np.ndarray
    levels: np.ndarray
    modes: np.ndarray
    ranks: np.ndarray


class Query(NamedTuple):
    """One search: d (m,) dimensions, centre (m,) float64, gaps (W,) uint16 to it, slack: how far
    two gaps may be misordered, tie: the sample's random bits, itself: the image at the centre or
    -1."""

    d: np.ndarray
    centre: np.ndarray
    gaps: np.ndarray
    slack: int
    tie: int
    itself: int


@jit
def new_candidates(n):
    """(n + 64,) uint32 scratch for the positions of candidates; memory that is never written costs
    nothing."""
    return np.empty(n + WORD, np.uint32)


@jit
def priority(rank, tie):
    """Hash in [0, 2^32) of an image's key rank and a sample's bits; the smallest comes first.

    A bijection of the rank for every sample (the finaliser of MurmurHash3), so images never tie.
    """
    low = np.uint64(0xFFFFFFFF)
    h = np.uint64(rank) ^ np.uint64(tie)
    h = ((h ^ (h >> np.uint64(16))) * np.uint64(0x85EBCA6B)) & low
    h = ((h ^ (h >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & low
    return np.int64(h ^ (h >> np.uint64(16)))


@jit
def fill_gaps(levels, d, codes, shifts, n, gaps):
    """Fill `gaps` with the slice's L1 distance in levels; the padding stays out of reach.

    Parameters
    ----------
    levels : (D, W) uint16
        Quantised columns, padded to whole words of 64 lanes.
    d : (m,) int
        Dimensions of the slice.
    codes, shifts : (m,) int
        Level of the centre in each, and by how many bits its distance is halved.
    n : int
        Images; lanes from n on are padding.
    gaps : (W,) uint16
        Written, saturating.

    Returns
    -------
    int
        The smallest.
    """
    groups = len(gaps) // LANES
    out = gaps.ctypes.data
    if len(d) == 2:
        least = gaps_two(
            out,
            groups,
            levels[d[0]].ctypes.data,
            codes[0],
            shifts[0],
            levels[d[1]].ctypes.data,
            codes[1],
            shifts[1],
        )
    else:
        least = gaps_first(out, groups, levels[d[0]].ctypes.data, codes[0], shifts[0])
        for j in range(1, len(d)):
            least = gaps_more(out, groups, levels[d[j]].ctypes.data, codes[j], shifts[j])
    gaps[n:] = 65535
    return least


@jit
def find_candidates(matrix, query, limit, cap, candidates):
    """Write the positions with gap <= limit, ascending, to `candidates`.

    Of a crowd of images that share the most common value in every dimension, only some are taken,
    among them the `cap` of smallest priority: their distances are equal, so no other can come
    before these.

    Parameters
    ----------
    matrix : Matrix
    query : Query
        With its gaps filled.
    limit : int
        Largest gap, below 65,535.
    cap : int
        How many nearest are wanted, >= 1.
    candidates : (N + 64,) uint32
        Written.

    Returns
    -------
    int
        How many.
    """
    gaps = query.gaps
    words = len(gaps) // WORD
    if cap == 1:
        count = collect_few(gaps.ctypes.data, words, limit, candidates)
    else:
        count = collect(gaps.ctypes.data, words, limit, candidates)
    crowd = count > 4 * cap + 256
    for j in range(len(query.d)):
        crowd = crowd and matrix.modes[query.d[j]] >= 0
    return _collect_capped(matrix, query, limit, cap, candidates) if crowd else count


@jit
def fetch(exact, d, candidates, count):
    """Ask for the exact values of all candidates, so that later reads need not wait one by one.

    Parameters
    ----------
    exact : (D, N) float32, or uint16 bits of float16
    d : (m,) int
        Dimensions of the slice.
    candidates : (>= count,) uint32
        Positions of the candidates.
    count : int
        How many.
    """
    for j in range(len(d)):
        start = exact[d[j]].ctypes.data
        size = exact.itemsize
        for i in range(count):
            prefetch(start + size * candidates[i])


@jit
def measure(exact, d, centre, candidates, count, distances):
    """Exact L1 distances of the candidates to the centre, summed in the order of the dimensions.

    Parameters
    ----------
    exact : (D, N) float32, or uint16 bits of float16
    d : (m,) int
        Dimensions of the slice.
    centre : (m,) float64
    candidates : (>= count,) uint32
        Positions of the candidates.
    count : int
        How many.
    distances : (>= count,) float64
        Written.
    """
    if len(d) == 2:
        first = exact[d[0]]
        second = exact[d[1]]
        x = centre[0]
        y = centre[1]
        for i in range(count):
            distances[i] = abs(as_float(first[candidates[i]]) - x) + abs(
                as_float(second[candidates[i]]) - y
            )
        return
    distances[:count] = 0.0
    for j in range(len(d)):
        column = exact[d[j]]
        here = centre[j]
        for i in range(count):
            distances[i] += abs(as_float(column[candidates[i]]) - here)


@jit
def _crowd_of(matrix, query, word, mask):
    """The bits of `mask` whose images share the most common value in every dimension."""
    for j in range(len(query.d)):
        column = matrix.levels[query.d[j]]
        mask &= mask_equal(column.ctypes.data, word, matrix.modes[query.d[j]])
    return mask


@jit
def _collect_capped(matrix, query, limit, cap, out):
    crowd = 0
    lanes = query.gaps.ctypes.data
    words = len(query.gaps) // WORD
    for word in range(words):
        mask = mask_within(lanes, word, limit)
        if mask != 0:
            crowd += np.int64(count_bits(_crowd_of(matrix, query, word, mask)))
    share = (cap + 6.0 * np.sqrt(cap) + 16.0) / max(crowd, 1)
    while True:
        bound = np.int64(min(1.0, share) * 4294967296.0)
        found, taken = _collect_below(matrix, query, limit, bound, out)
        if taken >= min(cap, crowd):
            return found
        share *= 2.0


@jit
def _collect_below(matrix, query, limit, bound, out):
    """Candidates outside the crowd, and those of the crowd with a priority below `bound`; returns
    how many, and how many of the crowd."""
    found = 0
    taken = 0
    lanes = query.gaps.ctypes.data
    n = len(matrix.ranks)
    for word in range(len(query.gaps) // WORD):
        mask = mask_within(lanes, word, limit)
        if mask == 0:
            continue
        same = _crowd_of(matrix, query, word, mask)
        while mask:
            i = word * WORD + lowest_bit(mask)
            bit = mask & (~mask + numba.uint64(1))
            mask ^= bit
            keep = i < n
            if (same & bit) and keep:
                keep = priority(matrix.ranks[i], query.tie) < bound
                taken += keep
            out[found] = i
            found += keep
    return found, taken


@jit
def nearest_of(matrix, query, limit, candidates):
    """The image nearest to the centre (BlindCS eq. 5); ties by priority.

    Parameters
    ----------
    matrix : Matrix
    query : Query
        With its gaps filled.
    limit : int
        Largest gap that the nearest image can have.
    candidates : (N + 64,) uint32
        Scratch.

    Returns
    -------
    int
        Its position.
    """
    count = find_candidates(matrix, query, limit, 1, candidates)
    best = np.int64(0)
    least = np.inf
    for i in range(count):
        distance = distance_to(matrix, query, candidates[i])
        if distance < least or (
            distance == least and comes_before(matrix, query, candidates[i], best)
        ):
            best = np.int64(candidates[i])
            least = distance
    return best


@jit
def distance_to(matrix, query, i):
    """Exact float64 L1 distance of image i, summed in the order of the slice's dimensions."""
    distance = 0.0
    for j in range(len(query.d)):
        distance += abs(as_float(matrix.exact[query.d[j], i]) - query.centre[j])
    return distance


@jit
def comes_before(matrix, query, i, other):
    """Whether one image comes before another in a sample's order of equal distances.

    Parameters
    ----------
    matrix : Matrix
    query : Query
        Its tie holds the sample's random bits.
    i, other : int
        Positions of the images.
    """
    ranks = matrix.ranks
    return priority(ranks[i], query.tie) < priority(ranks[other], query.tie)


@jit
def twin_of(matrix, query):
    """The first other image at distance exactly 0, or -1. Equal values have equal levels, so their
    gap is 0."""
    best = np.int64(-1)
    first = np.int64(1) << 32
    for word in range(len(query.gaps) // WORD):
        mask = mask_within(query.gaps.ctypes.data, word, 0)
        while mask:
            i = word * WORD + lowest_bit(mask)
            mask &= mask - numba.uint64(1)
            own = priority(matrix.ranks[i], query.tie)
            if own < first and i != query.itself and distance_to(matrix, query, i) == 0.0:
                best = np.int64(i)
                first = own
    return best


@jit
def radius_of(gaps, need, m):
    """A gap within which lie at least `need` images and seldom 1.6 times as many, found by
    counting."""
    address = gaps.ctypes.data
    groups = len(gaps) // LANES
    low = -1
    high = FAR
    guess = _guess(gaps, need)
    for attempt in range(40):
        count = count_within(address, 0, groups, guess)
        if count >= need:
            high = guess
            if count <= need + need // 2 + need // 10 + 16:
                break
        else:
            low = guess
        if high - low <= 1:
            break
        if attempt < 6 and count > 0:  # counts grow about like radius^m
            guess = np.int64((guess + 0.5) * (1.25 * need / count) ** (1.0 / m))
        else:
            guess = (low + high) // 2
        guess = min(max(guess, low + 1), high - 1)
    return high


@jit
def _guess(gaps, need):
    """The radius that a spread-out sample of the lanes suggests, generously."""
    address = gaps.ctypes.data
    groups = len(gaps) // LANES
    stride = max(1, groups // PROBES)
    low = -1
    high = FAR
    while high - low > 1:
        middle = (low + high) // 2
        count = 0
        for group in range(0, groups, stride):
            count += count_within(address, group, 1, middle)
        if count * stride >= 1.25 * need:
            high = middle
        else:
            low = middle
    return high
