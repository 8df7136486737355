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
STEEPEST = 0.2  # share of the edges that is steeper than what is reported


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
    """Steepness in [0, 1] that a fifth of an image's edges exceed; 0 where there is no edge.

    grey: (H, W) uint8. The steepness of a pixel is its difference to the one before, over the
    difference of what lies `reach` pixels on either side: 1 where an edge takes one pixel, about
    0.4 / sigma where it was blurred by a Gaussian of sigma pixels, and 1 / (2 reach + 1) on a slope
    that goes on. Pixels count by their difference, those whose surroundings differ by less than
    `least` levels do not, so that contrast, soft shadows and noise have no part in it. Both
    directions are counted together. Edges at the border, whose surroundings are cut off, count only
    where most edges lie there.
    """
    height, width = grey.shape
    weight = np.zeros((2, STEPS + 1), np.int64)  # within `reach` of the border, and inside
    for y in range(height):
        above = max(y - reach - 1, 0)
        below = min(y + reach, height - 1)
        inside_y = np.int64(reach < y < height - reach)
        for x in range(width):
            value = np.int32(grey[y, x])
            if x > 0:
                step = abs(value - np.int32(grey[y, x - 1]))
                right = np.int32(grey[y, min(x + reach, width - 1)])
                wide = max(step, abs(right - np.int32(grey[y, max(x - reach - 1, 0)])))
                if step > 0 and wide >= least:
                    weight[np.int64(reach < x < width - reach), STEPS * step // wide] += step
            if y > 0:
                step = abs(value - np.int32(grey[y - 1, x]))
                wide = max(step, abs(np.int32(grey[below, x]) - np.int32(grey[above, x])))
                if step > 0 and wide >= least:
                    weight[inside_y, STEPS * step // wide] += step
    if 4 * weight[1].sum() < weight[0].sum():
        return _quantile(weight[0] + weight[1], 1 - STEEPEST) / STEPS
    return _quantile(weight[1], 1 - STEEPEST) / STEPS


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
    """(pairs (M, 2) int64 of rows whose squared distance is at most `limit`, how many there are).

    rows: (N, d) float32, in the order of keys. keys: (N,) int64 ascending, cells of a grid of three
    axes, as wide as the distance, with an empty border. strides: (2,) int64 of the first two axes;
    that of the third is 1. Stops when there are more than `most` pairs.
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
                    longer[:count] = pairs
                    pairs = longer
                pairs[count, 0] = i
                pairs[count, 1] = j
                count += 1
    return pairs, count
