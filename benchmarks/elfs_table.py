"""ELFS' tables 1 and 5 on Fashion-MNIST: random, CCS (pseudo), ELFS and CCS (supervised) at five
pruning rates.

Run with scripts/bench elfs_table [--train 10000] [--steps 250] [--seeds 3] [--model convnet]
[--keep cells.jsonl]. Test accuracy on the 10,000 test images of a network trained from scratch on
the pixels of each coreset with its true labels, the same steps whatever its size (ELFS 8.2). The
default is a SMALL CONVOLUTIONAL NET AND FEW STEPS on a random part of the training images, so that
one core finishes in half an hour; the paper's setting is --train 60000
--model resnet18 --steps 40000, which wants a GPU. beta is searched for each method and rate on
held-out labels: pseudo ones for ELFS and CCS (pseudo), true ones for CCS (supervised), which may;
an MLP on 256 principal axes judges. Every cell is written to --keep as it is done, so a stopped
table continues where it was. Every seed draws clusters, dynamics and beta again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import time
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from coreset_engine.pipeline.run import Run

RATES = (0.3, 0.5, 0.7, 0.8, 0.9)
METHODS = {
    "random": ("random", "pseudo"),
    "CCS (pseudo)": ("ccs", "pseudo"),
    "ELFS": ("elfs", "pseudo"),
    "CCS (supervised)": ("ccs", "true"),
}


class Cells:
    """What was measured, one JSON line each; requested again it is read, not measured."""

    def __init__(self, path: Path, setup: dict[str, Any], measure: bool) -> None:
        self.path = path
        self.setup = setup
        self.measure = measure
        lines = path.read_text().splitlines() if path.exists() else []
        rows = [row for row in map(json.loads, lines) if row["setup"] == setup]
        self.known = {json.dumps(row["cell"]): row["value"] for row in rows}

    def __call__(self, cell: list[Any], make) -> Any:
        name = json.dumps(cell)
        if name not in self.known and self.measure:
            began = time.perf_counter()
            value = self.known[name] = make()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a") as out:
                print(json.dumps(dict(setup=self.setup, cell=cell, value=value)), file=out)
            print(f"{cell} {value} ({time.perf_counter() - began:.0f} s)", flush=True)
        return self.known.get(name)


class Bench:
    """The training part, its stages, both networks' pixels, and the four ways to choose."""

    def __init__(self, options: argparse.Namespace) -> None:
        import coreset_engine as ce
        from coreset_engine.training.pixels import pixels_of

        full = ce.Run(ce.open_source("fashion-mnist"), progress=tell)
        at = np.sort(np.random.default_rng(0).permutation(len(full.dataset))[: options.train])
        self.run = full if len(at) == len(full.dataset) else full.take(at)
        self.runs: dict[int, Run] = {}
        self.truth = np.asarray(self.run.labels)
        self.options = options
        test = ce.open_source("fashion-mnist:test")
        self.test_truth = np.asarray(test.labels)
        self.pixels = pixels_of(full.dataset, at)
        self.test_pixels = pixels_of(test, np.arange(len(test)))
        setup = dict(
            draws="each seed",
            train=options.train,
            model=options.model,
            steps=options.steps,
            encoder=self.run.key_of("dynamics"),
        )
        self.cells = Cells(Path(options.keep), setup, not options.so_far)

    def run_of(self, seed: int) -> Run:
        """The run whose clusters and dynamics are drawn with this seed."""
        if seed not in self.runs:
            self.runs[seed] = self.run.with_config(seed=seed)
        return self.runs[seed]

    def beta(self, name: str, rate: float, seed: int) -> float | None:
        """The method's own beta at this rate, by held-out labels of the kind it may see."""
        from coreset_engine.evaluation.beta_search import ScoredImages, search_beta
        from coreset_engine.selection.budget import double_end

        method, labels = METHODS[name]
        run = self.run_of(seed)
        seen = run.pseudo_labels.labels if labels == "pseudo" else self.truth
        choose = double_end if method == "elfs" else stratified

        def make() -> dict[str, Any]:
            found = search_beta(
                ScoredImages(self.axes, seen, run.dynamics_at(labels=labels).aum),
                choose=choose,
                prune_rate=rate,
                seed=seed,
            )
            return dict(
                beta=found["beta"],
                curve=[[p["beta"], round(p["accuracy"], 4)] for p in found["curve"]],
            )

        return (self.cells(["beta", name, rate, seed], make) or {}).get("beta")

    def betas(self, name: str, rate: float, seeds: int) -> str:
        """The betas of all seeds, "?" for one that is not measured."""
        found = [self.beta(name, rate, seed) for seed in range(seeds)]
        return "/".join("?" if beta is None else f"{beta:g}" for beta in found)

    @cached_property
    def axes(self) -> np.ndarray:
        """(N, 256): the vectors on their principal axes, which takes the search a third of the
        time."""
        from coreset_engine.clustering.vectors import principal

        return principal(torch.from_numpy(np.array(self.run.vectors, np.float32)), 256).numpy()

    def choose(self, name: str, rate: float, seed: int) -> np.ndarray:
        """(k,) positions, sorted."""
        from coreset_engine.pipeline.select import select

        method, labels = METHODS[name]
        params = {} if method == "random" else dict(beta=self.beta(name, rate, seed), labels=labels)
        return np.sort(select(method, self.run_of(seed), rate, seed=seed, **params).indices)

    def accuracy(self, name: str, rate: float, seed: int) -> dict[str, float] | None:
        """Test accuracy of one training; share of wrong pseudo-labels and entropy of true classes
        in the coreset.

        None with --so-far, where it is not measured yet.
        """
        from coreset_engine.evaluation.experiment import balance
        from coreset_engine.evaluation.subset_training import TrainTest, evaluate_subset

        def make() -> dict[str, float]:
            kept = np.arange(len(self.truth)) if name == "all" else self.choose(name, rate, seed)
            data = TrainTest(
                self.pixels[kept],
                self.truth[kept],
                self.test_pixels,
                self.test_truth,
                n_classes=10,
                full_size=len(self.truth),
            )
            found = evaluate_subset(self.options.model, data, steps=self.options.steps, seed=seed)
            return dict(
                accuracy=found.accuracy,
                wrong=round(float(self.wrong[kept].mean()), 4),
                k=len(kept),
                balance=round(balance(np.bincount(self.truth[kept], minlength=10)), 4),
            )

        return self.cells(["accuracy", name, rate, seed], make)

    @cached_property
    def wrong(self) -> np.ndarray:
        """(N,) bool: the pseudo-label's matched class is not the true one."""
        from coreset_engine.clustering.contingency import label_quality

        return (
            np.asarray(label_quality(self.run.pseudo_labels.labels, self.truth)["named"])
            != self.truth
        )

    def spearman(self) -> float:
        """Rank correlation of AUM on pseudo-labels with AUM on true labels."""
        from scipy.stats import spearmanr

        return self.cells(
            ["spearman"],
            lambda: float(
                spearmanr(self.run.dynamics.aum, self.run.dynamics_at(labels="true").aum)[0]
            ),
        )


def stratified(aum: np.ndarray, rate: float, beta: float) -> np.ndarray:
    """CCS as a choice for the beta search."""
    from coreset_engine.selection.budget import window
    from coreset_engine.selection.methods.stratified import CcsConfig, ccs

    low, high = window(len(aum), rate, beta)
    inputs = SimpleNamespace(
        dataset=SimpleNamespace(ids=np.arange(len(aum)).astype(str)),
        dynamics_at=lambda **_: SimpleNamespace(aum=aum),
    )
    return ccs(inputs, high - low, CcsConfig(beta=beta), 0).order[: high - low]


def tell(stage: str, done: int, total: int, unit: str = "") -> None:
    if done == total:
        print(f"{stage} done", flush=True)


def report(bench: Bench, seeds: int) -> str:
    """The table in Markdown."""
    options = bench.options
    machine = (
        f"{os.cpu_count()} cores, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    )
    full = [bench.accuracy("all", 0.0, seed) for seed in range(seeds)]
    out = [
        f"{platform.processor() or platform.machine()}, {machine}",
        "",
        f"Fashion-MNIST, {len(bench.truth):,} training and {len(bench.test_truth):,} test images; "
        f"{options.model} "
        f"from scratch on pixels, {options.steps or 'usual'} steps; test accuracy %, mean ± std, "
        "(seeds). "
        f"All images: {cell(full)}. Pseudo-labels wrong: {100 * bench.wrong.mean():.1f} %. "
        f"Spearman correlation of pseudo-label AUM with true-label AUM: {bench.spearman():.3f}.",
        "",
        "| method | " + " | ".join(f"{rate:.0%} pruned" for rate in RATES) + " |",
        "|---" * (len(RATES) + 1) + "|",
    ]
    found = {
        name: [[bench.accuracy(name, rate, seed) for seed in range(seeds)] for rate in RATES]
        for name in METHODS
    }
    for name, rows in found.items():
        out.append(f"| {name} | " + " | ".join(map(cell, rows)) + " |")
    leads = [
        [
            dict(accuracy=ours["accuracy"] - theirs["accuracy"])
            for ours, theirs in zip(*pair)
            if ours and theirs
        ]
        for pair in zip(found["ELFS"], found["random"])
    ]
    out += [
        "| ELFS minus random, paired | " + " | ".join(map(cell, leads)) + " |",
        "",
        "| method | beta found (each seed) | pseudo-labels wrong in the coreset | class balance (1 "
        "= even) |",
        "|---" * 4 + "|",
    ]
    for name, rows in found.items():
        betas = (
            "-" if name == "random" else ", ".join(bench.betas(name, rate, seeds) for rate in RATES)
        )
        out.append(
            f"| {name} | {betas} | "
            + ", ".join(mean(row, "wrong", "{:.0%}") for row in rows)
            + " | "
            + ", ".join(mean(row, "balance", "{:.3f}") for row in rows)
            + " |"
        )
    return "\n".join(out)


def cell(measured: list[dict[str, float] | None]) -> str:
    """Mean ± deviation of the accuracies in percent, and of how many seeds."""
    values = 100 * np.array([one["accuracy"] for one in measured if one])
    if not len(values):
        return "not measured"
    return (
        f"{values.mean():.2f}"
        + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")
        + f" ({len(values)})"
    )


def mean(measured: list[dict[str, float] | None], what: str, form: str) -> str:
    values = [one[what] for one in measured if one]
    return form.format(np.mean(values)) if values else "?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--train", type=int, default=10_000, help="training images, drawn at random; 60000 = all"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=250,
        help="training steps of every network; 0 = its usual number",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="convnet")
    parser.add_argument(
        "--keep", default="elfs_table.jsonl", help="where finished cells are written and read"
    )
    parser.add_argument(
        "--so-far", action="store_true", help="print what lies in --keep, measure nothing"
    )
    parser.add_argument("--out", help="write the table here too")
    options = parser.parse_args()
    bench = Bench(options)
    bench.spearman()
    for seed, rate, name in itertools.product(range(options.seeds), RATES[::-1], METHODS):
        bench.accuracy(name, rate, seed)
    table = report(bench, options.seeds)
    print("\n" + table)
    if options.out:
        Path(options.out).write_text(table + "\n")


if __name__ == "__main__":
    main()
