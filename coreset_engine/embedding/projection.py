"""The map: (N, 2) positions by UMAP from neighbours that are already known.

Uses umap-learn's graph and layout steps directly, because its class would search neighbours again
for small sets. The start is PCA, not the spectral one: deterministic, always converges, and as good
where the graph is in one piece.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours, Progress, silent

N_NEIGHBOURS = 15
MIN_DIST = 0.1
# (images at most, epochs of the layout)
_EPOCHS = ((10_000, 500), (200_000, 200), (float("inf"), 100))
_FEWEST = 4  # below this a layout has nothing to arrange: PCA is shown


def project(
    vectors: np.ndarray,
    neighbours: Neighbours,
    *,
    seed: int = 0,
    epochs: int | None = None,
    n_neighbours: int = N_NEIGHBOURS,
    progress: Progress = silent,
) -> np.ndarray:
    """The map: positions by UMAP from known neighbours.

    Parameters
    ----------
    vectors : (N, D) float
        Used for the PCA start only.
    neighbours : Neighbours
        At least n_neighbours - 1 columns are used where there are so many.
    seed : int
    epochs : int >= 1, optional
        None = 500 up to 10,000 images, 200 up to 200,000, else 100.
    n_neighbours : int
        The image itself included.
    progress : callable
        Unit "epochs".

    Returns
    -------
    (N, 2) float32
        Finite, centred. The same input and seed give the same positions.

    Raises
    ------
    BadInput
        For neighbours of another number of rows, or epochs < 1.

    References
    ----------
    McInnes, Healy and Melville 2018, "UMAP".
    """
    count = len(vectors)
    if len(neighbours.indices) != count:
        raise BadInput(
            f"{len(neighbours.indices)} rows of neighbours for {count} vectors; compute them again."
        )
    if epochs is not None and epochs < 1:
        raise BadInput(f"epochs={epochs} must be at least 1, or left out.")
    start = _start(vectors, seed)
    if count < _FEWEST or neighbours.indices.shape[1] == 0:
        return start
    if epochs is None:
        epochs = next(enough for most, enough in _EPOCHS if count <= most)
    return _centred(_layout(neighbours, start, seed, epochs, n_neighbours, progress))


def _layout(
    neighbours: Neighbours,
    start: np.ndarray,
    seed: int,
    epochs: int,
    n_neighbours: int,
    progress: Progress,
) -> np.ndarray:
    from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding

    used = min(n_neighbours - 1, neighbours.indices.shape[1])
    own = np.arange(len(start), dtype=np.int64)[:, None]
    # umap-learn counts a point as its own first neighbour, at distance 0
    indices = np.hstack([own, neighbours.indices[:, :used]])
    distances = np.hstack([np.zeros_like(own, np.float32), neighbours.distances[:, :used]])
    graph, _, _ = fuzzy_simplicial_set(
        start,
        used + 1,
        np.random.RandomState(seed),
        neighbours.metric,
        knn_indices=indices,
        knn_dists=distances,
    )
    a, b = find_ab_params(1.0, MIN_DIST)
    ticker = {
        "file": _Ticker(progress),
        "bar_format": "{n}/{total}",
        "mininterval": 0.5,
        "leave": False,
        "disable": False,
    }
    layout, _ = simplicial_set_embedding(
        start,
        graph,
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=epochs,
        init=start,
        random_state=np.random.RandomState(seed),
        metric="euclidean",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        parallel=False,
        verbose=False,
        tqdm_kwds=ticker,
    )
    progress(epochs, epochs, "epochs")
    return layout


class _Ticker:
    """A text stream for tqdm that turns its "done/total" into calls of `progress`."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def write(self, text: str) -> None:
        done, _, total = text.strip().partition("/")
        if done.isdigit() and total.isdigit():
            self.progress(int(done), int(total), "epochs")

    def flush(self) -> None:
        """Nothing is held back."""


def _start(vectors: np.ndarray, seed: int) -> np.ndarray:
    """(N, 2) float32: the two leading principal components scaled into [-10, 10], plus noise."""
    rng = np.random.default_rng(seed)
    centre = np.mean(vectors, axis=0, dtype=np.float64)
    covariance = np.zeros((vectors.shape[1],) * 2)
    for at in range(0, len(vectors), 8192):
        block = (np.asarray(vectors[at : at + 8192], np.float64) - centre).astype(np.float32)
        covariance += block.T @ block
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :2]
    axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    axes *= np.where(
        axes[np.abs(axes).argmax(axis=0), range(2)] < 0, -1, 1
    )  # a sign for each axis, always the same
    flat = np.vstack(
        [
            (np.asarray(vectors[at : at + 8192], np.float64) - centre) @ axes
            for at in range(0, len(vectors), 8192)
        ]
    )
    largest = np.abs(flat).max()
    flat = flat * (10 / largest) if largest > 1e-12 else np.zeros_like(flat)
    return (flat + rng.normal(scale=1e-4, size=flat.shape)).astype(np.float32)


def _centred(layout: np.ndarray) -> np.ndarray:
    layout = np.asarray(layout, np.float32)
    return layout - (layout.max(axis=0) + layout.min(axis=0)) / 2


def place_among(
    points: np.ndarray,
    known: np.ndarray,
    vectors: np.ndarray,
    neighbours: Neighbours,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> np.ndarray:
    """Positions of new images on a map that stays as it is, as UMAP's transform finds them.

    100 epochs for up to 10,000 new images, else 30, as umap-learn.

    Parameters
    ----------
    points : (N, 2) float32
        Positions; only those of `known` rows are read, and returned unchanged.
    known : (N,) bool
        Images that are on the map already; at least one.
    vectors : (N, D) float
    neighbours : Neighbours
        Of all N images.
    seed : int
    progress : callable
        Unit "epochs".

    Returns
    -------
    (N, 2) float32
        The same input and seed give the same positions.

    References
    ----------
    McInnes, Healy and Melville 2018, section 4; umap-learn's `UMAP.transform`.
    """
    known = np.asarray(known, bool)
    placed = np.array(points, np.float32)
    new = np.flatnonzero(~known)
    if not len(new):
        return placed
    old = np.flatnonzero(known)
    used = min(N_NEIGHBOURS, len(old))
    indices, distances = _known_neighbours(new, old, vectors, neighbours, used)
    progress(0, 1, "epochs")
    if len(old) < _FEWEST:
        placed[new] = placed[old[indices]].mean(axis=1)
    else:
        epochs = 100 if len(new) <= 10_000 else 30
        placed[new] = _transformed(placed[old], indices, distances, seed, epochs)
    progress(1, 1, "epochs")
    return placed


def _known_neighbours(
    new: np.ndarray, old: np.ndarray, vectors: np.ndarray, neighbours: Neighbours, used: int
) -> tuple[np.ndarray, np.ndarray]:
    """((M, used) positions in `old`, (M, used) float32 distances), nearest first.

    Taken from `neighbours` where so many of them are old, else searched for among all old images.
    """
    position_of = np.full(len(vectors), -1, np.int64)
    position_of[old] = np.arange(len(old))
    indices = np.zeros((len(new), used), np.int64)
    distances = np.zeros((len(new), used), np.float32)
    there = position_of[neighbours.indices[new]]
    enough = (there >= 0).sum(axis=1) >= used
    for row in np.flatnonzero(enough):
        columns = np.flatnonzero(there[row] >= 0)[:used]
        indices[row] = there[row, columns]
        distances[row] = neighbours.distances[new[row], columns]
    lacking = np.flatnonzero(~enough)
    if not len(lacking):
        return indices, distances
    units = _unit(vectors[old])
    for start in range(0, len(lacking), 512):
        rows = lacking[start : start + 512]
        far = 1 - _unit(vectors[new[rows]]) @ units.T
        order = np.argsort(far, axis=1, kind="stable")[:, :used]
        indices[rows] = order
        distances[rows] = np.maximum(np.take_along_axis(far, order, axis=1), 0)
    return indices, distances


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _transformed(
    positions: np.ndarray, indices: np.ndarray, distances: np.ndarray, seed: int, epochs: int
) -> np.ndarray:
    """(M, 2) float32, the layout of umap-learn's transform, which moves new points only."""
    import scipy.sparse
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import (
        compute_membership_strengths,
        find_ab_params,
        init_graph_transform,
        make_epochs_per_sample,
        smooth_knn_dist,
    )

    sigmas, rhos = smooth_knn_dist(distances, float(indices.shape[1]), local_connectivity=0.0)
    rows, columns, strengths, _ = compute_membership_strengths(
        indices.astype(np.int32), distances, sigmas, rhos, bipartite=True
    )
    shape = (len(indices), len(positions))
    graph = scipy.sparse.coo_matrix((strengths, (rows, columns)), shape=shape)
    start = init_graph_transform(graph.tocsr(), positions)
    graph.data[graph.data < graph.data.max() / epochs] = 0.0
    graph.eliminate_zeros()
    a, b = find_ab_params(1.0, MIN_DIST)
    state = np.random.RandomState(seed).randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64)
    return optimize_layout_euclidean(
        start.astype(np.float32),
        positions.copy(),
        graph.row,
        graph.col,
        epochs,
        len(positions),
        make_epochs_per_sample(graph.data, epochs),
        a,
        b,
        state,
        gamma=1.0,
        initial_alpha=0.25,
        negative_sample_rate=5.0,
        parallel=False,
    )
