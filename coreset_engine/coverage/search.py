"""Search a slice for the images near a centre: gaps in 16-bit levels filter, exact float64 distances decide.

A gap may misorder two images by at most the caller's slack, so whatever lies within radius + slack is collected and
nothing that matters is missed. Counts and masks run over vector lanes (simd.py); only candidates are looked at singly.
"""

from __future__ import annotations

import numba
import numpy as np
from numba.extending import overload

from coreset_engine.coverage.simd import (
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
)

FAR = 65534  # the largest gap an image can have; the padding behind the last image holds 65535
_PROBES = 64  # lane groups looked at to guess a radius

jit = numba.njit(nogil=True)  # not cached on its own: kernel.py's entry is, with a stamp of all these files


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
def room_for(size, n):
    """Scratch for candidates: positions, distances, weights and gaps. Grows on demand, seldom beyond the first size."""
    size = min(size, n) + WORD
    return np.empty(size, np.int32), np.empty(size, np.float64), np.empty(size, np.float64), np.empty(size, np.float64)


@jit
def fill_gaps(levels, d, codes, shifts, n, gaps):
    """Fills `gaps` with the slice's L1 distance in levels; the padding stays out of reach. Returns the smallest."""
    groups, out = len(gaps) // LANES, gaps.ctypes.data
    if len(d) == 2:
        least = gaps_two(out, groups, levels[d[0]].ctypes.data, codes[0], shifts[0], levels[d[1]].ctypes.data, codes[1],
                         shifts[1])
    else:
        least = gaps_first(out, groups, levels[d[0]].ctypes.data, codes[0], shifts[0])
        for j in range(1, len(d)):
            least = gaps_more(out, groups, levels[d[j]].ctypes.data, codes[j], shifts[j])
    gaps[n:] = 65535
    return least


@jit
def gather(exact, levels, modes, d, centre, gaps, limit, cap, room):
    """Positions and exact distances of the images with gap <= limit. Returns (count, room).

    Of the images that share the most common value in every dimension only the first `cap` are taken: their distances
    are equal, so no later one can come before them.
    """
    words = len(gaps) // WORD
    count = count_within(gaps.ctypes.data, 0, 2 * words, limit)
    if count > len(room[0]) - WORD:
        room = room_for(count * 5 // 4, len(gaps))
    tied = count > 2 * cap + 64
    for j in range(len(d)):
        tied = tied and modes[d[j]] >= 0
    if tied:
        count = _collect_capped(gaps, levels, modes, d, limit, cap, room[0])
    else:
        count = collect(gaps.ctypes.data, words, limit, room[0])
    positions, distances = room[0][:count], room[1][:count]
    distances[:] = 0.0
    for j in range(len(d)):
        column, here = exact[d[j]], centre[j]
        for i in range(count):
            distances[i] += abs(as_float(column[positions[i]]) - here)
    return count, room


@jit
def _collect_capped(gaps, levels, modes, d, limit, cap, out):
    found, taken = 0, 0
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
def nearest_of(exact, levels, modes, d, point, gaps, limit, room):
    """The image nearest to the point, lowest index first (eq. 5)."""
    count, room = gather(exact, levels, modes, d, point, gaps, limit, 1, room)
    best = 0
    for i in range(1, count):
        if room[1][i] < room[1][best]:
            best = i
    return np.int64(room[0][best]), room


@jit
def twin_of(exact, d, centre, gaps, nearest):
    """The lowest other image at distance exactly 0, or -1. Equal values have equal levels, so their gap is 0."""
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
    """A gap within which lie at least `need` images and seldom many more, found by counting."""
    address, groups = gaps.ctypes.data, len(gaps) // LANES
    low, high, guess = -1, FAR, _guess(gaps, need)
    for attempt in range(40):
        count = count_within(address, 0, groups, guess)
        if count >= need:
            high = guess
            if count <= need + need // 8 + 16:
                break
        else:
            low = guess
        if high - low <= 1:
            break
        if attempt < 6 and count > 0:  # counts grow about like radius^m
            guess = np.int64((guess + 0.5) * (1.05 * need / count) ** (1.0 / m))
        else:
            guess = (low + high) // 2
        guess = min(max(guess, low + 1), high - 1)
    return high


@jit
def _guess(gaps, need):
    """The radius that a spread-out sample of the lanes suggests, slightly generous."""
    address, groups = gaps.ctypes.data, len(gaps) // LANES
    stride = max(1, groups // _PROBES)
    low, high = -1, FAR
    while high - low > 1:
        middle, count = (low + high) // 2, 0
        for group in range(0, groups, stride):
            count += count_within(address, group, 1, middle)
        if count * stride >= 1.05 * need:
            high = middle
        else:
            low = middle
    return high
