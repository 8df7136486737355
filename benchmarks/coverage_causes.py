"""What decides the time of a coverage sample: distribution, N, D, clusters, T or the fixed start.

    python benchmarks/coverage_causes.py [--vectors FILE.npy] [--repeats 9]

One thread, CPU time, alpha = 1000. Matrices take turns, so that all of them meet the same machine;
each figure is the median of the repeats, in brackets the smallest, which is the least disturbed.
NumPy is the straightforward version of coverage.py on the same samples. "T at once": samples of one
call, which are ordered so that neighbours in time share columns in the cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

# Instead of this folder: numba asks for a package named coverage, which must not be this file.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
from benchmarks.coverage import ALPHA, EXPONENT, straightforward  # noqa: E402
from coreset_engine.coverage.draws import UNIT, Sampler, Samples  # noqa: E402
from coreset_engine.coverage.kernels.threads import cpu_scorer  # noqa: E402
from coreset_engine.coverage.transposed import transpose_and_quantise  # noqa: E402

STRAIGHT = 6  # samples of the NumPy version in one turn


def mixture(n: int, width: int, clusters: int) -> np.ndarray:
    """(n, width) float32: Gaussian clusters with standard normal centres."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((clusters, width), np.float32)
    vectors = centres[rng.integers(clusters, size=n)]
    for start in range(0, n, 8192):
        vectors[start : start + 8192] += rng.standard_normal((min(8192, n - start), width))
    return vectors


def cpu(task: Callable[[], object]) -> float:
    began = time.process_time()
    task()
    return time.process_time() - began


class Case:
    """One matrix: its fixed start, and microseconds of CPU time per sample, ours and NumPy's."""

    def __init__(self, name: str, vectors: np.ndarray, at_once: int, numpy: bool) -> None:
        self.name = name
        self.at_once = at_once
        self.numpy = numpy
        began = time.process_time()
        self.columns = transpose_and_quantise(vectors, 2, 1)
        self.start = time.process_time() - began
        self.score = cpu_scorer(self.columns, [ALPHA], [EXPONENT], 1)
        self.sampler = Sampler(self.columns, 2, "triangular", 0)
        n = self.columns.n_images
        self.sums = np.zeros(n, np.int64), np.zeros((n, 1), np.int64)
        self.ours: list[float] = []
        self.straight: list[float] = []
        self._score(self._samples(0, 1))  # compiled code is there

    def _samples(self, first: int, units: int) -> Samples:
        parts = [self.sampler.unit(first + number) for number in range(units)]
        return Samples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _score(self, samples: Samples) -> None:
        self.score(samples, *self.sums, lambda done: None)

    def turn(self, repeat: int) -> None:
        """One more figure of each kind."""
        units = self.at_once // UNIT
        samples = self._samples(1 + repeat * units, units)
        self.ours.append(1e6 * cpu(lambda: self._score(samples)) / self.at_once)
        if self.numpy:
            few = samples.take(slice(0, STRAIGHT))
            spent = cpu(lambda: straightforward(self.columns.exact, few.dims, few.points))
            self.straight.append(1e6 * spent / STRAIGHT)

    def line(self) -> str:
        """A row of the table."""
        middle = statistics.median(self.ours)
        cells = [
            self.name,
            f"{self.at_once:,}",
            f"{self.start:.2f}",
            f"{middle:.1f} ({min(self.ours):.1f})",
        ]
        if self.numpy:
            numpy = statistics.median(self.straight)
            cells += [
                f"{numpy:,.0f} ({min(self.straight):,.0f})",
                f"{numpy / middle:.0f}x ({min(self.straight) / min(self.ours):.0f}x)",
            ]
        else:
            cells += ["", ""]
        return f"| {' | '.join(cells)} |"


def cases(vectors: np.ndarray | None) -> list[Case]:
    """The matrices, each with one thing changed."""
    made = [
        Case("30 clusters, N = 60,000, D = 1,280", mixture(60_000, 1280, 30), 16 * UNIT, True),
        Case("30 clusters, N = 60,000, D = 16", mixture(60_000, 16, 30), 4 * UNIT, False),
        Case("1 cluster, N = 60,000, D = 256", mixture(60_000, 256, 1), 4 * UNIT, False),
        Case("1,000 clusters, N = 60,000, D = 256", mixture(60_000, 256, 1000), 4 * UNIT, False),
        Case("30 clusters, N = 10,000, D = 1,280", mixture(10_000, 1280, 30), 4 * UNIT, False),
    ]
    if vectors is not None:
        name = f"given vectors, N = {len(vectors):,}, D = {vectors.shape[1]:,}"
        made.insert(1, Case(name, vectors, 16 * UNIT, True))
    short = Case.__new__(Case)
    short.__dict__ |= made[0].__dict__
    short.at_once, short.numpy, short.ours = 2 * UNIT, False, []
    return [*made, short]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    found = cases(None if given.vectors is None else np.load(given.vectors, mmap_mode="r"))
    for repeat in range(given.repeats):
        for case in found:
            case.turn(repeat)
    print(f"load {os.getloadavg()[0]:.1f}, n = {given.repeats}\n")
    print("| matrix | T at once | fixed start, s | ours, us | NumPy, us | ratio |")
    print("|---|---:|---:|---|---|---|")
    for case in found:
        print(case.line(), flush=True)


if __name__ == "__main__":
    main()
