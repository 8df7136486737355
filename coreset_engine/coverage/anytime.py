"""Anytime scores: rounds in two independent halves, convergence, resume and early stop.

A unit of 1024 samples belongs to one half by its parity. After every round the sum of the halves is
a valid score, and how well the halves agree says how stable it is (BlindCS figure 4). Sums are
integers, so neither the rounds nor a kill and a resume change a bit of the result.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from coreset_engine.core.errors import BadInput, Corrupt
from coreset_engine.core.rates import kept_count
from coreset_engine.coverage.draws import UNIT, ExplicitDraws, Sampler, Samples

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
LINEAR = 0.85  # share of common images from which it grows with the samples as derived
FIXED = float(1 << 40)
# samples in a round
SMALLEST = 2 * UNIT
LARGEST = 2**18

# (samples, hits (N,) int64, penalty (N, C) int64, tick(samples done)): adds to hits and penalty
Scorer = Callable[[Samples, np.ndarray, np.ndarray, Callable[[int], None]], None]


class Settled(NamedTuple):
    """Sums of one column of penalty where it stopped: `done` samples, hits and penalty (2, N)."""

    done: int
    hits: np.ndarray
    penalty: np.ndarray


@dataclass(frozen=True)
class StopRule:
    """When a column of scores is settled.

    Attributes
    ----------
    target : Jaccard index of two coresets
    rate : pruning rate at which they are compared
    seeds : compare what two seeds would keep (estimated), at `rate` and every smaller rate that is
        measured, so that one stop serves every rate up to it; else what the two halves keep at
        `rate` alone
    """

    target: float
    rate: float
    seeds: bool = True

    def holds(self, figure: dict[str, Any]) -> bool:
        """Whether a figure of `convergence` reaches the target."""
        if not figure:
            return False
        if not self.seeds:
            return bool(figure["jaccard"][str(self.rate)] >= self.target)
        asked = [
            agreement for at, agreement in figure["agreement"].items() if float(at) <= self.rate
        ]
        return min(asked) >= self.target


@dataclass(eq=False)
class Running:
    """The sums so far.

    Attributes
    ----------
    hits : (2, N) int64
    penalty : (2, N, C) int64, 2^-40 fixed point
    done : samples in them
    curves : for each column of penalty, figures of `convergence` along the way
    settled : columns that have stopped, by number
    """

    hits: np.ndarray
    penalty: np.ndarray
    done: int = 0
    curves: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    settled: dict[int, Settled] = field(default_factory=dict)

    @staticmethod
    def empty(n_images: int, columns: int) -> Running:
        """No samples yet."""
        return Running(
            np.zeros((2, n_images), np.int64), np.zeros((2, n_images, columns), np.int64)
        )

    def half(self, which: int, column: int) -> np.ndarray:
        """coverage - redundancy of one half: (N,) float64."""
        return self.hits[which] - self.penalty[which, :, column] / FIXED

    def at(self, column: int) -> Settled:
        """The sums of a column: where it settled, else all."""
        sums = self.settled.get(column)
        return sums or Settled(self.done, self.hits, self.penalty[:, :, column])

    def observe(self, rates: tuple[float, ...], rule: StopRule | None, last: bool) -> bool:
        """Add to the curves and settle the columns for which `rule` holds; True when all have.

        Without a rule, figures are taken whenever the samples have doubled, and at the last round.
        """
        columns = range(self.penalty.shape[2])
        for column in columns:
            curve = self.curves.setdefault(column, [])
            doubled = not curve or self.done >= 2 * curve[-1]["n_samples"]
            if column in self.settled or not (rule or last or doubled):
                continue
            figure = convergence(self, column, rates)
            holds = rule is not None and rule.holds(figure)
            if figure and (doubled or last or holds):
                curve.append(figure)
            if holds:
                sums = self.hits.copy(), self.penalty[:, :, column].copy()
                self.settled[column] = Settled(self.done, *sums)
        return len(self.settled) == len(columns)


def rounds(done: int, total: int, n_images: int) -> Iterator[int]:
    """Ends of the rounds: doubling from 2048, at most 2^18 samples each, the last at `total`."""
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


class Hooks(NamedTuple):
    """Callbacks of `grow`: tick(samples done), and after(state of a finished round); True stops."""

    tick: Callable[[int], None] = lambda done: None
    after: Callable[[Running], bool] = lambda state: False


def grow(
    running: Running,
    source: Sampler | ExplicitDraws,
    score: Scorer,
    total: int,
    hooks: Hooks = Hooks(),
    *,
    long: bool = False,
) -> None:
    """Score samples up to `total`, round by round, in place.

    Parameters
    ----------
    running : Running
        The sums so far.
    source : Sampler or ExplicitDraws
        Where samples come from.
    score : Scorer
        Adds samples to sums.
    total : int
        Samples wanted in all.
    hooks : Hooks
    long : bool
        Rounds of up to 2^18 samples for any number of images, where every round has a fixed cost.
    """
    for end in rounds(running.done, total, 1 if long else running.hits.shape[1]):
        hits = np.zeros_like(running.hits)
        penalty = np.zeros_like(running.penalty)
        before = running.done
        for half in (0, 1):
            samples = _samples(source, running.done, end, half)
            count = len(samples.dims)
            if count:

                def scored(done: int, base: int = before) -> None:
                    hooks.tick(base + done)

                score(samples, hits[half], penalty[half], scored)
            before += count
        running.hits += hits
        running.penalty += penalty
        running.done = end
        if hooks.after(running):
            return


def _samples(source: Sampler | ExplicitDraws, start: int, stop: int, half: int) -> Samples:
    """Samples [start, stop) of the units whose parity is `half`."""
    parts = []
    for number in range(start // UNIT, -(-stop // UNIT)):
        if number % 2 == half:
            part = slice(max(0, start - number * UNIT), min(UNIT, stop - number * UNIT))
            parts.append(source.unit(number).take(part))
    if not parts:
        return source.unit(start // UNIT).take(slice(0, 0))
    return Samples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def convergence(
    running: Running, column: int = 0, rates: tuple[float, ...] = RATES
) -> dict[str, Any]:
    """How well the two halves of the samples agree.

    Returns
    -------
    dict
        JSON-able: n_samples; spearman of the halves' scores; jaccard of what the halves would keep,
        by pruning rate; agreement, the Jaccard index expected of two full runs (`seed_agreement`).
        Empty before both halves have samples.
    """
    if running.done <= UNIT:
        return {}
    ranks = [_ranks(running.half(half, column)) for half in (0, 1)]
    n = len(ranks[0])
    jaccard = {}
    for rate in rates:
        k = kept_count(n, rate)
        both = int(((ranks[0] < k) & (ranks[1] < k)).sum())
        jaccard[str(rate)] = both / (2 * k - both)
    return dict(
        n_samples=running.done,
        spearman=float(np.corrcoef(ranks[0], ranks[1])[0, 1]) if n > 1 else 1.0,
        jaccard=jaccard,
        agreement={rate: seed_agreement(values) for rate, values in jaccard.items()},
    )


def _ranks(score: np.ndarray) -> np.ndarray:
    order = np.argsort(-score, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def seed_agreement(halves: float) -> float:
    """Jaccard index expected between the coresets of two seeds with T samples each.

    Each half has T / 2 samples, so its noise is sqrt(2) times that of a full run. Near the cut the
    scores' density is about constant while the noise is small, and the share of a coreset that
    changes, 1 - o with o = 2 J / (1 + J), is proportional to the noise: 1 - o(T) = (1 - o(T / 2)) /
    sqrt(2). J = 0.9 for two seeds thus takes J = 0.861 for the halves. Where the halves share less
    than `LINEAR` of their images this does not hold; there the halves' own figure is returned,
    which a full run exceeds.

    Parameters
    ----------
    halves : float
        Jaccard index of what the two halves keep, in [0, 1].
    """
    shared = 2 * halves / (1 + halves)
    if shared < LINEAR:
        return halves
    shared = 1 - (1 - shared) / np.sqrt(2)
    return float(shared / (2 - shared))


def save(path: Path, running: Running, identity: str) -> None:
    """Write the sums so far atomically: a reader never sees half a file."""
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
            curves=json.dumps(running.curves),
            **_named(running.settled),
        )
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _named(settled: dict[int, Settled]) -> dict[str, Any]:
    named: dict[str, Any] = dict(columns=np.array(sorted(settled), np.int64))
    for column, sums in settled.items():
        for name, value in sums._asdict().items():
            named[f"settled_{column}_{name}"] = value
    return named


def _settled(kept: Any) -> dict[int, Settled]:
    settled = {}
    for column in kept["columns"].tolist():
        done, hits, penalty = (kept[f"settled_{column}_{name}"] for name in Settled._fields)
        settled[column] = Settled(int(done), hits, penalty)
    return settled


def load(path: Path, identity: str, total: int) -> Running | None:
    """The sums kept in `path`, or None when there is no such file.

    Raises
    ------
    BadInput
        When they belong to other vectors or settings, or hold more samples than `total`.
    Corrupt
        When the file cannot be read.
    """
    if not Path(path).exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            stored = str(kept["identity"])
            done = int(kept["done"])
            running = Running(kept["hits"], kept["penalty"], done)
            curves = json.loads(str(kept["curves"]))
            running.curves = {int(column): curve for column, curve in curves.items()}
            running.settled = _settled(kept)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise Corrupt(
            f"{path} is not a readable coverage state ({type(error).__name__}); delete it."
        ) from None
    if stored != identity:
        raise BadInput(
            f"{path} holds the scores of other vectors or settings; give another resume file or "
            "delete it."
        )
    if done > total:
        raise BadInput(
            f"{path} already holds {done} samples, more than n_samples={total}; ask for at least "
            f"{done} or "
            "give another resume file."
        )
    return running
