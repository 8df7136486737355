"""How long a forecast takes: 60,000 images of 1,280 dimensions, 30 candidates at five pruning rates.

    python benchmarks/forecast_time.py [--images 60000] [--dims 1280] [--only NAME,NAME]

Vectors are drawn around 200 centres. Neighbours and training dynamics are stand-ins of the right
shape (the nearest within random blocks of 3,000 images; random scores), which cost as much to rank
by. Seconds are of CPU, so that a shared machine does not count; set OMP_NUM_THREADS=1 for those of
one core. Compiled loops are compiled before, on a small set.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # benchmarks/coverage.py hides a package

from coreset_engine.core.types import Dynamics, Neighbours  # noqa: E402

RATES = (0.5, 0.8, 0.9, 0.95, 0.99)
SCORES = ("aum", "forgetting", "el2n", "grand", "entropy", "dyn_unc", "tdds", "dual")
METHODS = (
    "kmedoids,typiclust,facility_location,facility_location_full,maxherding,d2,prototypicality,"
    "class_balanced,elfs,ccs," + ",".join(SCORES)
).split(",")
N_CENTRES = 200
BLOCK = 3000
N_NEAREST = 50


def main() -> None:
    """Print when the first answers came, and the seconds of each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--dims", type=int, default=1_280)
    parser.add_argument("--only", default=",".join(METHODS))
    options = parser.parse_args()
    names = options.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CORESET_HOME"] = folder
        timed(StandIn(1_500, 64, Path(folder)), names)
        seconds = timed(StandIn(options.images, options.dims, Path(folder)), names)
    print(f"{options.images:,} images of {options.dims:,} dimensions; {len(seconds)} methods")
    print("\n| | CPU seconds |\n|---|---:|")
    for name, spent in seconds.items():
        print(f"| {name} | {spent:.1f} |")


class StandIn:
    """Inputs of the methods: drawn vectors, and stand-ins for what takes long to compute."""

    def __init__(self, n: int, dims: int, folder: Path) -> None:
        import coreset_engine as ce

        rng = np.random.default_rng(0)
        path = folder / f"{n}.npy"
        np.save(path, drawn(rng, n, dims))
        run = ce.Run(ce.open_source(str(path)), seed=0)
        self.dataset = run.dataset
        self.seed = 0
        self.vectors = run.vectors
        self.neighbours = nearest_in_blocks(rng, np.asarray(run.vectors))
        scores = {name: rng.random(n, np.float32) for name in (*SCORES, "loss")}
        scores["mean_probability"] = rng.random(n, np.float32)
        self.dynamics = Dynamics(margins=np.zeros((n, 1), np.float16), **scores)
        clusters = rng.integers(0, 10, n)
        self.pseudo_labels = argparse.Namespace(labels=clusters, n_clusters=10)

    def dynamics_at(self, **_: object) -> Dynamics:
        return self.dynamics

    def ready(self, stage: str) -> bool:
        return True


def drawn(rng: np.random.Generator, n: int, dims: int) -> np.ndarray:
    """(n, dims) float32: Gaussian groups around N_CENTRES centres."""
    rows = rng.standard_normal((n, dims), np.float32)
    centres = rng.standard_normal((N_CENTRES, dims), np.float32)
    rows += centres[rng.integers(0, N_CENTRES, n)]
    return rows


def nearest_in_blocks(rng: np.random.Generator, vectors: np.ndarray) -> Neighbours:
    """For every image the N_NEAREST images by cosine among those of its random block."""
    n = len(vectors)
    indices = np.empty((n, N_NEAREST), np.int64)
    distances = np.empty((n, N_NEAREST), np.float32)
    order = rng.permutation(n)
    for start in range(0, n, BLOCK):
        block = order[start : start + BLOCK]
        rows = vectors[block, :64]
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        far = 1 - rows @ rows.T
        np.fill_diagonal(far, np.inf)
        neighbours = np.argsort(far, axis=1)[:, :N_NEAREST]
        indices[block] = block[neighbours]
        distances[block] = np.take_along_axis(far, neighbours, axis=1)
    return Neighbours(indices, np.clip(distances, 0, 2))


def timed(run: StandIn, names: list[str]) -> dict[str, float]:
    """Seconds to the first answers and in all, and of each method, by title."""
    from coreset_engine.pipeline.forecast_stage import forecast_steps

    began = last = time.process_time()
    found: dict[str, float] = {}
    steps = forecast_steps(run, names, RATES, seed=0)
    rows: tuple = ()
    for step in steps:
        now = time.process_time()
        if len(step.rows) > len(rows):
            method = step.rows[-1].method
            if not rows:
                found["until random's accuracy at the first rate"] = now - began
            elif method != "random" and rows[-1].method == "random":
                found["until labels needed by random"] = last - began
                found["until the first gain of a method"] = now - began
            found[method] = found.get(method, 0.0) + now - last
        rows = step.rows
        last = now
    found["all"] = last - began
    return found


if __name__ == "__main__":
    main()
