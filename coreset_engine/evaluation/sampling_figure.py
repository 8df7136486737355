"""BlindCS' figure 2 in numbers: where samples of each distribution fall on the embeddings.

The paper draws histograms of the first dimension and claims three things of the triangular
distribution: it covers densely populated regions well, it covers outliers, and it does not
oversample empty space. Each becomes a share of the samples; the histograms are kept as well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

BINS = 100
OUTER = 0.005  # share of the images at each end that count as outliers
SAMPLING = ("in the densest half, %", "on the outer 1 %, %", "in empty space, %")


class Histogram(NamedTuple):
    """Counts over equal bins between the smallest and the largest embedding.

    Attributes
    ----------
    edges : (B + 1,) float64
    images, samples : (B,) int64
    outside : int
        Samples beyond the edges.
    """

    edges: np.ndarray
    images: np.ndarray
    samples: np.ndarray
    outside: int


def drawn_on(column: np.ndarray, distribution: str, seed: int) -> np.ndarray:
    """(N,) float64 samples over one dimension of N embeddings, as many as there are embeddings."""
    from coreset_engine.coverage.draws import UNIT, Sampler
    from coreset_engine.coverage.transposed import transpose_and_quantise

    columns = transpose_and_quantise(np.ascontiguousarray(column[:, None]), 1)
    sampler = Sampler(columns, 1, distribution, seed)
    units = [sampler.unit(number).points[:, 0] for number in range(-(-len(column) // UNIT))]
    return np.concatenate(units)[: len(column)]


def histogram(column: np.ndarray, points: np.ndarray, bins: int = BINS) -> Histogram:
    """Embeddings (N,) and samples (T,) of one dimension over the same bins."""
    column = np.asarray(column, np.float64)
    images, edges = np.histogram(column, bins)
    samples, _ = np.histogram(points, edges)
    return Histogram(edges, images, samples, len(points) - int(samples.sum()))


def sampling_shares(column: np.ndarray, points: np.ndarray, bins: int = BINS) -> list[float]:
    """SAMPLING, in percent of the samples.

    Parameters
    ----------
    column : (N,) float
        One dimension of the embeddings.
    points : (T,) float64
        Samples over it.
    bins : int
        Equal bins between the smallest and the largest embedding.

    Returns
    -------
    list of float
        Samples in the fewest bins that hold half of the images; samples beyond the 0.5 % and
        99.5 % quantiles of the images; samples in bins without an image or beyond all images.
    """
    counted = histogram(column, points, bins)
    fullest = np.argsort(-counted.images, kind="stable")
    held = np.cumsum(counted.images[fullest])
    dense = fullest[: int(np.searchsorted(held, len(column) / 2)) + 1]
    low, high = np.quantile(np.asarray(column, np.float64), [OUTER, 1 - OUTER])
    counts = (
        counted.samples[dense].sum(),
        ((points < low) | (points > high)).sum(),
        counted.samples[counted.images == 0].sum() + counted.outside,
    )
    return [100 * float(count) / len(points) for count in counts]


def record(label: str, histogram: Histogram) -> dict[str, Any]:
    """The histogram of a row, JSON-able."""
    return dict(
        row=label,
        edges=histogram.edges.tolist(),
        images=histogram.images.tolist(),
        samples=histogram.samples.tolist(),
        outside=histogram.outside,
    )


def bars(counts: list[int], width: int = 50) -> str:
    """A histogram in one line of text: eight heights, the tallest of all full."""
    parts = [sum(part.tolist()) for part in np.array_split(np.array(counts), width)]
    top = max(1, max(parts))
    return "".join(" ▁▂▃▄▅▆▇█"[-(-8 * part // top)] for part in parts)
