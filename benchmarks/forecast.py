"""Does the forecast hold? Expected against true gains over random, and what `auto` makes of them.

    python benchmarks/forecast.py measure FOLDER [--raw forecast.jsonl] [--seeds 5] [--sets a,b]
    python benchmarks/forecast.py tables [--raw forecast.jsonl] [--methods methods.jsonl]
        [--docs docs/forecast.md]
    python benchmarks/forecast.py plots FOLDER [--raw forecast.jsonl]

Sets, pools, test images and the two judges of true accuracy are those of `benchmarks/methods.py`;
FOLDER is as there. The forecast sees the vectors of a pool alone. A second forecast also sees the
labels of 100 random images of the pool, filled in for the others by label spreading. True accuracy
is taken under the pool's mix of classes and, as `balanced`, as the mean over classes; random's is
the mean of ten draws, five of which the forecast compares with.

One JSON line for every candidate and pruning rate; a run that was stopped goes on from the file.
`tables` writes those of docs/forecast.md (`forecast_report/tables.py`), with --methods also what the raw
file of `benchmarks/methods.py` says of all methods; `plots` draws the figures of the same page
(`forecast_report/plots.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # benchmarks/coverage.py hides a package

from benchmarks import methods  # noqa: E402
from benchmarks.judges.linear import fit  # noqa: E402
from coreset_engine.training.loop import TrainingSet  # noqa: E402

RATES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
CANDIDATES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("kmedoids", {}),
    ("typiclust", {}),
    ("facility_location", {}),
    ("d2", {}),
    ("maxherding", {}),
    ("facility_location_full", {}),
    ("herding", {}),
    ("prototypicality", {"keep": "easy"}),
    ("probcover", {}),
    ("badge", {}),
    ("elfs", {"beta": 0.3}),
    ("elfs", {}),
)
N_GIVEN = 100  # labels given at random, which judge too in a forecast of their own
N_TASKS = 5  # surrogate tasks measured; the forecast uses the first four
FEWEST_KEPT = 8
N_RANDOM = 10  # draws behind random's true accuracy
N_COMPARED = 5  # of these, draws that the forecast compares with


def main() -> None:
    """Measure what is not in the raw file yet, print the tables, or draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--sets", default=",".join(methods.MAIN_SETS))
    measuring.add_argument("--seeds", type=int, default=5)
    reporting = commands.add_parser("tables")
    reporting.add_argument("--methods", type=Path, help="raw file of benchmarks/methods.py")
    reporting.add_argument("--docs", type=Path, help="page whose tables are replaced")
    drawing = commands.add_parser("plots")
    drawing.add_argument("folder", type=Path)
    for part in (measuring, reporting, drawing):
        part.add_argument("--raw", type=Path, default=Path("forecast.jsonl"))
    options = parser.parse_args()
    if options.command == "measure":
        measure(options)
    elif options.command == "tables":
        from benchmarks.forecast_report.tables import write_tables

        write_tables(options.raw, options.methods, options.docs)
    else:
        from benchmarks.forecast_report.plots import draw

        draw(options.raw, options.folder)


def measure(options: argparse.Namespace) -> None:
    """Append the rows of every set and seed that the raw file lacks."""
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            done = {(row["set"], row["seed"]) for row in methods.read(options.raw)}
            if (name, seed) in done:
                continue
            began = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                rows = Measured(options.folder, name, seed, Path(folder)).rows()
            with open(options.raw, "a", encoding="utf-8") as out:
                out.write("".join(json.dumps(row) + "\n" for row in rows))
            print(f"{name} {seed}: {time.process_time() - began:.0f} s CPU", flush=True)


class Measured:
    """One set and seed: its forecast, its coresets, and the truth about them."""

    def __init__(self, folder: Path, name: str, seed: int, target: Path) -> None:
        from coreset_engine.forecasting.config import ForecastConfig
        from coreset_engine.forecasting.judge import make_judge
        from coreset_engine.forecasting.surrogates import make_features, make_tasks

        self.pool = methods.Pool(folder, name, seed, target)
        self.name = name
        self.seed = seed
        self.n = self.pool.n
        self.run = self.pool.runs["reduced"].with_config(clusterer="kmeans", clusterer_settings={})
        labels = self.pool.data["labels"]
        self.mix = np.bincount(labels, minlength=self.pool.n_classes) / len(labels)
        config = ForecastConfig(n_tasks=N_TASKS)
        self.features = make_features(self.pool.data["vectors"], config)
        self.tasks = make_tasks(self.features, config, seed)
        self.judge = make_judge(self.features, self.tasks, config)
        self.by_labels = self.label_judge()

    def label_judge(self) -> Any:
        """The judge by N_GIVEN labels, filled in for all images."""
        from coreset_engine.clustering.label_spreading import spread_labels
        from coreset_engine.embedding.neighbours.search import neighbours
        from coreset_engine.forecasting.judge import Judge
        from coreset_engine.forecasting.surrogates import SurrogateTasks

        labels = self.pool.data["labels"]
        picked = np.random.default_rng([self.seed, 11]).permutation(self.n)[:N_GIVEN]
        given = np.full(self.n, -1, np.int64)
        given[picked] = labels[picked]
        nearest = neighbours(self.features.directions, k=15)
        filled = np.maximum(spread_labels(nearest, given, int(given.max()) + 1).labels, 0)
        tasks = SurrogateTasks(filled[None], (int(filled.max()) + 1,))
        return Judge(self.judge.inputs, tasks, self.judge.judged, self.judge.penalty)

    def rows(self) -> list[dict]:
        """The figures of every candidate at every rate, random's and those of all images."""
        from coreset_engine.core.rates import kept_count
        from coreset_engine.selection.keyed_random import random_order

        everything = np.arange(self.n)
        rows = [self.row(0.0, "all", {}, [everything])]
        ids = self.run.dataset.ids
        orders = [random_order(ids, self.seed + 7919 + draw) for draw in range(N_RANDOM)]
        for rate in RATES:
            k = kept_count(self.n, rate)
            if k < FEWEST_KEPT:
                continue
            rows.append(self.row(rate, "random", {}, [order[:k] for order in orders]))
            for method, params in CANDIDATES:
                rows.append(self.row(rate, method, params, [self.coreset(method, params, rate)]))
        return rows

    def coreset(self, method: str, params: dict, rate: float) -> np.ndarray:
        """(k,) positions."""
        import coreset_engine as ce

        return ce.select(method, self.run, rate, seed=self.seed, **params).indices

    def row(self, rate: float, method: str, params: dict, coresets: list[np.ndarray]) -> dict:
        """The mean figures of some coresets of one method."""
        truths = [self.truth(kept) for kept in coresets]
        judged = [self.judged(kept) for kept in coresets[:N_COMPARED]]
        about = dict(set=self.name, seed=self.seed, n=self.n, rate=rate, k=len(coresets[0]))
        about |= dict(method=method, params=params)
        for found in (truths, judged):
            about |= {key: mean([one[key] for one in found]) for key in found[0]}
        return about

    def truth(self, kept: np.ndarray) -> dict[str, float]:
        """Accuracy under the pool's mix of classes and the mean over classes, by either judge."""
        from coreset_engine.evaluation.knn import knn_predict

        pool = self.pool
        kept = np.sort(kept)
        labels = pool.data["labels"][kept]
        rows, test = pool.rows_linear
        guesses = dict(
            linear=fit(rows[kept], labels, methods.ITERATIONS)(test),
            knn=knn_predict(
                TrainingSet(pool.reduced[kept], labels), pool.test_reduced, pool.n_classes
            ),
        )
        found = {}
        for judge, guess in guesses.items():
            found[judge], found[f"{judge}_balanced"] = self.recalls(guess)
        return found

    def recalls(self, guess: np.ndarray) -> tuple[float, float]:
        """The mean of the recalls of all classes, weighted by the pool's mix and alike."""
        labels = self.pool.data["test_labels"]
        total = np.bincount(labels, minlength=len(self.mix))
        right = np.bincount(labels, weights=guess == labels, minlength=len(self.mix))
        recall = right[total > 0] / total[total > 0]
        mix = self.mix[total > 0]
        return float((recall * mix).sum() / mix.sum()), float(recall.mean())

    def judged(self, kept: np.ndarray) -> dict[str, Any]:
        """Accuracies by surrogate task, and in the task of given labels."""
        from coreset_engine.forecasting.judge import accuracies

        kept = np.sort(kept)
        ridge = accuracies(self.judge, kept)
        given = accuracies(self.by_labels, kept)
        return dict(
            judged=ridge.micro.tolist(),
            judged_balanced=ridge.macro.tolist(),
            by_neighbours=self.by_neighbours(kept).tolist(),
            by_labels=float(given.micro[0]),
            by_labels_balanced=float(given.macro[0]),
        )

    def by_neighbours(self, kept: np.ndarray) -> np.ndarray:
        """(T,) accuracy by surrogate task of the nearest kept image's label."""
        directions = self.features.directions
        judged = self.judge.judged
        outside = judged[~np.isin(judged, kept)]
        if len(outside) < 50:
            outside = judged
        products = directions[outside] @ directions[kept].T
        products[outside[:, None] == kept[None, :]] = -np.inf
        nearest = kept[products.argmax(axis=1)]
        labels = self.tasks.labels
        return (labels[:, nearest] == labels[:, outside]).mean(axis=1)


def mean(values: list) -> Any:
    """The mean of numbers, or of lists place by place."""
    found = np.mean(values, axis=0)
    return [round(value, 5) for value in found.tolist()] if found.ndim else round(float(found), 5)


if __name__ == "__main__":
    main()
