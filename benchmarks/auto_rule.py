"""Is `auto` ever below random? Linear probe on vectors, paired over seeds, 30 to 99.5 % pruned.

    python benchmarks/auto_rule.py TRAIN_VECTORS.npy TRAIN_LABELS.npy TEST_VECTORS.npy
        TEST_LABELS.npy [--seeds 5] [--methods auto,kmedoids] [--rates 0.3,0.995] [--raw FILE]

The judge is `evaluation.linear.fit_linear`: convex, so that only the subset decides. Each cell is
mean accuracy, the paired difference to random (mean +- standard error over seeds), and the seconds
of one choice. --raw keeps every single figure, one line of JSON each, and a run that is started
again goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

from coreset_engine.training.loop import TrainingSet

sys.path[0] = str(
    Path(__file__).parents[1]
)  # else benchmarks/coverage.py hides the package of that name


def main() -> None:
    """Measure what is not in --raw yet, print the Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("vectors", "labels", "test_vectors", "test_labels"):
        parser.add_argument(name)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", default="auto")
    parser.add_argument("--rates", default="0.995,0.99,0.98,0.95,0.9,0.8,0.7,0.5,0.3")
    parser.add_argument("--raw", default="auto_rule.jsonl")
    options = parser.parse_args()
    rates = [float(rate) for rate in options.rates.split(",")]
    methods = ["random", *options.methods.split(",")]
    measure(options, methods, rates)
    show(options, methods, rates)


def measure(options, methods: list[str], rates: list[float]) -> None:
    """Append {method, rate, seed, accuracy, seconds} to the raw file for every cell it lacks."""
    import coreset_engine as ce
    from coreset_engine.evaluation.linear import fit_linear
    from coreset_engine.selection.select import choose

    labels, truth = (
        np.load(path).astype(np.int64) for path in (options.labels, options.test_labels)
    )
    test = np.load(options.test_vectors, mmap_mode="r")
    run = ce.Run(ce.open_source(options.vectors), seed=0, n_clusters=int(labels.max()) + 1)
    vectors = run.vectors
    done = {(r["method"], r["rate"], r["seed"]) for r in raw(options.raw)}
    for rate in rates:
        for seed in range(options.seeds):
            for method in methods:
                if (method, rate, seed) in done:
                    continue
                start = time.perf_counter()
                kept = choose(method, run, prune_rate=rate, seed=seed).indices
                seconds = time.perf_counter() - start
                probe = fit_linear(TrainingSet(vectors[kept], labels[kept]), int(labels.max()) + 1)
                found = dict(
                    method=method,
                    rate=rate,
                    seed=seed,
                    k=len(kept),
                    seconds=seconds,
                    accuracy=float((probe.predict(test) == truth).mean()),
                )
                with open(options.raw, "a") as file:
                    file.write(json.dumps(found) + "\n")


def raw(path: str) -> list[dict]:
    """The lines of the raw file, none when there is none."""
    return (
        [json.loads(line) for line in Path(path).read_text().splitlines()]
        if Path(path).exists()
        else []
    )


def show(options, methods: list[str], rates: list[float]) -> None:
    """The table, one row per rate and method."""
    print(
        f"{Path(options.vectors).stem}, linear probe, {options.seeds} seeds, paired; "
        f"{platform.machine()}, "
        f"{os.cpu_count()} cores\n"
    )
    print("| pruned | k | method | accuracy, % | against random | s |\n|---|---|---|---|---|---|")
    found = {(r["method"], r["rate"], r["seed"]): r for r in raw(options.raw)}
    for rate in rates:
        base = np.array([found["random", rate, seed]["accuracy"] for seed in range(options.seeds)])
        for method in methods:
            cells = [found[method, rate, seed] for seed in range(options.seeds)]
            values = 100 * np.array([cell["accuracy"] for cell in cells])
            gap = values - 100 * base
            print(
                f"| {100 * rate:g} % | {cells[0]['k']:,} | {method} "
                f"| {values.mean():.2f} +- {values.std(ddof=1):.2f} "
                f"| {gap.mean():+.2f} +- {gap.std(ddof=1) / len(gap) ** 0.5:.2f} | "
                f"{np.mean([cell['seconds'] for cell in cells]):.1f} |"
            )


if __name__ == "__main__":
    main()
