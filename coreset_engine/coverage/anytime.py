"""Scores that grow: rounds of samples in two independent halves, a convergence figure, resume and
early stop.

A unit of 1024 samples belongs to one half by its parity. After every round the sum of the halves is
a valid score, and how well the halves agree says how settled it is (BlindCS figure 4). Sums are
integers, so neither the rounds nor a kill and a resume change a bit of the result.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput, Corrupt
from coreset_engine.coverage.draws import UNIT, Given, Sampler

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
# samples in a round
SMALLEST = 2 * UNIT
LARGEST = 2**18

# (dims (t, m), points (t, m), hits (N,) int64, penalty (N, C) int64, tick(samples done)): adds to
# hits and penalty
Scorer = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Callable[[int], None]], None]


@dataclass(eq=False)
class Running:
    """The sums so far. hits: (2, N) int64. penalty: (2, N, C) int64, 2^-40 fixed point. done:
    samples in them."""

    hits: np.ndarray
    penalty: np.ndarray
    done: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def empty(n_images: int, columns: int) -> Running:
        return Running(
            np.zeros((2, n_images), np.int64), np.zeros((2, n_images, columns), np.int64)
        )

    def half(self, which: int, column: int) -> np.ndarray:
        """coverage - redundancy of one half: (N,) float64."""
        return self.hits[which] - self.penalty[which, :, column] / float(1 << 40)


def rounds(done: int, total: int, n_images: int) -> Iterator[int]:
    """Where the rounds end: doubling from 2048, later at most 2^18 samples (fewer for many images),
    last at `total`."""
    largest = max(
        2 * SMALLEST, min(LARGEST, 1 << int(np.log2(max(1, LARGEST * 60_000 // max(n_images, 1)))))
    )
    end = SMALLEST
    while end < total:
        if end > done:
            yield end
        end += min(end, largest)
    if total > done:
        yield total


def grow(
    running: Running,
    source: Sampler | Given,
    score: Scorer,
    total: int,
    tick: Callable[[int], None],
    after: Callable[[Running], bool],
    *,
    long: bool = False,
) -> None:
    """Score samples up to `total`, round by round, in place. `after` sees each finished round; True
    ends it.

    long: rounds of up to 2^18 samples for any number of images, where a round has a price of its
        own.
    """
    for end in rounds(running.done, total, 1 if long else running.hits.shape[1]):
        hits = np.zeros_like(running.hits)
        penalty = np.zeros_like(running.penalty)
        before = running.done
        for half in (0, 1):
            dims, points = _samples(source, running.done, end, half)
            if len(dims):
                score(
                    dims,
                    points,
                    hits[half],
                    penalty[half],
                    lambda done, base=before: tick(base + done),
                )
            before += len(dims)
        running.hits += hits
        running.penalty += penalty
        running.done = end
        if after(running):
            return


def _samples(
    source: Sampler | Given, start: int, stop: int, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """Samples [start, stop) of the units whose parity is `half`."""
    parts = []
    for number in range(start // UNIT, -(-stop // UNIT)):
        if number % 2 == half:
            dims, points = source.unit(number)
            part = slice(max(0, start - number * UNIT), min(UNIT, stop - number * UNIT))
            parts.append((dims[part], points[part]))
    if not parts:
        dims, points = source.unit(start // UNIT)
        return dims[:0], points[:0]
    return np.concatenate([dims for dims, _ in parts]), np.concatenate(
        [points for _, points in parts]
    )


def convergence(
    running: Running, column: int = 0, rates: tuple[float, ...] = RATES
) -> dict[str, Any]:
    """How well the two halves agree: `spearman` of their scores and `jaccard` of what each would
    keep, per rate.

    Each half has seen n_samples / 2, so the whole is steadier than the figure. JSON-able; empty
    before both have any.
    """
    if running.done <= UNIT:
        return {}
    ranks = []
    for half in (0, 1):
        order = np.argsort(-running.half(half, column), kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        ranks.append(rank)
    n = len(ranks[0])
    jaccard = {}
    for rate in rates:
        k = max(1, int(np.floor((1 - rate) * n + 0.5)))
        both = int(((ranks[0] < k) & (ranks[1] < k)).sum())
        jaccard[str(rate)] = both / (2 * k - both)
    spearman = float(np.corrcoef(ranks[0], ranks[1])[0, 1]) if n > 1 else 1.0
    return dict(n_samples=running.done, spearman=spearman, jaccard=jaccard)


def save(path: Path, running: Running, identity: str) -> None:
    """Write the sums so far under a temporary name, then rename: a reader never sees half a
    file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez(
            file,
            hits=running.hits,
            penalty=running.penalty,
            done=running.done,
            identity=identity,
            curve=json.dumps(running.curve),
        )
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: Path, identity: str, total: int) -> Running | None:
    """The sums kept in `path`, or None when there is no such file. Raises BadInput if they belong
    to other settings."""
    if not Path(path).exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = str(kept["identity"])
            done = int(kept["done"])
            running = Running(kept["hits"], kept["penalty"], done, json.loads(str(kept["curve"])))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as fault:
        raise Corrupt(
            f"{path} is no readable coverage state ({type(fault).__name__}); delete it."
        ) from None
    if found != identity:
        raise BadInput(
            f"{path} holds the scores of other vectors or settings; give another resume file or delete it."
        )
    if done > total:
        raise BadInput(
            f"{path} already holds {done} samples, more than n_samples={total}; ask for at least {done} or "
            "give another resume file."
        )
    return running
