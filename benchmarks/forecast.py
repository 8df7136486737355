"""Does the forecast hold? Expected against true gains over random, and what `auto` makes of them.

    python benchmarks/forecast.py FOLDER [--sets fashion,tail,noise,digits] [--seeds 5]
        [--raw forecast.jsonl] [--report]

FOLDER holds NAME.npz with `vectors` (N, D) and `labels` (N,). `tail` and `noise` are made from
fashion.npz: classes that fall 100:1 in size, and a fifth of the pool's labels drawn at random. Each
seed draws pool and test set anew and seeds every method; the forecast sees the pool's vectors
alone. A second forecast also sees the labels of 100 random images of the pool, filled in for the
others by label spreading.

The forms of MaxHerding and facility location for large sets are run with a sample of a fifth of
the pool, so that the sample is about as coarse as 8,192 of 60,000 images.

Truth: multinomial logistic regression (penalty 0.03) on 128 principal components of the
standardised vectors, trained on the true labels of each coreset, tested on images outside the pool;
accuracy under the pool's mix of classes, and the mean over classes. Random is the mean of five
draws. Figures of every coreset are kept in --raw, and a run that is started again goes on from
there; --report only prints.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).parents[1])  # else benchmarks/forecast.py hides packages

from benchmarks.judges.linear import fit  # noqa: E402

RATES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
SIZES = {  # pool, test
    "fashion": (4000, 3000),
    "noise": (4000, 3000),
    "digits": (1300, 497),
    "elpv": (1900, 724),
    "openclipart": (2300, 900),
    "wesnoth": (2900, 1100),
}
MADE_FROM = {"tail": "fashion", "noise": "fashion"}
CANDIDATES = (
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
    ("maxherding", {"pairs": "sampled"}),
    ("facility_location_full", {"pairs": "sampled"}),
)
PORTFOLIO = CANDIDATES[:6]
SAMPLED = CANDIDATES[-2:]  # as they are above 10,000 images, see `coverage_sample` below
N_GIVEN = 100  # labels given at random, which judge too in a forecast of their own
FEWEST_KEPT = 8
N_RANDOM = 5
ITERATIONS = 80  # of the judge
WIDER = 1.25  # spreads, since a new set differs more from those seen than they among themselves


def main() -> None:
    """Measure what is not in --raw yet, then print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join([*SIZES, "tail"]))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--raw", type=Path, default=Path("forecast.jsonl"))
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if not options.report:
        for seed in range(options.seeds):
            for name in options.sets.split(","):
                measure(options, name, seed)
    report(read(options.raw))


# -- measuring


def measure(options: argparse.Namespace, name: str, seed: int) -> None:
    """Append the figures of every coreset of one set and seed, unless they are there."""
    if (name, seed) in {(row["set"], row["seed"]) for row in read(options.raw)}:
        return
    began = time.monotonic()
    pool = Pool(options.folder, name, seed)
    rows = [row for rate in RATES for row in pool.cells(rate) if row["k"] >= FEWEST_KEPT]
    with open(options.raw, "a", encoding="utf-8") as out:
        out.write("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{name} {seed}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def read(path: Path) -> list[dict]:
    """The rows of a raw file; none where there is no file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def split(folder: Path, name: str, seed: int) -> dict[str, np.ndarray]:
    """vectors, labels, test_vectors, test_labels and mix, the pool's share of each class."""
    stored = np.load(folder / f"{MADE_FROM.get(name, name)}.npz")
    vectors = stored["vectors"]
    labels = stored["labels"].astype(np.int64)
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(len(labels))
    n_classes = int(labels.max()) + 1
    if name == "tail":
        test, rest = order[:3000], order[3000:]
        sizes = [max(7, round(690 * 100 ** (-place / 9))) for place in range(10)]
        largest_first = rng.permutation(10)
        parts = [rest[labels[rest] == c][:size] for c, size in zip(largest_first, sizes)]
        pool = rng.permutation(np.concatenate(parts))
    else:
        n_pool, n_test = SIZES[name]
        test, pool = order[:n_test], order[n_test:][:n_pool]
    given = labels[pool].copy()
    mix = np.bincount(given, minlength=n_classes) / len(given)
    if name == "noise":
        wrong = rng.random(len(given)) < 0.2
        given[wrong] = rng.integers(0, n_classes, wrong.sum())
    return dict(
        vectors=vectors[pool],
        labels=given,
        test_vectors=vectors[test],
        test_labels=labels[test],
        mix=mix,
    )


class Pool:
    """One set and seed: its forecast, its coresets, and the truth about them."""

    def __init__(self, folder: Path, name: str, seed: int) -> None:
        import coreset_engine as ce
        from coreset_engine.forecasting.config import ForecastConfig
        from coreset_engine.forecasting.judge import make_judge
        from coreset_engine.forecasting.surrogates import make_features, make_tasks

        self.name = name
        self.seed = seed
        self.data = split(folder, name, seed)
        self.n = len(self.data["labels"])
        config = ForecastConfig()
        features = make_features(self.data["vectors"], config)
        self.judge = make_judge(features, make_tasks(features, config, seed), config)
        self.by_labels = self.label_judge(features)
        self.inputs, self.test = principal(self.data["vectors"], self.data["test_vectors"])
        place = Path(tempfile.mkdtemp()) / "vectors.npy"
        np.save(place, features.directions)
        n_classes = int(self.data["test_labels"].max()) + 1
        self.run = ce.Run(
            ce.open_source(str(place)), seed=seed, clusterer="kmeans", n_clusters=n_classes
        )
        self.full = self.truth(np.arange(self.n))
        self.full_judged = self.judged(self.judge, np.arange(self.n))

    def label_judge(self, features):
        """The judge by N_GIVEN labels, filled in for all images."""
        from coreset_engine.clustering.label_spreading import spread_labels
        from coreset_engine.embedding.neighbours.search import neighbours
        from coreset_engine.forecasting.judge import Judge
        from coreset_engine.forecasting.surrogates import SurrogateTasks

        picked = np.random.default_rng([self.seed, 11]).permutation(self.n)[:N_GIVEN]
        given = np.full(self.n, -1, np.int64)
        given[picked] = self.data["labels"][picked]
        near = neighbours(features.directions, k=15)
        filled = np.maximum(spread_labels(near, given, int(given.max()) + 1).labels, 0)
        tasks = SurrogateTasks(filled[None], (int(filled.max()) + 1,))
        return Judge(self.judge.inputs, tasks, self.judge.judged, self.judge.penalty)

    def cells(self, rate: float) -> list[dict]:
        """The figures of every candidate at one rate, random's included."""
        from coreset_engine.selection.budget import kept_count
        from coreset_engine.selection.keyed_random import random_order

        k = kept_count(self.n, rate)
        ids = self.run.dataset.ids
        draws = [random_order(ids, self.seed + 7919 + i)[:k] for i in range(N_RANDOM)]
        rows = [self.row(rate, "random", {}, draws)]
        for method, params in CANDIDATES:
            rows.append(self.row(rate, method, params, [self.coreset(method, params, rate)]))
        return rows

    def coreset(self, method: str, params: dict, rate: float) -> np.ndarray:
        """(k,) positions."""
        import coreset_engine as ce
        from coreset_engine.core.limits import override

        with override(coverage_sample=self.n // 5):
            return ce.select(method, self.run, prune_rate=rate, **params).indices

    def row(self, rate: float, method: str, params: dict, coresets: list[np.ndarray]) -> dict:
        """The mean figures of some coresets of one method."""
        truth = np.mean([self.truth(kept) for kept in coresets], axis=0)
        judged = np.mean([self.judged(self.judge, kept) for kept in coresets], axis=0)
        labelled = np.mean([self.judged(self.by_labels, kept) for kept in coresets], axis=0)
        return dict(
            set=self.name,
            seed=self.seed,
            n=self.n,
            rate=rate,
            k=len(coresets[0]),
            method=method,
            params=params,
            accuracy=truth[0],
            balanced=truth[1],
            full=self.full[0],
            judged=judged[0],
            judged_balanced=judged[1],
            judged_full=self.full_judged[0],
            by_labels=labelled[0],
            by_labels_balanced=labelled[1],
        )

    def judged(self, judge, kept: np.ndarray) -> tuple[float, float]:
        """Mean accuracy over a judge's tasks, by images and by classes."""
        from coreset_engine.forecasting.judge import accuracies

        found = accuracies(judge, np.sort(kept))
        return float(found.micro.mean()), float(found.macro.mean())

    def truth(self, kept: np.ndarray) -> tuple[float, float]:
        """Accuracy under the pool's mix of classes, and the mean over classes."""
        predict = fit(self.inputs[kept], self.data["labels"][kept], ITERATIONS)
        labels = self.data["test_labels"]
        right = predict(self.test) == labels
        total = np.bincount(labels, minlength=len(self.data["mix"]))
        recall = np.bincount(labels, weights=right, minlength=len(total))[total > 0]
        recall /= total[total > 0]
        mix = self.data["mix"][total > 0]
        return float((recall * mix).sum() / mix.sum()), float(recall.mean())


def principal(pool: np.ndarray, test: np.ndarray, d: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Leading principal components of the pool's standardised vectors, and the test set on them."""
    mean, spread = pool.mean(0), np.maximum(pool.std(0), 1e-6)
    rows = (pool - mean) / spread
    _, axes = np.linalg.eigh(rows.T @ rows)
    axes = axes[:, ::-1][:, :d]
    return rows @ axes, ((test - mean) / spread) @ axes


# -- report


def report(raw: list[dict]) -> None:
    """Print calibration, coverage and the bars cell by cell."""
    cells = paired(raw)
    sets = sorted({cell["set"] for cell in cells})
    seeds = {name: len({c["seed"] for c in cells if c["set"] == name}) for name in sets}
    print(f"{platform.machine()}, {os.cpu_count()} cores; seeds: {seeds}\n")
    print("Constants from all sets:\n")
    for one in estimated(cells):
        print(f"    {one},")
    print_coverage(cells, sets)
    print_labels(cells, sets)
    print_correlations(cells, sets)
    print_bars(cells, sets)
    print_rules(cells, sets)


def paired(raw: list[dict]) -> list[dict]:
    """Every row but random's, with its differences to random of the same seed, in points."""
    base = {(r["set"], r["seed"], r["rate"]): r for r in raw if r["method"] == "random"}
    found = []
    for row in raw:
        if row["method"] == "random":
            continue
        own = base[row["set"], row["seed"], row["rate"]]
        name = " ".join([row["method"], *(f"{k}={v}" for k, v in row["params"].items())])
        found.append(
            row
            | dict(
                name=name,
                true=100 * (row["accuracy"] - own["accuracy"]),
                true_balanced=100 * (row["balanced"] - own["balanced"]),
                points=100 * (row["judged"] - own["judged"]),
                points_balanced=100 * (row["judged_balanced"] - own["judged_balanced"]),
                labels=100 * (row["by_labels"] - own["by_labels"]),
                labels_balanced=100 * (row["by_labels_balanced"] - own["by_labels_balanced"]),
            )
        )
    return found


def averaged(cells: list[dict]) -> list[dict]:
    """One row for each set, rate and candidate: means over seeds."""
    groups: dict[tuple, list[dict]] = {}
    for cell in cells:
        groups.setdefault((cell["set"], cell["rate"], cell["name"]), []).append(cell)
    numbers = ("true", "true_balanced", "points", "points_balanced", "labels", "labels_balanced")
    numbers += ("accuracy", "judged", "full")
    return [
        some[0] | {name: float(np.mean([cell[name] for cell in some])) for name in numbers}
        for some in groups.values()
    ]


def estimated(cells: list[dict]) -> tuple:
    """Calibration constants by rate; slopes by least squares through zero over candidates judged
    within ten points below random or above it, spreads of single seeds' expected gains against
    means over seeds."""
    from coreset_engine.forecasting.calibration import Constants

    means = {(c["set"], c["rate"], c["name"]): c for c in averaged(cells)}
    found = []
    for rate in sorted({cell["rate"] for cell in cells}):
        some = [cell for cell in cells if cell["rate"] == rate and cell["points"] > -10]
        goal = [means[cell["set"], rate, cell["name"]] for cell in some]
        plain = views(some, goal, "points", "labels", "true")
        even = views(some, goal, "points_balanced", "labels_balanced", "true_balanced")
        power = line(
            [np.log(min(1, c["judged"] / c["judged_full"])) for c in some],
            [np.log(min(1, g["accuracy"] / g["full"])) for g in goal],
        )
        values = (*plain[:2], *even[:2], power[0], WIDER * power[1], *plain[2:], *even[2:])
        found.append(Constants(rate, *(round(value, 3) for value in values)))
    return tuple(found)


def views(
    some: list[dict], goal: list[dict], points: str, labels: str, true: str
) -> tuple[float, float, float, float]:
    """(slope, spread, slope of given labels, spread of the mean of both), spreads made WIDER."""
    truth = np.array([row[true] for row in goal])
    judged = np.array([row[points] for row in some])
    given = np.array([row[labels] for row in some])
    slope, spread = line(judged, truth)
    label_slope, _ = line(given, truth)
    both = truth - (slope * judged + label_slope * given) / 2
    return slope, WIDER * spread, label_slope, WIDER * float(np.sqrt(np.mean(both**2)))


def line(x: list[float], y: list[float]) -> tuple[float, float]:
    """(slope through zero, root mean square of what is left)."""
    a, b = np.array(x), np.array(y)
    slope = float((a * b).sum() / max((a * a).sum(), 1e-12))
    return slope, float(np.sqrt(np.mean((b - slope * a) ** 2)))


def print_coverage(cells: list[dict], sets: list[str]) -> None:
    """Share of the true gains inside the 90 % intervals, each set with constants from the others."""
    print("\n90 % intervals that hold the mean true gain, constants from the other sets\n")
    print("| set | pool's mix | balanced | with 100 labels | balanced |\n|---|---|---|---|---|")
    means = {(c["set"], c["rate"], c["name"]): c for c in averaged(cells)}
    totals = []
    for name in sets:
        table = estimated([cell for cell in cells if cell["set"] != name])
        own = [cell for cell in cells if cell["set"] == name and cell["points"] > -10]
        inside = [covered(cell, means[name, cell["rate"], cell["name"]], table) for cell in own]
        totals += inside
        print_shares(name, inside)
    print_shares("all", totals)


def covered(cell: dict, goal: dict, table: tuple) -> list[bool]:
    """Whether the mean true gain lies in the interval: by mix, balanced, and both with labels."""
    from coreset_engine.forecasting.calibration import expected_gain

    found = []
    for given in (False, True):
        for end in ("", "_balanced"):
            by_labels = cell["labels" + end] if given else None
            judged = cell["points" + end]
            gain = expected_gain(judged, cell["rate"], bool(end), table, by_labels)
            found.append(gain.low <= goal["true" + end] <= gain.high)
    return found


def print_shares(name: str, inside: list[list[bool]]) -> None:
    shares = 100 * np.mean(inside, axis=0)
    print(f"| {name} |" + "".join(f" {share:.0f} % |" for share in shares))


def print_labels(cells: list[dict], sets: list[str]) -> None:
    """How far the expected gain is from the true one without and with 100 labels."""
    print("\nRoot mean square of expected minus true gain in points, constants from other sets\n")
    print(
        "| pruned | no label | 100 labels | balanced: no label | 100 labels |\n|---|---|---|---|---|"
    )
    means = {(c["set"], c["rate"], c["name"]): c for c in averaged(cells)}
    errors: dict[float, list[list[float]]] = {}
    for name in sets:
        table = estimated([cell for cell in cells if cell["set"] != name])
        for cell in cells:
            if cell["set"] == name and cell["points"] > -10:
                goal = means[name, cell["rate"], cell["name"]]
                errors.setdefault(cell["rate"], []).append(missed(cell, goal, table))
    for rate, rows in sorted(errors.items()):
        size = np.sqrt(np.mean(np.square(rows), axis=0))
        print(f"| {100 * rate:g} % |" + "".join(f" {value:.2f} |" for value in size))


def missed(cell: dict, goal: dict, table: tuple) -> list[float]:
    """Expected minus true gain: by mix without and with labels, balanced without and with."""
    from coreset_engine.forecasting.calibration import expected_gain

    found = []
    for end in ("", "_balanced"):
        for by_labels in (None, cell["labels" + end]):
            judged = cell["points" + end]
            gain = expected_gain(judged, cell["rate"], bool(end), table, by_labels)
            found.append(gain.gain - goal["true" + end])
    return found


def print_correlations(cells: list[dict], sets: list[str]) -> None:
    """Rank correlation over candidates of judged and true gains, means over seeds."""
    from scipy.stats import spearmanr

    means = averaged(cells)
    rates = sorted({cell["rate"] for cell in cells})
    for goal, judged in (("true", "points"), ("true_balanced", "points_balanced")):
        print(f"\nRank correlation over candidates, {goal}\n")
        print("| set |" + "".join(f" {100 * rate:g} % |" for rate in rates))
        print("|---" * (len(rates) + 1) + "|")
        for name in sets:
            row = []
            for rate in rates:
                some = [c for c in means if c["set"] == name and c["rate"] == rate]
                found = (
                    spearmanr([c[judged] for c in some], [c[goal] for c in some])[0] if some else 0
                )
                row.append(f" {found:.2f} |" if some else " |")
            print(f"| {name} |" + "".join(row))


def print_bars(cells: list[dict], sets: list[str]) -> None:
    """What `auto` gains in every cell, with constants from the other sets."""
    print("\nGain over random in points, mean +- standard error over seeds\n")
    print(
        "| set | pruned | auto | best in hindsight | chosen on other seeds | first rule | takes |"
    )
    print("|---|---|---|---|---|---|---|")
    summary = []
    for name in sets:
        table = estimated([cell for cell in cells if cell["set"] != name])
        for rate in RATES:
            some = [c for c in cells if c["set"] == name and c["rate"] == rate]
            if some:
                summary.append(print_bar(name, rate, some, table))
    auto, best, fair, old, rates = (np.array([row[i] for row in summary]) for i in range(5))
    print(
        f"\nmean over {len(summary)} cells: auto {auto.mean():+.2f}, best in hindsight "
        f"{best.mean():+.2f} ({auto.sum() / best.sum():.0%}), chosen on other seeds "
        f"{fair.mean():+.2f} ({auto.sum() / fair.sum():.0%}), first rule {old.mean():+.2f}; from "
        f"80 %: auto {auto[rates >= 0.8].mean():+.2f}, first rule {old[rates >= 0.8].mean():+.2f}; "
        f"cells below -0.3: {(auto < -0.3).sum()}, lowest {auto.min():+.1f}"
    )


def print_bar(name: str, rate: float, some: list[dict], table: tuple) -> tuple[float, ...]:
    """One line of the bars: (auto, best, best by other seeds, first rule, rate)."""
    seeds = sorted({cell["seed"] for cell in some})
    taken = [advised([c for c in some if c["seed"] == seed], rate, table) for seed in seeds]
    own = np.array([cell["true"] for cell, _ in taken])
    real = [cell for cell in some if "sampled" not in cell["name"]]
    means = {cell["name"]: cell["true"] for cell in averaged(real)}
    best = max(means, key=means.__getitem__)
    fair = float(np.mean([best_by_others(real, seed) for seed in seeds]))
    old = means["kmedoids" if rate >= 0.75 else "probcover"]
    error = own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else float("nan")
    decided = sum(said for _, said in taken)
    counts = {cell["name"]: 0 for cell, _ in taken}
    for cell, _ in taken:
        counts[cell["name"]] += 1
    told = ", ".join(f"{method} {count}" for method, count in counts.items())
    print(
        f"| {name} | {100 * rate:g} % | {own.mean():+.1f} +- {error:.1f} | {best} "
        f"{means[best]:+.1f} | {fair:+.1f} | {old:+.1f} | {told}; decided {decided} of {len(taken)} |"
    )
    return float(own.mean()), means[best], fair, old, rate


def best_by_others(some: list[dict], seed: int) -> float:
    """The gain at a seed of the method that is best in the mean of the other seeds."""
    others = [cell for cell in some if cell["seed"] != seed] or some
    means = {cell["name"]: cell["true"] for cell in averaged(others)}
    best = max(means, key=means.__getitem__)
    return next(cell["true"] for cell in some if cell["seed"] == seed and cell["name"] == best)


# -- other rules


def print_rules(cells: list[dict], sets: list[str]) -> None:
    """What other rules would gain in the same cells; all they know is from the other sets."""
    print("\nOther rules over the same portfolio\n")
    print("| rule | mean | lowest cell | cells below -0.3 |\n|---|---|---|---|")
    gains: dict[str, list[float]] = {}
    for name in sets:
        others = [cell for cell in cells if cell["set"] != name]
        table = estimated(others)
        for rate in RATES:
            some = [c for c in cells if c["set"] == name and c["rate"] == rate]
            if some:
                for rule, gain in by_rules(some, others, rate, table).items():
                    gains.setdefault(rule, []).append(gain)
    for rule, row in sorted(gains.items(), key=lambda item: np.mean(item[1])):
        below = int((np.array(row) < -0.3).sum())
        print(f"| {rule} | {np.mean(row):+.2f} | {min(row):+.1f} | {below} |")


def by_rules(some: list[dict], others: list[dict], rate: float, table: tuple) -> dict[str, float]:
    """Rule -> mean gain over the seeds of one cell."""
    from coreset_engine.forecasting.calibration import expected_gain

    names = {method for method, _ in PORTFOLIO}
    own = [c for c in some if c["method"] in names and "sampled" not in c["name"]]
    known = averaged([c for c in others if c["rate"] == rate and c["name"] in names])
    by_name: dict[str, list[float]] = {}
    for cell in known:
        by_name.setdefault(cell["name"], []).append(cell["true"])
    usual = max(by_name, key=lambda one: np.mean(by_name[one]))
    safe = max(by_name, key=lambda one: np.mean(by_name[one]) - np.std(by_name[one]))
    found: dict[str, list[float]] = {}
    for seed in sorted({cell["seed"] for cell in own}):
        mine = {cell["name"]: cell for cell in own if cell["seed"] == seed}
        gain = {n: expected_gain(c["points"], rate, False, table).gain for n, c in mine.items()}
        with_labels = {
            n: expected_gain(c["points"], rate, False, table, c["labels"]).gain
            for n, c in mine.items()
        }
        choices = {
            "highest expected gain": max(gain, key=gain.__getitem__),
            "highest expected gain with 100 labels": max(with_labels, key=with_labels.__getitem__),
            "always MaxHerding": "maxherding",
            "best in the mean of the other sets": usual,
            "highest mean minus spread of the other sets": safe,
        }
        taken = {rule: mine[choice]["true"] for rule, choice in choices.items()}
        taken["auto"] = advised(list(mine.values()), rate, table)[0]["true"]
        for rule, value in taken.items():
            found.setdefault(rule, []).append(value)
    return {rule: float(np.mean(row)) for rule, row in found.items()}


def advised(some: list[dict], rate: float, table: tuple) -> tuple[dict, bool]:
    """(the cell that `auto` takes among one seed's, whether the forecast decided it)."""
    from coreset_engine.core.forecast_rule import Option, decide
    from coreset_engine.forecasting.calibration import expected_gain, safest_at

    names = {method for method, _ in PORTFOLIO}
    options = [
        Option(
            cell["name"],
            cell["method"],
            cell["params"],
            expected_gain(cell["points"], rate, False, table),
        )
        for cell in some
        if cell["method"] in names and "sampled" not in cell["name"]
    ]
    made = decide(options, rate, safest_at(rate))
    if made.option.method == "random":
        return dict(name="random", true=0.0), made.decided
    return next(cell for cell in some if cell["name"] == made.option.name), made.decided


if __name__ == "__main__":
    main()
