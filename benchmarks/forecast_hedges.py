"""Would coresets that are random in part do better than those of one method?

    python benchmarks/forecast_hedges.py measure FOLDER [--raw hedges.jsonl] [--seeds 5] [--sets a,b]
        [--first 0] [--hedges TEXT]
    python benchmarks/forecast_hedges.py tables --raw hedges.jsonl --forecast forecast.jsonl
        [--docs docs/forecast.md]

Sets, pools, seeds, forecasts and judges of the truth are those of `benchmarks/forecast.py`, whose raw
file holds the methods themselves; here are hedges of them (HEDGES) at 50, 70 and 80 % pruned, and every
draw of random alone, which tells how far below itself random lies by chance.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # benchmarks/coverage.py hides a package

from benchmarks import forecast, methods  # noqa: E402

RATES = (0.5, 0.7, 0.8, 0.9, 0.95)  # of the hedges; draws of random are judged at every rate
FIRST_SEED = 104_729  # of the random parts; other than those of the draws compared with


def main() -> None:
    """Measure what is not in the raw file yet, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--sets", default=",".join(methods.MAIN_SETS))
    measuring.add_argument("--seeds", type=int, default=5)
    measuring.add_argument("--first", type=int, default=0, help="the first seed")
    measuring.add_argument("--hedges", default="", help="those whose name holds this text")
    reporting = commands.add_parser("tables")
    reporting.add_argument("--forecast", type=Path, default=Path("forecast.jsonl"))
    reporting.add_argument("--docs", type=Path, help="page whose tables are replaced")
    for part in (measuring, reporting):
        part.add_argument("--raw", type=Path, default=Path("hedges.jsonl"))
    options = parser.parse_args()
    if options.command == "measure":
        measure(options)
    else:
        from benchmarks.forecast_report.hedges import write_tables

        write_tables(options.raw, options.forecast, options.docs)


def measure(options: argparse.Namespace) -> None:
    """Append the rows of every set and seed that the raw file lacks."""
    wanted = [name for name in HEDGES if options.hedges in name]
    for seed in range(options.first, options.first + options.seeds):
        for name in options.sets.split(","):
            rows = [r for r in methods.read(options.raw) if (r["set"], r["seed"]) == (name, seed)]
            done = {(row["rate"], row["method"]) for row in rows}
            left = {rate: [one for one in wanted if (rate, one) not in done] for rate in RATES}
            if not any(left.values()):
                continue
            began = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                measured = forecast.Measured(options.folder, name, seed, Path(folder))
                found = list(rows_of(measured, left, done))
            with open(options.raw, "a", encoding="utf-8") as out:
                out.write("".join(json.dumps(row) + "\n" for row in found))
            print(f"{name} {seed}: {time.process_time() - began:.0f} s CPU", flush=True)


def rows_of(
    measured: forecast.Measured, wanted: dict[float, list[str]], done: set
) -> Iterator[dict]:
    """Every draw of random, and the hedges wanted at each rate."""
    from coreset_engine.core.rates import kept_count

    parts = Parts(measured)
    for rate in forecast.RATES:
        k = kept_count(measured.n, rate)
        if k >= forecast.FEWEST_KEPT and (rate, "random") not in done:
            yield from random_rows(measured, rate, k)
        for name in wanted.get(rate, []):
            kept = HEDGES[name](parts, k)
            if len(np.unique(kept)) != k:
                raise SystemExit(f"{name} kept {len(np.unique(kept))} images instead of {k}.")
            yield measured.row(rate, name, {}, [kept])


def random_rows(measured: forecast.Measured, rate: float, k: int) -> Iterator[dict]:
    """Every draw alone, and their mean."""
    from coreset_engine.selection.keyed_random import random_order

    ids = measured.run.dataset.ids
    orders = [random_order(ids, measured.seed + 7919 + i) for i in range(forecast.N_RANDOM)]
    about = dict(set=measured.name, seed=measured.seed, rate=rate, k=k)
    truths = [measured.truth(order[:k]) for order in orders]
    for draw, truth in enumerate(truths):
        yield about | dict(method="draw", params={"draw": draw}) | truth
    judged = [measured.judged(order[:k]) for order in orders[: forecast.N_COMPARED]]
    row = about | dict(n=measured.n, method="random", params={})
    for some in (truths, judged):
        row |= {key: forecast.mean([one[key] for one in some]) for key in some[0]}
    yield row


class Parts:
    """What hedges are made of, on one pool."""

    def __init__(self, measured: forecast.Measured) -> None:
        from coreset_engine.selection.keyed_random import random_order

        self.run = measured.run
        self.n = measured.n
        self.seed = measured.seed
        self.directions = measured.features.directions
        self.random = random_order(measured.run.dataset.ids, measured.seed + FIRST_SEED)
        self._clusters: dict[int, np.ndarray] = {}

    def ranked(
        self,
        method: str,
        k: int,
        first: np.ndarray | None = None,
        within: np.ndarray | None = None,
    ) -> np.ndarray:
        """(k,) positions that a method keeps: after `first`, or places in `within`."""
        from coreset_engine.core.config import make
        from coreset_engine.core.registry import METHODS, load
        from coreset_engine.pipeline.forecast_part import Part

        run = self.run if within is None else Part(self.run, within)
        row = METHODS[method]
        given = {} if first is None else dict(preselected=np.asarray(first, np.int64))
        ranking = load(row.function)(run, k, make(load(row.config), {}), self.seed, **given)
        order = ranking.order if first is None else np.concatenate([first, ranking.order])
        return np.asarray(list(dict.fromkeys(order.tolist()))[:k])

    def completed(self, first: np.ndarray, k: int) -> np.ndarray:
        """`first`, then random ones up to k."""
        return np.concatenate([first, self.random[~np.isin(self.random, first)]])[:k]

    def clusters(self, count: int) -> np.ndarray:
        """(N,) k-means labels."""
        from sklearn.cluster import KMeans

        if count not in self._clusters:
            model = KMeans(count, n_init=1, max_iter=30, random_state=self.seed)
            self._clusters[count] = model.fit_predict(self.directions)
        return self._clusters[count]

    def in_proportion(self, order: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
        """The first of `order` in each cluster, as many as its share of all images.

        Image i of a cluster of m images, counted from 0 in that order, comes at (i + u) / m with one u
        for each cluster: the first k by that figure.
        """
        sizes = np.bincount(labels)
        offset = np.random.default_rng([self.seed, 17]).random(len(sizes))
        rank = np.empty(self.n)
        seen = np.zeros(len(sizes))
        for position in order:
            label = labels[position]
            rank[position] = (seen[label] + offset[label]) / sizes[label]
            seen[label] += 1
        return np.argsort(rank, kind="stable")[:k]


def random_after(method: str, share: float) -> Callable[[Parts, int], np.ndarray]:
    """`share` of the budget by a method, the rest at random."""
    return lambda parts, k: parts.completed(parts.ranked(method, round(share * k)), k)


def method_after(method: str, share: float) -> Callable[[Parts, int], np.ndarray]:
    """`share` of the budget at random, then the method, which knows what is kept already."""
    return lambda parts, k: parts.ranked(method, k, parts.random[: round(share * k)])


def stratified(count: Callable[[int], int]) -> Callable[[Parts, int], np.ndarray]:
    """At random within each cluster, in proportion to its size; count: k -> clusters."""
    return lambda parts, k: parts.in_proportion(parts.random, parts.clusters(count(k)), k)


def with_quotas(method: str, count: int) -> Callable[[Parts, int], np.ndarray]:
    """By a method's order within each of `count` clusters, in proportion to its size."""

    def hedge(parts: Parts, k: int) -> np.ndarray:
        order = parts.completed(parts.ranked(method, k), parts.n)
        return parts.in_proportion(order, parts.clusters(count), k)

    return hedge


def within_part(method: str) -> Callable[[Parts, int], np.ndarray]:
    """By a method among half of the images that it would leave out, and as many as it would keep."""

    def hedge(parts: Parts, k: int) -> np.ndarray:
        within = np.sort(parts.random[: (k + parts.n) // 2])
        return within[parts.ranked(method, k, within=within)]

    return hedge


HEDGES: dict[str, Callable[[Parts, int], np.ndarray]] = {
    "50% maxherding, then random": random_after("maxherding", 0.5),
    "75% maxherding, then random": random_after("maxherding", 0.75),
    "25% random, then maxherding": method_after("maxherding", 0.25),
    "50% random, then maxherding": method_after("maxherding", 0.5),
    "75% random, then maxherding": method_after("maxherding", 0.75),
    "25% random, then facility_location_full": method_after("facility_location_full", 0.25),
    "50% random, then facility_location_full": method_after("facility_location_full", 0.5),
    "0% random, then maxherding": method_after("maxherding", 0.0),
    "0% random, then facility_location_full": method_after("facility_location_full", 0.0),
    "random in 40 clusters": stratified(lambda k: 40),
    "random in k / 2 clusters": stratified(lambda k: max(2, k // 2)),
    "maxherding in 40 clusters": with_quotas("maxherding", 40),
    "facility_location_full in 40 clusters": with_quotas("facility_location_full", 40),
    "maxherding within a random part": within_part("maxherding"),
}


if __name__ == "__main__":
    main()
