"""One stage at one size: each cell calls begin() once it is warm and returns (share of the stage
that was done, note).

Vectors are made: a mixture of 1,000 clusters, each spread over 24 directions of 256.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np

DIMS = 256
CLASSES = 100
T = 1_000_000


def make_vectors(folder: Path, n: int) -> Path:
    """(n, 256) float32 on disk, the same for the same n; made 100,000 rows at a time."""
    path = folder / f"v{n}.npy"
    if path.is_file():
        return path
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(1000, DIMS))
    ways = rng.normal(size=(24, DIMS)) / 2
    scales = rng.gamma(2.0, 0.5, size=(1000, 24))
    out = np.lib.format.open_memmap(path.with_suffix(".part"), "w+", np.float32, (n, DIMS))
    for at in range(0, n, 100_000):
        own = rng.integers(1000, size=min(100_000, n - at))
        spread = (rng.normal(size=(len(own), 24)) * scales[own]).astype(np.float32) @ ways.astype(
            np.float32
        )
        out[at : at + len(own)] = (
            centres[own] + spread + 0.05 * rng.normal(size=(len(own), DIMS)).astype(np.float32)
        )
    out.flush()
    path.with_suffix(".part").rename(path)
    return path


_began = [0.0]


def begin() -> None:
    """Imports, compiling and loading weights are done once a machine, so they are not scaled up."""
    _began[0] = sum(os.times()[:2])


def coverage(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.coverage.scores import coverage_scores

    def spent(part: int) -> float:
        before = sum(os.times()[:2])
        coverage_scores(v, n_samples=part, device="cpu")
        return sum(os.times()[:2]) - before

    coverage_scores(v[:2000], n_samples=1000, device="cpu")
    few = 1000
    many = 20_000 if len(v) < 1_000_000 else 30_000
    begin()
    once = spent(few)
    all_ = spent(many)
    each = max(all_ - once, 1e-9) / (many - few)
    return (once + all_) / (
        once + each * (T - few)
    ), f"{many:,} of T = 1,000,000 samples, turning the matrix once"


def exact(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.embedding.neighbours.candidates import by_flat_index
    from coreset_engine.embedding.neighbours.search import _finish, _rows

    begin()
    rows = _rows(v, "cosine", full=True)
    part = min(len(v), 4096)
    found, _ = by_flat_index(rows, 51)(0, part)
    for at in range(0, part, 512):
        _finish(rows, at, found[at : at + 512], 50)
    return part / len(v), f"{part:,} queries against all"


def products(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.core.limits import limits
    from coreset_engine.embedding.neighbours import ivfpq

    begin()
    asked = min(-(-len(v) // limits().search_rows), 6 if len(v) < 1_000_000 else 2)
    ivfpq.train(v, work, wanted=50, piece=limits().code_rows, block=limits().search_rows)
    for number in range(-(-len(v) // limits().code_rows)):
        ivfpq.STEPS["encode"](v, work, number)
    report = ivfpq.tune(v, work)["info"]
    before = sum(os.times()[:2]) - _began[0]
    for number in range(asked):
        ivfpq.STEPS["search"](v, work, number)
    spent = sum(os.times()[:2]) - _began[0] - before
    rows = min(len(v), asked * limits().search_rows)
    fixed = before + spent
    return (
        fixed / (before + spent * len(v) / rows),
        f"trained and coded whole, {rows:,} queries; recall@50 "
        f"{report['recall']:.3f}, {report['method'].split(', ')[2]}",
    )


def kmeans(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.clustering.context import ClusterContext
    from coreset_engine.clustering.kmeans import spherical_kmeans

    begin()
    found = spherical_kmeans(v, CLASSES, context=ClusterContext(device="cpu", streamed=True))
    return 1.0, f"read piece by piece, {found.info['rounds']} rounds over all"


def temi(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.clustering.config import TemiConfig
    from coreset_engine.clustering.context import ClusterContext
    from coreset_engine.clustering.temi import temi as cluster
    from coreset_engine.core.types import Neighbours

    begin()
    neighbours, far = (
        np.lib.format.open_memmap(work / f"{name}.npy", "w+", kind, (len(v), 10))
        for name, kind in (("indices", np.int64), ("distances", np.float32))
    )
    rng = np.random.default_rng(0)
    for at in range(0, len(v), 10_000):
        neighbours[at : at + 10_000] = rng.integers(len(v), size=neighbours[at : at + 10_000].shape)
    cluster(
        v,
        CLASSES,
        TemiConfig(epochs=1, min_steps=1, n_neighbours=10),
        context=ClusterContext(Neighbours(neighbours, far), device="cpu", streamed=True),
    )
    return 1 / 20, "1 epoch of 20, 16 heads, read from disk"


def dynamics(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.training.dynamics import training_dynamics

    begin()
    training_dynamics(v, np.arange(len(v)) % CLASSES, "linear", epochs=2, device="cpu")
    return 2 / 15, "2 epochs of 15, linear"


def selection(v: np.ndarray, work: Path) -> tuple[float, str]:
    from coreset_engine.core.config import make
    from coreset_engine.core.registry import METHODS, load

    begin()
    scores = np.random.default_rng(0).normal(size=len(v)).astype(np.float32)
    made = SimpleNamespace(aum=scores, forgetting=scores)
    inputs = SimpleNamespace(
        dataset=range(len(v)), seed=0, dynamics=made, dynamics_at=lambda **params: made
    )
    load(METHODS["elfs"].function)(inputs, len(v) // 10, make(load(METHODS["elfs"].config), {}), 0)
    return 1.0, "ELFS at 90 %"


def embedding(v: np.ndarray, work: Path) -> tuple[float, str]:
    from PIL import Image

    from coreset_engine.core.types import Dataset
    from coreset_engine.embedding.embedder import embed_images
    from coreset_engine.embedding.encoders.builders import make_encoder

    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)) for _ in range(128)
    ]
    made = Dataset(
        "made", np.array([f"{i}" for i in range(128)]), "made", reader=pictures.__getitem__
    )
    encoder = make_encoder("efficientnet_lite0", device="cpu")
    embed_images(Dataset("few", made.ids[:32], "few", reader=pictures.__getitem__), encoder)
    begin()
    embed_images(made, encoder)
    return 128 / len(v), "128 images at 224 pixels, decoding not counted"


CELLS = dict(
    embedding=embedding,
    neighbours_exact=exact,
    coverage=coverage,
    kmeans=kmeans,
    dynamics=dynamics,
    selection=selection,
    temi=temi,
    neighbours_ivf_pq=products,
)


def in_child(path: str, name: str) -> None:
    """Do one cell, print {"cpu_s", "wall_s", "anon_gb", "share", "note"}."""
    began = time.time()
    with watched() as peak, tempfile.TemporaryDirectory(dir=Path(path).parent) as work:
        share, note = CELLS[name](np.load(path, mmap_mode="r"), Path(work))
        spent = sum(os.times()[:2]) - _began[0]
    print(
        json.dumps(
            dict(
                cpu_s=spent / share,
                wall_s=time.time() - began,
                anon_gb=peak[0] / 1e9,
                share=share,
                note=note,
            )
        )
    )


@contextmanager
def watched() -> Iterator[list[int]]:
    """[the most bytes this process held that are not files]; final once it is left."""
    peak = [anonymous()]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], anonymous())

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield peak
    finally:
        stop.set()
        peak[0] = max(peak[0], anonymous())


def anonymous() -> int:
    """Bytes this process holds that are not files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    return 0
