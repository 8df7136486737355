"""Time of one similar-image query and recall of its index, against exact brute force.

    python benchmarks/find.py [--sizes 60000,1000000] [--dims 384] [--queries 50] [--out FILE]

Vectors lie near a curved surface of 24 dimensions: latent points around 1,000 overlapping centres,
bent by a random layer, plus noise in all dimensions, so that neighbourhoods run across the lists of
an index. For each size: seconds to build and to
load the index, bytes, seconds of a query for the 200 most similar (median and worst), recall@10 and
@200 against brute force, and brute force's own time. Counts of a cross-filter over five columns are
timed on as many rows. One thread unless OMP_NUM_THREADS says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import Store
from coreset_engine.core.filters import Filter
from coreset_engine.core.types import Dataset
from coreset_engine.curation import search_index
from coreset_engine.curation.facets import cross_filter
from coreset_engine.curation.search import find
from coreset_engine.pipeline.run import Run

COUNT = 200
LATENT = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="60000,1000000")
    parser.add_argument("--dims", type=int, default=384)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--out", default="")
    given = parser.parse_args()
    rows = [
        measured(int(size), given.dims, given.queries) for size in given.sizes.split(",") if size
    ]
    found = dict(
        machine=platform.processor() or platform.machine(), cores=os.cpu_count(), rows=rows
    )
    text = json.dumps(found, indent=1)
    print(text)
    if given.out:
        Path(given.out).write_text(text + "\n")


def measured(n: int, dims: int, queries: int) -> dict[str, Any]:
    """All figures of one size."""
    with tempfile.TemporaryDirectory(prefix="coreset-find-") as folder:
        run = made_run(Path(folder), n, dims)
        run.vectors  # noqa: B018 - kept before the clock starts
        began = time.perf_counter()
        index = search_index.search_index(run)
        built = time.perf_counter() - began
        search_index._KEPT.clear()
        began = time.perf_counter()
        index = search_index.search_index(run)
        loaded = time.perf_counter() - began
        return dict(
            images=n,
            dims=dims,
            index="one pass" if index.exact else f"lists, {index.probed} looked into",
            build_seconds=round(built, 1),
            load_seconds=round(loaded, 2),
            **query_times(run, queries),
            **filter_times(run),
        )


def made_run(folder: Path, n: int, dims: int) -> Run:
    """A run over n vectors with five columns, on disk."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1000, LATENT)).astype(np.float32)
    bend = rng.normal(size=(LATENT, 64)).astype(np.float32) / np.sqrt(LATENT)
    lift = rng.normal(size=(64, dims)).astype(np.float32) / 8
    path = folder / "vectors.npy"
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, dims))
    for at in range(0, n, 50_000):
        some = min(50_000, n - at)
        latent = centres[rng.integers(0, 1000, some)]
        latent = latent + rng.standard_normal((some, LATENT), np.float32)
        noise = rng.standard_normal((some, dims), np.float32)
        rows[at : at + some] = np.tanh(2 * latent @ bend) @ lift + np.float32(0.1) * noise
    rows.flush()
    columns = dict(
        camera=np.array(["A7", "R5", "Z9", "X100", ""])[rng.integers(0, 5, n)],
        time=np.array(["night", "day", "dusk"])[rng.integers(0, 3, n)],
        width=rng.integers(200, 4000, n).astype(float),
        blur=rng.normal(size=n),
        site=np.array([f"site-{i}" for i in range(200)])[rng.integers(0, 200, n)],
    )
    ids = np.char.add("i", np.arange(n).astype(str))
    vectors = np.load(path, mmap_mode="r")
    dataset = Dataset(str(path), ids, f"find-{n}-{dims}", vectors=vectors, columns=columns)
    return Run(dataset, store=Store(folder / "home"))


def query_times(run: Run, queries: int) -> dict[str, Any]:
    """Seconds and recall over evenly spaced images as queries."""
    exact = search_index.ExactIndex(run.vectors)
    picked = np.linspace(0, len(run.dataset) - 1, queries).astype(np.int64)
    seconds, brute, recall_10, recall_200 = [], [], [], []
    for position in picked.tolist():
        vector = np.asarray(run.vectors[position], np.float32)
        began = time.perf_counter()
        found = find(run, like=vector, count=COUNT)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        true, _ = exact.search(vector / np.linalg.norm(vector), COUNT)
        brute.append(time.perf_counter() - began)
        recall_10.append(len(np.intersect1d(found.indices[:10], true[:10])) / 10)
        recall_200.append(len(np.intersect1d(found.indices, true)) / COUNT)
    return dict(
        query_median=round(float(np.median(seconds)), 4),
        query_worst=round(max(seconds), 4),
        brute_force_median=round(float(np.median(brute)), 4),
        recall_10=round(float(np.mean(recall_10)), 4),
        recall_200=round(float(np.mean(recall_200)), 4),
    )


def filter_times(run: Run) -> dict[str, Any]:
    """Processor seconds of counts over five columns under three filters, at first and again."""
    chosen = {
        "time": Filter.equals("time", "night"),
        "width": Filter.between("width", 512),
        "camera": Filter.one_of("camera", ["A7", "R5"]),
    }
    names = ["camera", "time", "width", "blur", "site"]
    times = []
    for _ in range(3):
        began = time.process_time()
        cross_filter(run.columns, chosen, names)
        times.append(round(time.process_time() - began, 4))
    return dict(cross_filter_first=times[0], cross_filter_again=min(times[1:]))


if __name__ == "__main__":
    main()
