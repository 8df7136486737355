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
    """(N, 2) float32, finite, centred. The same input and seed give the same positions.

    vectors: (N, D), used for the PCA start only. neighbours: at least n_neighbours - 1 columns are
        used where there.
    epochs: None = 500 up to 10,000 images, 200 up to 200,000, else 100. progress: unit "epochs".
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
        epochs = 500 if count <= 10_000 else 200 if count <= 200_000 else 100
    return _centred(_layout(vectors, neighbours, start, seed, epochs, n_neighbours, progress))


def _layout(
    vectors: np.ndarray,
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
    """(N, 2) float32: the two leading principal components, scaled into [-10, 10], plus a little
    noise."""
    rng = np.random.default_rng(seed)
    centre = np.mean(vectors, axis=0, dtype=np.float64)
    spread = np.zeros((vectors.shape[1],) * 2)
    for at in range(0, len(vectors), 8192):
        block = (np.asarray(vectors[at : at + 8192], np.float64) - centre).astype(np.float32)
        spread += block.T @ block
    axes = np.linalg.eigh(spread)[1][:, ::-1][:, :2]
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
