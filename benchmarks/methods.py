"""Every selection method against random: seven sets, seven rates, honest seeds, two judges.

    python benchmarks/methods.py measure FOLDER [--raw methods.jsonl] [--seeds 5] [--sets a,b]
    python benchmarks/methods.py tables [--raw methods.jsonl] [--docs docs/methods.md]

FOLDER holds NAME.npz with `vectors` (N, D) and `labels` (N,): features of pictures from one frozen
encoder. `tail` and `noise` are made from fashion.npz: classes that fall 100:1 in size, and a tenth
of the pool's labels moved to another class. Every seed draws again whatever is random: the split
into pool and test images, clustering, training dynamics, coverage samples, starting points, ties,
wrong labels. Methods of one seed share its clustering, dynamics and coverage.

Two judges, trained on the true (with `noise`: the noisy) labels of each coreset: multinomial
logistic regression with L2 penalty 0.03 on the 64 leading principal axes of the pool's
standardised vectors, and the vote of the 5 nearest by cosine (`evaluate`'s judge `knn`). Figures
are plain and balanced accuracy on the test images; random is one draw a seed, and differences are
paired by seed.

Beside the methods, EXPERIMENTS change one thing at a time, to decide why an order differs from its
paper's: true labels for the selection, raw pixels in place of the encoder, other settings.

One JSON line a cell; a run that was stopped goes on from the file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # benchmarks/coverage.py hides a package

from benchmarks.judges.linear import fit  # noqa: E402
from coreset_engine.core.registry import BASELINE, METHODS  # noqa: E402
from coreset_engine.evaluation.paired import PairedTest, against_baseline  # noqa: E402
from coreset_engine.training.loop import TrainingSet  # noqa: E402

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
JUDGES = ("linear", "knn")
SIZES = {  # images in the pool and in the test set
    "fashion": (2000, 1000),
    "tail": (0, 1000),
    "noise": (2000, 1000),
    "digits": (1000, 497),
    "elpv": (1500, 724),
    "openclipart": (1500, 900),
    "wesnoth": (1500, 1000),
    "pixels": (2000, 1000),
}
TITLES = {
    "fashion": "Fashion-MNIST",
    "tail": "Fashion-MNIST, classes 100:1",
    "noise": "Fashion-MNIST, 10 % of the labels wrong",
    "digits": "digits",
    "elpv": "elpv (solar cells)",
    "openclipart": "openclipart",
    "wesnoth": "wesnoth (game units)",
    "pixels": "Fashion-MNIST, raw pixels",
}
MADE_FROM = {"tail": "fashion", "noise": "fashion"}
MAIN_SETS = tuple(name for name in SIZES if name != "pixels")
WRONG = 0.1  # share of wrong labels in `noise`
ITERATIONS = 60  # of the linear judge
AXES = 64
DIMS = 256
SETTINGS: dict[str, Any] = {
    "clusterer_settings": {"n_heads": 8, "min_steps": 300},
    "coverage": {"max_samples": 100_000},
}


@dataclass(frozen=True)
class Experiment:
    """A method with one thing changed: its name in the tables, and what is set."""

    name: str
    method: str
    params: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    sets: tuple[str, ...] = ("fashion",)


def plain(methods: Sequence[str], sets: tuple[str, ...]) -> list[Experiment]:
    """Every method with its defaults."""
    return [Experiment(name, name, sets=sets) for name in methods]


def true_labels() -> list[Experiment]:
    """Methods that learn from labels, given the true ones."""
    return [
        Experiment(f"{row.name}, true labels", row.name, {"labels": "true"})
        for row in METHODS.values()
        if row.labels and row.name not in (BASELINE, "semiprune", "mix")
    ]


EXPERIMENTS: tuple[Experiment, ...] = (
    *true_labels(),
    *(
        Experiment(f"blindcs, alpha = {alpha}", "blindcs", {"n_neighbours": alpha})
        for alpha in (1, 10, 100)
    ),
    Experiment("blindcs, T = 50,000", "blindcs", run={"n_samples": 50_000}),
    Experiment("blindcs, T = 1,000,000", "blindcs", run={"n_samples": 1_000_000}),
    Experiment("elfs, beta = 0", "elfs", {"beta": 0.0}),
    Experiment("elfs, beta = 0.3", "elfs", {"beta": 0.3}),
    Experiment("ccs, beta = 0", "ccs", {"beta": 0.0}),
    # Shorter and longer trainings: the windows of Dyn-Unc are 10 of the paper's 200 epochs.
    Experiment("dyn_unc, 60 epochs", "dyn_unc", run={"proxy_settings": {"epochs": 60}}),
    Experiment(
        "dyn_unc, 60 epochs and true labels",
        "dyn_unc",
        {"labels": "true"},
        {"proxy_settings": {"epochs": 60}},
    ),
    Experiment("dyn_unc, J = 5", "dyn_unc", run={"dynamics": {"window": 5}}),
    # All labels in the pilot: what is left is the proxy.
    Experiment("semiprune, pilot = all", "semiprune", {"pilot": 1.0}),
    Experiment("semiprune, pilot = 0.3", "semiprune", {"pilot": 0.3}),
    Experiment("semiprune, beta = 0", "semiprune", {"beta": 0.0}),
    Experiment("d2, 5 neighbours", "d2", {"neighbours": 5}),
    Experiment("d2, 50 neighbours", "d2", {"neighbours": 50}),
    Experiment("d2, gamma_r = 0", "d2", {"reverse": 0.0}),
    Experiment("d2, distance as the program", "d2", {"distance": "plain"}),
)


# -- measuring


def main() -> None:
    """Measure what is not in the raw file yet, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--seeds", type=int, default=5)
    measuring.add_argument("--first", type=int, default=0, help="the first seed")
    measuring.add_argument("--sets", default=",".join(MAIN_SETS))
    measuring.add_argument("--methods", default=",".join(METHODS))
    measuring.add_argument(
        "--experiments", action="store_true", help="these, of --methods, not the methods"
    )
    tables = commands.add_parser("tables")
    tables.add_argument("--docs", type=Path)
    for part in (measuring, tables):
        part.add_argument("--raw", type=Path, default=Path("methods.jsonl"))
    options = parser.parse_args()
    if options.command == "measure":
        measure(options)
    else:
        write_tables(options)


def measure(options: argparse.Namespace) -> None:
    """Seed by seed, all sets of a seed first, so that what is there at any time is a table."""
    names = [BASELINE, *(name for name in options.methods.split(",") if name != BASELINE)]
    wanted: Sequence[Experiment] = [one for one in EXPERIMENTS if one.method in names]
    if not options.experiments:
        wanted = plain(names, tuple(options.sets.split(",")))
    done = {(row["set"], row["seed"], row["name"]) for row in read(options.raw)}
    for seed in range(options.first, options.first + options.seeds):
        for name in options.sets.split(","):
            left = [
                one for one in wanted if name in one.sets and (name, seed, one.name) not in done
            ]
            if left:
                measure_set(options, name, seed, left)


def measure_set(
    options: argparse.Namespace, name: str, seed: int, wanted: Sequence[Experiment]
) -> None:
    """Append the rows of one set and seed, method by method."""
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(options.folder, name, seed, Path(folder))
        for experiment in wanted:
            began = time.process_time()
            rows = list(pool.rows(experiment))
            with open(options.raw, "a", encoding="utf-8") as out:
                out.write("".join(json.dumps(row) + "\n" for row in rows))
            spent = time.process_time() - began
            print(f"{seed} {name} {experiment.name}: {spent:.1f} s CPU", flush=True)


def read(path: Path) -> list[dict]:
    """The rows of a raw file; none where there is no file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def drawn(folder: Path, name: str, seed: int) -> dict[str, np.ndarray]:
    """vectors, labels, test_vectors and test_labels of one set and seed."""
    stored = np.load(folder / f"{MADE_FROM.get(name, name)}.npz")
    labels = stored["labels"].astype(np.int64)
    rng = np.random.default_rng([seed, 0x706F6F6C])
    order = rng.permutation(len(labels))
    n_pool, n_test = SIZES[name]
    test, rest = order[:n_test], order[n_test:]
    pool = thinned(rest, labels, rng) if name == "tail" else rest[:n_pool]
    given = labels[pool].copy()
    n_classes = int(labels.max()) + 1
    if name == "noise":
        wrong = rng.permutation(len(given))[: round(WRONG * len(given))]
        given[wrong] = (given[wrong] + rng.integers(1, n_classes, len(wrong))) % n_classes
    vectors = stored["vectors"]
    return dict(
        vectors=vectors[pool],
        labels=given,
        test_vectors=vectors[test],
        test_labels=labels[test],
    )


def thinned(rest: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of which class c of rank r has 400 * 100^(-r / 9); ranks are drawn."""
    n_classes = int(labels.max()) + 1
    parts = []
    for rank, c in enumerate(rng.permutation(n_classes)):
        size = max(7, round(400 * 100 ** (-rank / (n_classes - 1))))
        parts.append(rest[labels[rest] == c][:size])
    return rng.permutation(np.concatenate(parts))


class Pool:
    """One set and seed: its run, its coresets, and what the judges say of them."""

    def __init__(self, folder: Path, name: str, seed: int, place: Path) -> None:
        import coreset_engine as ce
        from coreset_engine.artifacts.store import Store

        self.name = name
        self.seed = seed
        self.data = drawn(folder, name, seed)
        self.n = len(self.data["labels"])
        self.n_classes = int(max(self.data["labels"].max(), self.data["test_labels"].max())) + 1
        self.reduced, self.test_reduced = rotated(self.data["vectors"], self.data["test_vectors"])
        classes = tuple(f"class {c}" for c in range(self.n_classes))
        store = Store(place / "store")
        self.runs = {}
        for part, vectors in (("all axes", self.data["vectors"]), ("reduced", self.reduced)):
            np.save(place / f"{part}.npy", vectors.astype(np.float32))
            source = ce.open_source(str(place / f"{part}.npy"))
            source = replace(source, labels=self.data["labels"], classes=classes)
            n_clusters = len(np.unique(self.data["labels"]))
            self.runs[part] = ce.Run(
                source, seed=seed, n_clusters=n_clusters, **SETTINGS, store=store
            )
        self.rows_linear = principal(self.data["vectors"], self.data["test_vectors"])
        self._judged: dict[bytes, dict[str, float]] = {}

    def rows(self, experiment: Experiment) -> Iterator[dict]:
        """The figures of one method at every rate; the smallest rate first."""
        from coreset_engine.core.errors import CoresetError
        from coreset_engine.core.rates import kept_count

        coordinates = "coverage" in METHODS[experiment.method].needs
        run = self.runs["all axes" if coordinates else "reduced"]
        if experiment.run:
            run = run.with_config(**experiment.run)
        shared = None
        for rate in RATES:
            k = kept_count(self.n, rate)
            began = time.process_time()
            row = dict(set=self.name, seed=self.seed, name=experiment.name, prune_rate=rate, k=k)
            try:
                kept, shared, about = self._kept(run, experiment, rate, k, shared)
            except CoresetError as error:
                yield row | dict(method=experiment.name, error=str(error))
                continue
            row |= dict(method=experiment.name, n=self.n, seconds=time.process_time() - began)
            yield row | about | self.judged(kept)

    def _kept(
        self, run: Any, experiment: Experiment, rate: float, k: int, shared: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None, dict[str, Any]]:
        """(k,) positions; the order that smaller coresets are a part of, where there is one."""
        import coreset_engine as ce

        if shared is not None:
            return shared[:k], shared, {}
        row = METHODS[experiment.method]
        found = ce.select(experiment.method, run, rate, seed=self.seed, **experiment.params)
        whole = found.info.get("nested") and not row.double_end and rate == RATES[0]
        about = {key: found.info[key] for key in ("recommended",) if key in found.info}
        return found.indices, found.indices if whole else None, about

    def judged(self, kept: np.ndarray) -> dict[str, float]:
        """linear, linear_balanced, knn and knn_balanced: accuracies on the test images."""
        from coreset_engine.evaluation.knn import knn_predict

        kept = np.sort(kept)
        key = kept.astype(np.int64).tobytes()
        if key not in self._judged:
            labels = self.data["labels"][kept]
            pool, test = self.rows_linear
            guesses = dict(
                linear=fit(pool[kept], labels, ITERATIONS)(test),
                knn=knn_predict(
                    TrainingSet(self.reduced[kept], labels), self.test_reduced, self.n_classes
                ),
            )
            self._judged[key] = {}
            for judge, guess in guesses.items():
                self._judged[key] |= accuracies(judge, guess, self.data["test_labels"])
        return self._judged[key]


def accuracies(judge: str, guess: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Plain and balanced accuracy under the judge's name."""
    right = guess == labels
    total = np.bincount(labels)
    recall = np.bincount(labels, weights=right)[total > 0] / total[total > 0]
    return {judge: float(right.mean()), f"{judge}_balanced": float(recall.mean())}


def rotated(pool: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors on the leading DIMS axes of their second moments: cosines are nearly kept."""
    pool, test = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        for rows in (pool.astype(np.float32), test.astype(np.float32))
    )
    _, _, axes = np.linalg.svd(pool[:: max(1, len(pool) // 1000)], full_matrices=False)
    return pool @ axes[:DIMS].T, test @ axes[:DIMS].T


def principal(pool: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leading principal components of the pool's standardised vectors, and the test set on them."""
    mean = pool.mean(0)
    spread = np.maximum(pool.std(0), 1e-6)
    rows = ((pool - mean) / spread).astype(np.float32)
    _, axes = np.linalg.eigh(rows.T @ rows)
    axes = axes[:, ::-1][:, :AXES]
    return rows @ axes, (((test - mean) / spread) @ axes).astype(np.float32)


# -- tables


START = "<!-- begin: measured by benchmarks/methods.py -->"
END = "<!-- end: measured by benchmarks/methods.py -->"
JUDGE_TITLES = {"linear": "linear model", "knn": "vote of the 5 nearest"}
LEVEL = 0.015  # accuracies that differ by less count as level


@dataclass(frozen=True)
class Claim:
    """What a paper says of a method against random.

    Attributes
    ----------
    text : str
        The claim and where it stands.
    signs : mapping
        Pruning rate -> 1 (above random), 0 (level, within LEVEL) or -1 (below).
    """

    text: str
    signs: dict[float, int]


ABOVE = {0.5: 1, 0.7: 1, 0.9: 1}
FALLS = {0.5: 1, 0.8: -1, 0.9: -1}
CLAIMS = {
    "blindcs": Claim(
        "level at 30-50 %, above from 70 % on, most at 90 % on CIFAR-100; below it when 270 to 540 "
        "images are kept (BlindCS tables 3 and 6)",
        {0.5: 0, 0.7: 1, 0.9: 1},
    ),
    "elfs": Claim("above at every rate, most at 90 % (ELFS tables 1, 8, 9)", ABOVE),
    "ccs": Claim("1-3 points below ELFS under pseudo-labels, above random (ELFS table 5)", ABOVE),
    "moderate": Claim(
        "below: by 0.2 to 1.1 on CIFAR-10, by 0.9 to 4.9 on CIFAR-100 (BlindCS table 3)",
        {0.5: -1, 0.7: -1, 0.9: -1},
    ),
    "entropy": Claim("below at every rate, by 12 at 90 % (BlindCS table 3)", {0.5: -1, 0.9: -1}),
    "forgetting": Claim("above to 50 %, far below at 80 and 90 % (BlindCS table 3)", FALLS),
    "dyn_unc": Claim("above to 50 % on CIFAR-10, far below beyond (BlindCS table 3)", FALLS),
    "aum": Claim("above to 50 %, far below at 80 and 90 % (BlindCS table 3)", FALLS),
    "el2n": Claim("above to 50 %, far below at 80 and 90 % (BlindCS table 3)", FALLS),
    "grand": Claim("as EL2N (Paul et al. 2021)", FALLS),
    "tdds": Claim("above at every rate (BlindCS tables 3 and 4)", ABOVE),
    "dual": Claim("above at every rate with its Beta sampling (its authors)", ABOVE),
    "prototypicality": Claim(
        "level at 30 %, below from 70 % on, by 8 to 13 at 90 % (ELFS table 1)",
        {0.7: -1, 0.8: -1, 0.9: -1},
    ),
    "d2": Claim(
        "label-free: above to 70 %, below at 80 and 90 % (ELFS table 1)",
        {0.5: 1, 0.7: 1, 0.9: -1},
    ),
    "badge": Claim("level to 80 %, 2 to 3 above at 90 % (ELFS table 1)", {0.5: 0, 0.7: 0, 0.9: 1}),
    "k_center": Claim("above, on features learned from the labels so far (Sener, Savarese)", ABOVE),
    "typiclust": Claim(
        "above with few labels, not with many (Hacohen et al.)", {0.5: 0, 0.95: 1, 0.99: 1}
    ),
    "probcover": Claim("above with few labels (Yehuda et al.)", {0.95: 1, 0.99: 1}),
    "maxherding": Claim("above with few labels (Bae et al.)", {0.95: 1, 0.99: 1}),
    "craig": Claim("above (Mirzasoleiman et al.)", {0.9: 1, 0.95: 1}),
    "gradmatch": Claim("above, most with few images (Killamsetty et al.)", {0.9: 1, 0.95: 1}),
    "glister": Claim("above (Killamsetty et al.)", {0.9: 1, 0.95: 1}),
    "semiprune": Claim("above, with a pilot of true labels (its authors)", ABOVE),
    "subzerocore": Claim("above at high rates (its authors)", {0.9: 1, 0.95: 1}),
    "infomax": Claim("above at every rate (its authors)", ABOVE),
}


def write_tables(options: argparse.Namespace) -> None:
    """Print the tables, or put them between the marks of a document."""
    rows = [row for row in read(options.raw) if "linear" in row]
    text = "\n".join(report(rows))
    if options.docs is None:
        print(text)
        return
    page = options.docs.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    options.docs.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def report(rows: list[dict]) -> list[str]:
    """Markdown: how it was measured, the verdicts, and a table for each set and judge."""
    sets = [name for name in SIZES if any(row["set"] == name for row in rows)]
    out = [*sizes_table(rows, sets), "", *claims_table(rows), ""]
    for name in sets:
        out += ["", f"### {TITLES[name]}"]
        for judge in JUDGES:
            out += ["", f"{JUDGE_TITLES[judge].capitalize()}:", ""]
            out += table([row for row in rows if row["set"] == name], judge, list(METHODS))
    changed = [one.name for one in EXPERIMENTS if one.name not in METHODS]
    for judge in JUDGES:
        own = [row for row in rows if row["set"] == "fashion"]
        if any(row["name"] in changed for row in own):
            out += ["", f"### One thing changed, {TITLES['fashion']}, {JUDGE_TITLES[judge]}", ""]
            out += table(own, judge, [BASELINE, *changed])
    return out


def sizes_table(rows: list[dict], sets: Sequence[str]) -> list[str]:
    """Images, seeds and what random reaches."""
    out = ["| set | images to select from | test images | seeds |", "|---|---:|---:|---:|"]
    for name in sets:
        own = [row for row in rows if row["set"] == name and row["name"] == BASELINE]
        n = own[0]["n"]
        out.append(f"| {TITLES[name]} | {n:,} | {SIZES[name][1]:,} | {len(seeds_of(own))} |")
    return out


def seeds_of(rows: list[dict]) -> set[int]:
    return {row["seed"] for row in rows}


def tests_of(rows: list[dict], judge: str) -> dict[tuple[str, float], PairedTest]:
    """(name, rate) -> paired test against random. rows: of one set."""
    named = [
        dict(
            method=row["name"],
            prune_rate=row["prune_rate"],
            seed=row["seed"],
            accuracy=row[judge],
        )
        for row in rows
    ]
    return against_baseline(named)


def table(rows: list[dict], judge: str, names: Sequence[str]) -> list[str]:
    """Random's accuracy, then the paired difference of every method, with its standard error."""
    tests = tests_of(rows, judge)
    head = [f"{rate:.0%}" for rate in RATES]
    out = [f"| method | {' | '.join(head)} | n |", "|---" * (len(RATES) + 2) + "|"]
    base = [row for row in rows if row["name"] == BASELINE]
    levels = [np.mean([row[judge] for row in base if row["prune_rate"] == rate]) for rate in RATES]
    figures = " | ".join(f"{100 * level:.1f}" for level in levels)
    out.append(f"| random, accuracy in % | {figures} | {len(seeds_of(base))} |")
    for name in names:
        found = [tests.get((name, rate)) for rate in RATES]
        if name != BASELINE and any(found):
            n = min(test.n for test in found if test)
            cells = " | ".join(cell(test) for test in found)
            out.append(f"| {name} | {cells} | {n} |")
    return out


def cell(test: PairedTest | None) -> str:
    """Points over random, plus or minus the standard error; bold where the interval of at least
    three pairs leaves out 0."""
    if test is None:
        return ""
    error = "" if test.n < 2 else f" ± {100 * test.standard_error:.1f}"
    mark = "**" if test.n >= 3 and test.verdict in ("better", "worse") else ""
    return f"{mark}{100 * test.mean:+.1f}{error}{mark}"


def holds(
    tests: dict[tuple[str, float], PairedTest], name: str, claim: Claim
) -> tuple[str, str] | None:
    """("agrees", "undecided" or "disagrees", that with the rates in words); None if not measured.

    A rate contradicts the claim where the 95 % interval lies on its other side, or where one pair
    has the other sign; where the mean is on the other side and the interval reaches over, it is
    undecided.
    """
    wrong = []
    undecided = []
    for rate, sign in claim.signs.items():
        test = tests.get((name, rate))
        if test is None:
            return None
        right = abs(test.mean) <= LEVEL if sign == 0 else sign * test.mean > 0
        if right:
            continue
        # How far the interval reaches to the claimed side.
        reach = {1: test.high, -1: -test.low, 0: LEVEL - max(test.low, -test.high)}[sign]
        (undecided if test.n > 1 and reach > 0 else wrong).append(f"{rate:.0%}")
    if wrong:
        return "disagrees", f"no at {', '.join(wrong)}"
    if undecided:
        return "undecided", f"undecided at {', '.join(undecided)}"
    return "agrees", "agrees"


def claims_table(rows: list[dict]) -> list[str]:
    """For each published method: the paper's order, ours, and what changes it."""
    out = [
        "| method | against random, says its paper or the table that measured it | here | changed "
        "alone, agrees with | changed alone, undecided | changed alone, still disagrees with |",
        "|---|---|---|---|---|---|",
    ]
    conditions = conditions_of(rows)
    for name, claim in CLAIMS.items():
        found = {}
        for title, tests, own in conditions(name):
            outcome = holds(tests, own, claim)
            if outcome is not None:
                found[title] = outcome
        if "" not in found:
            continue
        _, said = found.pop("")
        cells = []
        for wanted in ("agrees", "undecided", "disagrees"):
            titles = [title for title, (outcome, _) in found.items() if outcome == wanted]
            cells.append(", ".join(titles) or "none")
        out.append(f"| {name} | {claim.text} | {said} | {' | '.join(cells)} |")
    return out


def conditions_of(rows: list[dict]):
    """A function from a method's name to (title, tests, name in them); title "" = Fashion-MNIST,
    linear model, pseudo-labels."""
    of_set = {
        name: {judge: tests_of([r for r in rows if r["set"] == name], judge) for judge in JUDGES}
        for name in SIZES
    }

    def conditions(name: str) -> Iterator[tuple[str, dict, str]]:
        plain_tests = of_set["fashion"]
        yield "", plain_tests["linear"], name
        yield "judge (kNN vote)", plain_tests["knn"], name
        yield "labels (true)", plain_tests["linear"], f"{name}, true labels"
        yield "encoder (raw pixels)", of_set["pixels"]["linear"], name
        for other in MAIN_SETS[1:]:
            yield f"data ({other})", of_set[other]["linear"], name
        for one in EXPERIMENTS:
            if one.method == name and one.name != f"{name}, true labels":
                yield f"setting ({one.name.partition(', ')[2]})", plain_tests["linear"], one.name

    return conditions


if __name__ == "__main__":
    main()
