"""Loops over the pixels of one image: histograms and sharpness.

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
REACH = 5  # half the width of the box that an image is blurred with again
_BOX = 2 * REACH + 1


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
def blur_effect(grey):
    """How little an image loses when it is blurred again, in [0, 1]; 1 = wholly blurred.

    grey: (H, W) uint8. The larger of both directions (Crete et al. 2007, eq. 1-6) with a box of
    2 REACH + 1 pixels, whose differences need no filtered image. 0 where the image is too small or
    flat.
    """
    height, width = grey.shape
    across = np.zeros(2, np.int64)
    down = np.zeros(2, np.int64)
    for y in range(height):
        inside = REACH < y < height - REACH
        for x in range(width):
            value = np.int32(grey[y, x])
            if REACH < x < width - REACH:
                step = abs(value - np.int32(grey[y, x - 1]))
                wide = abs(np.int32(grey[y, x + REACH]) - np.int32(grey[y, x - REACH - 1]))
                across[0] += step
                across[1] += max(0, step * _BOX - wide)
            if inside:
                step = abs(value - np.int32(grey[y - 1, x]))
                wide = abs(np.int32(grey[y + REACH, x]) - np.int32(grey[y - REACH - 1, x]))
                down[0] += step
                down[1] += max(0, step * _BOX - wide)
    return max(_share_kept(across), _share_kept(down))


@numba.njit(cache=True, nogil=True)
def _share_kept(sums):
    """1 - lost over total; sums: the total of the steps, and _BOX times what is lost of them."""
    return 1.0 - sums[1] / (_BOX * sums[0]) if sums[0] > 0 else 0.0


@numba.njit(cache=True, nogil=True)
def edge_strength(grey):
    """(standard deviation of the edge image, of the 256 counts of the histogram) of (H, W) uint8.

    Edges are Pillow's FIND_EDGES: eight times the pixel minus its neighbours, cut to [0, 255], with
    the border as it is.
    """
    height, width = grey.shape
    counts = np.zeros(256, np.int64)
    total = 0.0
    squares = 0.0
    for y in range(height):
        for x in range(width):
            value = np.int64(grey[y, x])
            counts[value] += 1
            if 0 < y < height - 1 and 0 < x < width - 1:
                around = 0
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        around += np.int64(grey[y + dy, x + dx])
                value = min(max(9 * value - around, 0), 255)
            total += value
            squares += value * value
    size = height * width
    variance = max(0.0, squares / size - (total / size) ** 2)
    return np.sqrt(variance), np.std(counts)
