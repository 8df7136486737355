"""Coverage scores per sample: ours against straightforward NumPy, and ours on 1.28 million images.

    python benchmarks/coverage.py [--vectors FILE.npy] [--sizes 10000 60000] [--large 1280000]
    [--whole]

The straightforward version takes distances to all images and a full argsort, one process per core,
on the same draws and on columns that already lie contiguous. Real vectors (N, D) are best given;
without them a mixture is made. The large matrix is float16 on disk: a mixture of 1,000 clusters in
32 latent directions, pushed through each column's own quantiles of the given vectors (a Gaussian
copula), so that its marginals are those of real embeddings. Prints one Markdown table. `--whole`
runs all T = 1,000,000 samples on the large matrix instead of a part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

# Instead of this folder: numba asks for a package named coverage, which must not be this file.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.coverage.anytime import Running, grow  # noqa: E402
from coreset_engine.coverage.draws import UNIT, Sampler  # noqa: E402
from coreset_engine.coverage.scores import GRID, coverage_scores  # noqa: E402
from coreset_engine.coverage.transposed import transpose_and_quantise  # noqa: E402

ALPHA = 1000
EXPONENT = 4.0
T = 1_000_000
BINS = 4096


def straightforward(
    columns: np.ndarray, dims: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, redundancy) by distances to all and argsort. columns: (D, N) float32."""
    n = columns.shape[1]
    coverage = np.zeros(n)
    redundancy = np.zeros(n)
    for chosen, point in zip(dims, points):
        part = columns[chosen].astype(np.float64)
        nearest = np.abs(part - point[:, None]).sum(0).argmin()
        coverage[nearest] += 1
        distance = np.abs(part - part[:, [nearest]]).sum(0)
        distance[nearest] = np.inf
        neighbours = np.argsort(distance, kind="stable")[: min(ALPHA, n - 1)]
        if distance[neighbours[0]] == 0:
            redundancy[neighbours[0]] += 1
        else:
            weight = (distance[neighbours[0]] / distance[neighbours]) ** EXPONENT
            redundancy[neighbours] += weight / weight.sum()
    return coverage, redundancy


_columns = None


def _straight_part(part: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    began = time.process_time()
    return *straightforward(_columns, *part), time.process_time() - began


def against_numpy(vectors: np.ndarray, samples: int) -> tuple[float, float, float]:
    """Wall and CPU microseconds per sample of the straightforward version; max abs difference of
    the scores."""
    global _columns
    _columns = np.ascontiguousarray(vectors.T, np.float32)
    sampler = Sampler(transpose_and_quantise(vectors, 2, cpu_count()), 2, "triangular", 0)
    units = [sampler.unit(number) for number in range(-(-samples // UNIT))]
    dims, points = (np.concatenate(part)[:samples] for part in list(zip(*units))[:2])
    cores = cpu_count()
    with ProcessPoolExecutor(cores) as pool:
        parts = [(dims[i::cores], points[i::cores]) for i in range(cores)]
        list(
            pool.map(_straight_part, [(d[:1], p[:1]) for d, p in parts])
        )  # processes are up before the clock starts
        began = time.perf_counter()
        found = list(pool.map(_straight_part, parts))
        spent = time.perf_counter() - began
    coverage, redundancy = (sum(part[i] for part in found) for i in (0, 1))
    ours = coverage_scores(vectors, draws=(dims, points), n_neighbours=ALPHA, device="cpu")
    worked = sum(part[2] for part in found)
    return (
        1e6 * spent / samples,
        1e6 * worked / samples,
        float(np.abs(ours.score - (coverage - redundancy)).max()),
    )


def ours(path: str, samples: int, alphas: list[int]) -> dict[str, float]:
    """Wall and CPU time per sample, set-up seconds and peak memory of this process; compiled code
    is warm."""
    from coreset_engine.coverage.kernels.threads import cpu_scorer

    began = time.perf_counter()
    columns = transpose_and_quantise(np.load(path, mmap_mode="r"), 2, cpu_count())
    ready = time.perf_counter() - began
    score = cpu_scorer(columns, sorted(alphas, reverse=True), [EXPONENT], cpu_count())
    sampler = Sampler(columns, 2, "triangular", 0)
    running = Running.empty(columns.n_images, len(alphas))
    grow(running, sampler, score, 256)
    wall = time.perf_counter()
    cpu = time.process_time()
    grow(running, sampler, score, 256 + samples)
    spent = time.perf_counter() - wall
    worked = time.process_time() - cpu
    return dict(
        wall_us=1e6 * spent / samples,
        core_us=1e6 * worked / samples,
        ready_s=ready,
        run_s=spent,
        peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )


def in_child(path: Path, samples: int, alphas: list[int]) -> dict[str, float]:
    """`ours` in a process of its own, so that its peak memory is its own."""
    words = [sys.executable, __file__, "--child", str(path), str(samples), *map(str, alphas)]
    return json.loads(
        subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )


def mixture(path: Path, n: int, like: np.ndarray, seed: int = 0) -> None:
    """Write (n, D) float16 vectors to `path`: a clustered Gaussian copula with the marginals of
    `like`."""
    rng = np.random.default_rng(seed)
    width = like.shape[1]
    table = np.quantile(
        like[:: max(1, len(like) // 20_000)].astype(np.float32), np.linspace(0, 1, BINS), axis=0
    )
    table = np.ascontiguousarray(table.T, np.float32)  # (D, BINS)
    from scipy.special import ndtr

    bins = np.round(ndtr(np.linspace(-5, 5, 8192)) * (BINS - 1)).astype(
        np.int64
    )  # normal value -> quantile
    centres = rng.normal(size=(1000, 32))
    loads = rng.normal(size=(32, width)).astype(np.float32) / np.sqrt(32)
    out = np.lib.format.open_memmap(path, "w+", np.float16, (n, width))
    for start in range(0, n, 8192):
        rows = min(8192, n - start)
        latent = 0.8 * centres[rng.integers(1000, size=rows)] + 0.6 * rng.normal(size=(rows, 32))
        z = 0.8 * (latent.astype(np.float32) @ loads) + 0.6 * rng.standard_normal(
            (rows, width), np.float32
        )
        folder = bins[np.clip((z + 5) * 819.1, 0, 8191).astype(np.int32)]
        out[start : start + rows] = table[np.arange(width), folder]
    out.flush()


def plain_mixture(n: int = 60_000, width: int = 1280) -> np.ndarray:
    """(n, width) float32 in the manner of pooled activations, where no real vectors are given."""
    rng = np.random.default_rng(0)
    centres = rng.gamma(0.6, 0.7, size=(50, width)).astype(np.float32)
    return np.abs(
        centres[rng.integers(50, size=n)] + 0.4 * rng.standard_normal((n, width), np.float32)
    )


def gaussian_mixture(n: int = 60_000, width: int = 1280) -> np.ndarray:
    """(n, width) float32: 30 Gaussian clusters, no sparsity, no heavy tails."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((30, width), np.float32)
    vectors = centres[rng.integers(30, size=n)]
    for start in range(0, n, 8192):
        part = vectors[start : start + 8192]
        part += rng.standard_normal(part.shape, np.float32)
    return vectors


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(
            json.dumps(ours(sys.argv[2], int(sys.argv[3]), [int(alpha) for alpha in sys.argv[4:]]))
        )
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path)
    parser.add_argument(
        "--gaussian", action="store_true", help="a mixture of 30 Gaussians instead of --vectors"
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 60_000])
    parser.add_argument("--large", type=int, default=1_280_000, help="0 leaves it out")
    parser.add_argument("--whole", action="store_true", help="all T samples on the large matrix")
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument(
        "--folder", type=Path, help="where the large matrix is made; needs 2 N D bytes"
    )
    given = parser.parse_args()
    if given.vectors:
        vectors = np.load(given.vectors, mmap_mode="r")
    else:
        vectors = gaussian_mixture() if given.gaussian else plain_mixture()
    print(
        f"{platform.processor() or platform.machine()}, {cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}; "
        f"D = {vectors.shape[1]}, alpha = {ALPHA}, m = 2; "
        f"{'real embeddings' if given.vectors else 'a clustered mixture'}\n"
    )
    print(
        "us = microseconds per sample: wall time with all cores at work / CPU time of all cores "
        "together\n"
    )
    print(
        "| N | NumPy, us | ours, us | ratio, wall / CPU | seven alphas to the largest alone | "
        "set-up | T = 1 M | "
        "peak memory | max difference |\n|---|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        small_sizes(given, vectors, Path(folder))
        if given.large:
            large_size(given, vectors, Path(folder) / "large.npy")


def small_sizes(given: argparse.Namespace, vectors: np.ndarray, folder: Path) -> None:
    """One row per size: the baseline, ours for one alpha, ours for the slider's seven."""
    for n in given.sizes:
        path = folder / f"{n}.npy"
        np.save(path, vectors[:n])
        own = in_child(path, given.samples, [ALPHA])
        most, grid = (
            in_child(path, given.samples // 2, alphas) for alphas in ([max(GRID)], list(GRID))
        )
        wall, core, apart = against_numpy(np.load(path), max(200, 24_000_000 // n))
        print(
            f"| {n:,} | {wall:,.0f} / {core:,.0f} | {own['wall_us']:.1f} / {own['core_us']:.1f} | "
            f"{wall / own['wall_us']:.0f} x / {core / own['core_us']:.0f} x | "
            f"{grid['core_us'] / most['core_us']:.2f} x | {own['ready_s']:.1f} s | "
            f"{own['ready_s'] + own['wall_us'] * T / 1e6:.0f} s | {own['peak_gb']:.1f} GB | "
            f"{apart:.1e} |",
            flush=True,
        )


def large_size(given: argparse.Namespace, vectors: np.ndarray, path: Path) -> None:
    """Ours on the large float16 memmap; T = 1 M from a part of the samples unless all are run."""
    mixture(path, given.large, vectors)
    samples = T if given.whole else 4096
    own = in_child(path, samples, [ALPHA])
    full = own["ready_s"] + own["wall_us"] * T / 1e6
    how = "measured" if given.whole else f"from {samples:,} samples"
    print(
        f"| {given.large:,} (float16 on disk) | | {own['wall_us']:.1f} / {own['core_us']:.1f} | | "
        "| "
        f"{own['ready_s']:.1f} s | {full:.0f} s ({how}) | {own['peak_gb']:.1f} GB | |",
        flush=True,
    )


if __name__ == "__main__":
    main()
