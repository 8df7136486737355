"""Search a slice for the images near a centre: gaps in 16-bit levels filter, exact float64
distances decide.

A gap may misorder two images by at most the caller's slack, so whatever lies within radius + slack
is collected and nothing that matters is missed. Counts and masks run over vector lanes (simd.py);
only candidates are looked at singly.
"""

from __future__ import annotations

import numba
import numpy as np
from numba.extending import overload

from coreset_engine.coverage.kernels.simd import (
    LANES,
    WORD,
    collect,
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

jit = numba.njit(
    nogil=True
)  # not cached on its own: kernel.py's entry is, with a stamp of all these files


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


@jit
def new_places(n):
    """(n + 64,) int32 scratch for the positions of candidates; memory that is never written costs
    nothing."""
    return np.empty(n + WORD, np.int32)


@jit
def fill_gaps(levels, d, codes, shifts, n, gaps):
    """Fills `gaps` with the slice's L1 distance in levels; the padding stays out of reach. Returns
    the smallest."""
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
def find_candidates(levels, modes, d, gaps, limit, cap, places):
    """Writes the positions with gap <= limit, ascending, to places; returns how many.

    Of the images that share the most common value in every dimension only the first `cap` are taken
    when they are a
    crowd: their distances are equal, so no later one can come before them.
    """
    count = collect(gaps.ctypes.data, len(gaps) // WORD, limit, places)
    crowd = count > 4 * cap + 256
    for j in range(len(d)):
        crowd = crowd and modes[d[j]] >= 0
    return _collect_capped(gaps, levels, modes, d, limit, cap, places) if crowd else count


@jit
def fetch(exact, d, places, count):
    """Ask for the exact values of all candidates, so that the reads that follow need not wait one
    by one."""
    for j in range(len(d)):
        start = exact[d[j]].ctypes.data
        size = exact.itemsize
        for i in range(count):
            prefetch(start + size * places[i])


@jit
def measure(exact, d, centre, places, count, distances):
    """Exact float64 L1 distances, summed in the order of the slice's dimensions, of the candidates
    to the centre."""
    if len(d) == 2:
        first = exact[d[0]]
        second = exact[d[1]]
        x = centre[0]
        y = centre[1]
        for i in range(count):
            distances[i] = abs(as_float(first[places[i]]) - x) + abs(
                as_float(second[places[i]]) - y
            )
        return
    distances[:count] = 0.0
    for j in range(len(d)):
        column = exact[d[j]]
        here = centre[j]
        for i in range(count):
            distances[i] += abs(as_float(column[places[i]]) - here)


@jit
def _collect_capped(gaps, levels, modes, d, limit, cap, out):
    found = 0
    taken = 0
    for word in range(len(gaps) // WORD):
        mask = mask_within(gaps.ctypes.data, word, limit)
        if mask == 0:
            continue
        same = mask
        for j in range(len(d)):
            same &= mask_equal(levels[d[j]].ctypes.data, word, modes[d[j]])
        mask ^= same
        while same and taken < cap:
            mask |= same & (~same + numba.uint64(1))
            same &= same - numba.uint64(1)
            taken += 1
        while mask:
            out[found] = word * WORD + lowest_bit(mask)
            found += 1
            mask &= mask - numba.uint64(1)
    return found


@jit
def nearest_of(exact, levels, modes, d, point, gaps, limit, places):
    """The image nearest to the point, lowest index first (eq. 5)."""
    count = find_candidates(levels, modes, d, gaps, limit, 1, places)
    best = np.int64(0)
    least = np.inf
    for i in range(count):
        distance = 0.0
        for j in range(len(d)):
            distance += abs(as_float(exact[d[j], places[i]]) - point[j])
        if distance < least:
            best = np.int64(places[i])
            least = distance
    return best


@jit
def twin_of(exact, d, centre, gaps, nearest):
    """The lowest other image at distance exactly 0, or -1. Equal values have equal levels, so their
    gap is 0."""
    for word in range(len(gaps) // WORD):
        mask = mask_within(gaps.ctypes.data, word, 0)
        while mask:
            i = word * WORD + lowest_bit(mask)
            mask &= mask - numba.uint64(1)
            same = i != nearest
            for j in range(len(d)):
                same = same and as_float(exact[d[j], i]) == centre[j]
            if same:
                return i
    return -1


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
