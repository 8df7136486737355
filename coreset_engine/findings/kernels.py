"""Loops over the pixels of one image (histograms and sharpness), and over pairs of points.

They release the interpreter lock, so that images are measured by several threads.
"""

from __future__ import annotations

import numba
import numpy as np

BINS = 1024  # of perceived brightness, 0 .. 1
_SCALE = 16
_WEIGHTS = (0.241, 0.691, 0.068)  # of squared red, green and blue in perceived brightness
SQUARES = np.rint(
    np.array(_WEIGHTS)[:, None] * _SCALE * np.arange(256, dtype=np.float64)[None, :] ** 2
).astype(np.int32)
_TOP = int(SQUARES[:, 255].sum())
BIN_OF = np.rint(np.sqrt(np.arange(_TOP + 1) / _TOP) * (BINS - 1)).astype(np.uint16)
COLOURED = 12  # difference of two channels from which a pixel counts as coloured
STEPS = 64  # bins of the steepness of edges
STEEPEST = 0.1  # share of the edges that is steeper than what is reported
ENOUGH = 0.05  # share of all edges from which those of one direction are judged
ACROSS = 2  # an edge belongs to the direction whose step is so many times that at right angles
_MANY_ROWS = 256  # of which every second one is enough
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # (rows, columns) of a step


@numba.njit(cache=True, nogil=True)
def one_pass(pixels, squares, bin_of):
    """(brightness (BINS,) int64, channels (768,) int64, number of coloured pixels, grey (H, W)
    uint8).

    pixels: (H, W, 3) uint8. squares, bin_of: SQUARES and BIN_OF. grey is Pillow's mode L.
    """
    grey = np.empty(pixels.shape[:2], np.uint8)
    brightness = np.zeros(BINS, np.int64)
    channels = np.zeros(768, np.int64)
    coloured = 0
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            red = pixels[y, x, 0]
            green = pixels[y, x, 1]
            blue = pixels[y, x, 2]
            channels[red] += 1
            channels[256 + green] += 1
            channels[512 + blue] += 1
            brightness[bin_of[squares[0, red] + squares[1, green] + squares[2, blue]]] += 1
            grey[y, x] = _grey(red, green, blue)
            low = min(red, green, blue)
            high = max(red, green, blue)
            if high - low >= COLOURED:
                coloured += 1
    return brightness, channels, coloured, grey


@numba.njit(cache=True, nogil=True, inline="always")
def _grey(red, green, blue):
    """ITU-R 601-2 luma in Pillow's fixed point."""
    weighted = 19595 * np.int64(red) + 38470 * np.int64(green) + 7471 * np.int64(blue)
    return np.uint8((weighted + 32768) >> 16)


@numba.njit(cache=True, nogil=True)
def grey_of(pixels):
    """(H, W) uint8: Pillow's mode L of (H, W, 3) uint8."""
    grey = np.empty(pixels.shape[:2], np.uint8)
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            grey[y, x] = _grey(pixels[y, x, 0], pixels[y, x, 1], pixels[y, x, 2])
    return grey


@numba.njit(cache=True, nogil=True)
def summary(brightness, channels, percentiles):
    """((P,) float32 percentiles in [0, 1] of brightness, entropy of the channels in bits).

    brightness, channels: counts, as `histograms` gives them. percentiles: (P,) in [0, 100],
    ascending; the smallest bin that has so many of the pixels, without interpolation.
    """
    values = np.zeros(len(percentiles), np.float32)
    size = brightness.sum()
    at = 0
    below = brightness[0]
    for i in range(len(percentiles)):
        wanted = np.ceil(percentiles[i] / 100 * (size - 1)) + 1
        while below < wanted:
            at += 1
            below += brightness[at]
        values[i] = at / (len(brightness) - 1)
    total = channels.sum()
    entropy = 0.0
    for count in channels:
        if count > 0:
            share = count / total
            entropy -= share * np.log2(share)
    return values, entropy


@numba.njit(cache=True, nogil=True)
def edge_steepness(grey, reach, least):
    """Steepness in [0, 1] that a tenth of the edges of the softest direction exceed.

    grey: (H, W) uint8. The steepness of a pixel is its step from the one before, over the range of
    the pixels up to `reach` on either side: 1 where an edge takes one pixel, about 0.4 / sigma
    where it was blurred by a Gaussian of sigma pixels, 1 / length where the camera moved. Pixels
    count by their step; those whose surroundings span less than `least` levels do not, so that
    contrast, soft shadows and noise have no part in it. Edges across four directions are judged
    one by one, because motion softens those across it only; a direction with few edges says
    nothing. 0 where there is no edge.
    """
    weight = _edges(grey, reach, least)
    total = weight.sum()
    softest = 1.0
    for direction in range(4):
        if weight[direction].sum() > ENOUGH * total:
            softest = min(softest, _quantile(weight[direction], 1 - STEEPEST) / STEPS)
    return softest if total > 0 else 0.0


@numba.njit(cache=True, nogil=True)
def _edges(grey, reach, least):
    """(4, STEPS + 1) int64: sum of the steps of all edges by direction and steepness.

    Edges whose surroundings are cut off at the border do not count, nor do steps of less than a
    twelfth of `least`. Of large images every second row is read.
    """
    height, width = grey.shape
    weight = np.zeros((4, STEPS + 1), np.int64)
    every = 2 if min(height, width) >= _MANY_ROWS else 1
    for y in range(1, height, every):
        inside_y = reach < y < height - reach
        for x in range(1, width):
            inside_x = reach < x < width - reach
            if not (inside_x or inside_y):
                continue
            value = np.int32(grey[y, x])
            steps = (
                abs(value - np.int32(grey[y, x - 1])),
                abs(value - np.int32(grey[y - 1, x])),
                abs(value - np.int32(grey[y - 1, x - 1])),
                abs(np.int32(grey[y, x - 1]) - np.int32(grey[y - 1, x])),
            )
            usable = (inside_x, inside_y, inside_x and inside_y, inside_x and inside_y)
            for direction in range(4):
                step = steps[direction]
                if 12 * step < least or not usable[direction]:
                    continue
                if step <= ACROSS * steps[direction ^ 1]:
                    continue
                down, right = _DIRECTIONS[direction]
                wide = _range(grey, y, x - np.int64(direction == 3), down, right, reach)
                if wide >= least:
                    weight[direction, STEPS * step // wide] += step
    return weight


@numba.njit(cache=True, nogil=True, inline="always")
def _range(grey, y, x, down, right, reach):
    """Grey levels that the line of pixels through a step spans, `reach` on either side."""
    low = grey[y, x]
    high = low
    for away in range(-reach - 1, reach + 1):
        value = grey[y + away * down, x + away * right]
        low = min(low, value)
        high = max(high, value)
    return np.int32(high) - np.int32(low)


@numba.njit(cache=True, nogil=True)
def _quantile(weight, share):
    """Bin, with its fraction, below which `share` of all weight lies; the last bin is a point."""
    wanted = share * weight.sum()
    below = 0.0
    for at in range(len(weight)):
        if below + weight[at] >= wanted and weight[at] > 0:
            if at == len(weight) - 1:
                return float(at)
            return at + (wanted - below) / weight[at]
        below += weight[at]
    return 0.0


@numba.njit(cache=True, nogil=True)
def pairs_in_cells(rows, keys, strides, limit, most):
    """Pairs of rows that are near each other, found cell by cell of a grid.

    Parameters
    ----------
    rows : (N, d) float32
        In the order of `keys`.
    keys : (N,) int64
        Ascending; cells of a grid of three axes, as wide as the distance, with an empty border.
    strides : (2,) int64
        Of the first two axes; that of the third is 1.
    limit : float
        Largest squared distance of a pair.
    most : int
        Stops when there are more pairs.

    Returns
    -------
    tuple
        Pairs (M, 2) int64 of rows, and how many there are.
    """
    n = len(rows)
    pairs = np.empty((min(max(4 * n, 16), most + 1), 2), np.int64)
    count = 0
    for i in range(n):
        for shift in range(5):  # the half of the neighbouring columns of cells that lies ahead
            ahead = (0, strides[1], strides[0] - strides[1], strides[0], strides[0] + strides[1])[
                shift
            ]
            start = i + 1
            if shift > 0:
                start = np.searchsorted(keys, keys[i] + ahead - 1)
            stop = np.searchsorted(keys, keys[i] + ahead + 1, side="right")
            for j in range(start, stop):
                total = np.float32(0)
                for t in range(rows.shape[1]):
                    gap = rows[i, t] - rows[j, t]
                    total += gap * gap
                    if total > limit:
                        break
                if total > limit:
                    continue
                if count == len(pairs):
                    if count > most:
                        return pairs, count
                    longer = np.empty((min(2 * count, most + 1), 2), np.int64)
                    for row in range(count):  # slices compile 2 s longer, for their errors
                        longer[row, 0] = pairs[row, 0]
                        longer[row, 1] = pairs[row, 1]
                    pairs = longer
                pairs[count, 0] = i
                pairs[count, 1] = j
                count += 1
    return pairs, count
