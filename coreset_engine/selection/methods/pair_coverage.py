"""Methods on all pairwise similarities: facility location, MaxHerding, UHerding, SubZeroCore.

`facility_location` (in `graphs`) sees the neighbour graph only, in seconds at any size; these see
every pair, in O(N^2 d). All compare unit vectors. Gains are exact, and no N x N matrix is held, see
`kernels.pair_coverage`; above 4,472 images the first few hundred are picked among 4,096 candidates.
Above 10,000 images facility location and MaxHerding look at a random sample and then at the graph,
in seconds (`kernels.sampled_coverage`); pairs="all" keeps them exact.

References
----------
Mirzasoleiman et al. 2013 (facility location), Bae et al. 2024 (MaxHerding, arXiv 2407.12212), Bae
et al. 2025 (UHerding, arXiv 2412.20644), Moser et al. 2025 (SubZeroCore, arXiv 2509.21748).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.canonical_order import NONE_PRESELECTED, by_key, filled
from coreset_engine.selection.kernels.vectors import on_own_axes, on_principal_axes
from coreset_engine.selection.methods.baselines import LABELS, labels_of, rank_scores

FEW_AXES = 128
DIMS = "leading principal components that are compared; 0 = all; none = all up to N N D = 2e11, "
DIMS += "else 128"
TEMPERATURES = np.arange(1.0, 20.0, 0.1)  # searched by UHerding's program
HELD_OUT = 0.3  # share of the labelled images that temperatures are judged on


PAIRS = knob(
    "auto",
    "all: every pair is compared; sampled: a random sample while few images are kept, then the "
    "neighbour graph; auto: all up to 10,000 images",
    choices=("auto", "all", "sampled"),
)


@dataclass(frozen=True)
class AllPairsConfig:
    """Facility location over all pairs: cosine similarity, negative ones as 0."""

    pairs: str = PAIRS
    dims: int | None = knob(None, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class MaxherdingConfig:
    """Bae et al. 2024: a Gaussian kernel of width 1 on unit vectors."""

    bandwidth: float = knob(
        1.0, "sigma of the kernel exp(-|x - y|^2 / sigma^2) of unit vectors", low=0.001, high=100.0
    )
    pairs: str = PAIRS
    dims: int | None = knob(None, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class UherdingConfig:
    """Bae et al. 2025, with pseudo-labels instead of the annotator."""

    labels: str = knob("pseudo", "labels of the kept images", choices=LABELS)
    rounds: int = knob(
        5,
        "equal rounds; after each the model, its temperature and sigma are refitted to the kept "
        "images",
        low=1,
        high=100,
    )
    bandwidth: float = knob(
        1.0, "sigma of the kernel while fewer than two images are kept", low=0.001, high=100.0
    )
    dims: int | None = knob(None, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class SubzerocoreConfig:
    """Moser et al. 2025."""

    coverage: float = knob(
        0.6,
        "gamma: share of the set that the K-neighbourhoods of a random coreset would cover; sets K",
        low=0.01,
        high=0.99,
        step=0.01,
    )
    dims: int | None = knob(None, DIMS, low=0, high=100_000)


def unit_rows(inputs: Artefacts, dims: int | None) -> np.ndarray:
    """(N, d) float32 unit vectors, on all axes or on the leading principal ones."""
    n, width = inputs.vectors.shape
    if dims is None:
        dims = 0 if float(n) * n * width <= limits().exact_pairs_products else FEW_AXES
    if not 0 < dims < width:
        return on_own_axes(inputs, "cosine")
    rows, origin = on_principal_axes(inputs, "cosine", dims)
    rows += origin
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.float32(1e-12)))


@by_key
def facility_location_full(
    inputs: Artefacts,
    k: int,
    config: AllPairsConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Greedy maximum of f(S) = sum_i max_{j in S} s_ij, s the cosine similarity of every pair.

    Where `facility_location` counts images that are not neighbours as not alike at all, here they
    count with their similarity; the greedy's gains are exact.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : AllPairsConfig
        Which pairs are looked at, and components compared.

    References
    ----------
    Mirzasoleiman et al. 2013; Kaushal et al. 2019.
    """
    rows = unit_rows(inputs, config.dims)
    order = _covering(inputs, rows, None, config.pairs, preselected, k)
    reason = "each adds most to the similarity of all images to their most similar kept one"
    return _ranked(order, rows, k, reason)


@by_key
def maxherding(
    inputs: Artefacts,
    k: int,
    config: MaxherdingConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Greedy maximum of the generalised coverage C(S) = mean_i max_{j in S} k(x_i, x_j).

    With a top-hat kernel this is ProbCover; here k is Gaussian, as in the paper's experiments.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : MaxherdingConfig
        Bandwidth sigma > 0 on unit vectors, which pairs, components compared.

    References
    ----------
    Bae et al. 2024, the generalised coverage and algorithm 1 (MaxHerding); kernel and width as in
    the released program.
    """
    rows = unit_rows(inputs, config.dims)
    order = _covering(inputs, rows, config.bandwidth, config.pairs, preselected, k)
    return _ranked(order, rows, k, "each adds most to a smooth coverage of the whole set")


def _covering(
    inputs: Artefacts,
    rows: np.ndarray,
    bandwidth: float | None,
    how: str,
    preselected: np.ndarray,
    k: int,
) -> np.ndarray:
    """(<= k,) int64: the greedy over all pairs, or over a sample and the graph.

    Images of another source, which have no place in the graph, are compared pair by pair.
    """
    from coreset_engine.selection.kernels.pair_coverage import greedy_coverage, uniform
    from coreset_engine.selection.kernels.sampled_coverage import greedy_sampled_coverage

    pairs = uniform(rows, bandwidth)
    k = min(k, len(rows))
    if how == "all" or (how == "auto" and len(rows) <= limits().all_pairs_images):
        return greedy_coverage(pairs, preselected, k)
    graph = getattr(inputs, "neighbours", None)
    if graph is None:
        return greedy_coverage(pairs, preselected, k)
    return greedy_sampled_coverage(pairs, graph.indices, preselected, k)


@by_key
def uherding(
    inputs: Artefacts,
    k: int,
    config: UherdingConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Greedy maximum of the uncertainty coverage mean_i U(x_i) max_{j in S} k(x_i, x_j), in rounds.

    Before each round a linear model is fitted to the labels of what is kept; U = 1 - (p1 - p2), the
    margin of its two most probable classes at the temperature of least calibration error; U = 0 for
    images kept; sigma is the smallest distance between two kept images. While fewer than two are
    kept, U = 1 and sigma is as asked, which is MaxHerding.

    Deviations: pseudo-labels answer for the annotator (labels=true: the source's own), and the
    model is the linear proxy on the vectors instead of a network.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, pseudo-labels are read.
    config : UherdingConfig
        Labels, rounds >= 1, first bandwidth, components compared.

    References
    ----------
    Bae et al. 2025, the uncertainty coverage and algorithm 1; margin, temperatures, held-out share
    and sigma as in the released program.
    """
    from coreset_engine.selection.kernels.pair_coverage import Pairs, greedy_coverage

    labels = np.unique(labels_of(inputs, config.labels), return_inverse=True)[1]
    rows = unit_rows(inputs, config.dims)
    n = len(rows)
    k = min(k, n)
    order = np.asarray(preselected, np.int64)
    ones = np.ones(n, np.float32)
    goals = len(order) + (k - len(order)) * np.arange(1, config.rounds + 1) // config.rounds
    for goal in np.unique(goals):
        weight, bandwidth = _uncertainty(inputs, rows, labels, order, config.bandwidth)
        order = greedy_coverage(Pairs(rows, bandwidth, weight, ones), order, int(goal))
        order = _most_uncertain(order, weight, int(goal))
    reason = "uncertain for a linear model, in a region that the kept images do not cover"
    return _ranked(order, rows, k, reason, nested=False)


def _uncertainty(
    inputs: Artefacts, rows: np.ndarray, labels: np.ndarray, kept: np.ndarray, bandwidth: float
) -> tuple[np.ndarray, float]:
    """(U (N,) float32, sigma) after the images `kept` have been labelled."""
    from coreset_engine.selection.kernels.linear_proxy import fit, inputs_of, softmax

    if len(kept) < 2:
        return np.ones(len(rows), np.float32), bandwidth
    bandwidth = _smallest_gap(rows[kept], bandwidth)
    if len(np.unique(labels[kept])) < 2:
        return np.ones(len(rows), np.float32), bandwidth
    inner = inputs_of(inputs)
    names, own = np.unique(labels[kept], return_inverse=True)
    temperature = best_temperature(inner[kept], own, len(names))
    logits = inner @ fit(inner[kept], own, len(names))
    top = np.sort(softmax(logits / np.float32(temperature)), axis=1)[:, -2:]
    weight = (1 - (top[:, 1] - top[:, 0])).astype(np.float32)
    weight[kept] = 0
    return weight, bandwidth


def _smallest_gap(rows: np.ndarray, otherwise: float) -> float:
    """Smallest positive distance between two of these unit rows."""
    least = np.inf
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024]
        square = 2 - 2 * (part @ rows.T)
        square[square < 1e-5] = np.inf  # the same picture, up to rounding
        least = min(least, float(square.min()))
    return math.sqrt(least) if np.isfinite(least) else otherwise


def _most_uncertain(order: np.ndarray, weight: np.ndarray, goal: int) -> np.ndarray:
    """`order` filled up to `goal` by the largest U, where no image adds coverage any more."""
    if len(order) >= goal:
        return order
    rest = weight.astype(np.float64)
    rest[order] = -np.inf
    return np.concatenate([order, np.argsort(-rest, kind="stable")[: goal - len(order)]])


def best_temperature(rows: np.ndarray, labels: np.ndarray, n_classes: int) -> float:
    """Temperature of least expected calibration error on the last 30 % of the labelled images.

    rows: (M, d) float32 inputs of the linear proxy; labels: (M,) int in [0, n_classes). 1 where
    there are too few images to judge.
    """
    from coreset_engine.selection.kernels.linear_proxy import fit, softmax

    held = max(1, int(len(labels) * HELD_OUT))
    train = labels[:-held]
    if held < 2 or len(np.unique(train)) < 2:
        return 1.0
    logits = rows[-held:] @ fit(rows[:-held], train, n_classes)
    truth = labels[-held:]
    errors = [calibration_error(softmax(logits / np.float32(t)), truth) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(errors))])


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: as many bins of confidence, of equal width, as classes.

    References
    ----------
    Naeini et al. 2015.
    """
    n_bins = probabilities.shape[1]
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gap = np.bincount(bins, weights=confidence - right, minlength=n_bins)
    return float(np.abs(gap).sum() / len(labels))


@by_key
def subzerocore(
    inputs: Artefacts,
    k: int,
    config: SubzerocoreConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Facility location weighted by density: f(S) = sum_i max_{j in S} s_j sim(x_i, x_j).

    s_j = exp(-(r_j - mu)^2 / (2 sigma^2)), r_j the distance to the K-th nearest image, mu and sigma
    its mean and standard deviation over the set; K by `neighbourhood`. Negative similarities count
    as 0. info: neighbours, K.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : SubzerocoreConfig
        gamma in (0, 1), the coverage that sets K, and components compared.

    References
    ----------
    Moser et al. 2025, the density-weighted facility location and the inversion of the expected
    coverage.
    """
    from coreset_engine.selection.kernels.pair_coverage import Pairs, greedy_coverage, kth_nearest

    rows = unit_rows(inputs, config.dims)
    n = len(rows)
    k = min(k, n)
    neighbours = neighbourhood(n, k, config.coverage)
    density = np.ones(n, np.float32)
    if n > 1:
        density = gaussian_density(kth_nearest(rows, neighbours))
    pairs = Pairs(rows, None, np.ones(n, np.float32), density)
    order = greedy_coverage(pairs, preselected, k)
    reason = f"represents many images, in a region of typical density (K = {neighbours} neighbours)"
    return _ranked(order, rows, k, reason, nested=False, neighbours=neighbours)


def neighbourhood(n: int, kept: int, coverage: float) -> int:
    """The smallest K whose expected coverage reaches `coverage`.

    1 - prod_{j=1..K} (n - kept - j) / (n - j) is the chance that a random coreset holds one of the
    K nearest of an image; K is at least 1 and stays below n - kept.
    """
    missed = 1.0
    covered = 0
    while 1 - missed < coverage and covered < n - kept - 1:
        covered += 1
        missed *= (n - kept - covered) / (n - covered)
    return max(1, covered)


def gaussian_density(radius: np.ndarray) -> np.ndarray:
    """(N,) float32 in (0, 1]: 1 at the mean radius, less the more deviations from it."""
    radius = np.asarray(radius, np.float64)
    deviation = radius.std()
    if deviation < 1e-9:
        return np.ones(len(radius), np.float32)
    return np.asarray(np.exp(-((radius - radius.mean()) ** 2) / (2 * deviation**2)), np.float32)


def _ranked(
    order: np.ndarray, rows: np.ndarray, k: int, reason: str, nested: bool = True, **more: Any
) -> Ranking:
    info = {"reason": reason, "dims": rows.shape[1], **more}
    n = len(rows)
    return Ranking(filled(order, n, k), rank_scores(order, n), nested=nested, info=info)
