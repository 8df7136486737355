"""Every registered method against random, at 50 to 99 % removed: a linear model on the embeddings.

    python benchmarks/methods.py fashion-mnist [--variant plain|tail|noise] [--images 10000]
                                 [--seeds 5] [--only a,b] [--minutes 14] [--out methods.md]

plain: the set as it is. tail: classes thinned to 100:1. noise: 10 % of the training labels flipped.
    Cells are kept in
the workspace: a run that stopped (or was stopped by --minutes) goes on, and prints what is there.
Methods are read from the registry; `auto` and `random` come first, then all methods seed by seed.
Time is that of the selection alone, stages finished, median over seeds at 90 %; peak memory is
benchmarks/methods_time.py's business.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path[0] = str(
    Path(__file__).resolve().parent.parent
)  # benchmarks/coverage.py hides a package of that name

from coreset_engine.cli.commands.evaluate import spread  # noqa: E402
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.core.errors import Cancelled  # noqa: E402
from coreset_engine.core.registry import METHODS  # noqa: E402
from coreset_engine.evaluation.experiment import Row, evaluate  # noqa: E402
from coreset_engine.pipeline.run import Run  # noqa: E402
from coreset_engine.sources.open import open_source  # noqa: E402

RATES = (0.5, 0.7, 0.9, 0.95, 0.99)
IMBALANCE = 100


def thinned(labels: np.ndarray, images: int, tail: bool) -> np.ndarray:
    """Ascending positions: the first `images` (0 = all); with tail, of class c only the first n /
    100^(c / (C - 1))."""
    at = np.arange(len(labels))[: images or None]
    if not tail:
        return at
    names = np.unique(labels[at])
    most = min(int((labels[at] == name).sum()) for name in names)
    keep = [
        at[labels[at] == name][: round(most * IMBALANCE ** (-i / (len(names) - 1)))]
        for i, name in enumerate(names)
    ]
    return np.sort(np.concatenate(keep))


def opened(source: str, variant: str, images: int) -> Run:
    """The run of this variant; the test split stays whole."""
    run = Run(open_source(source))
    at = thinned(run.labels, images, variant == "tail")
    if len(at) == len(run.dataset):
        return run
    part = run.take(at)
    return part.with_dataset(dataclasses.replace(part.dataset, test_spec=run.dataset.test_spec))


def measure(
    run: Run,
    names: list[str],
    seeds: int,
    variant: str,
    minutes: float,
    show: Callable[[list[Row], float | None], None],
) -> tuple[list[Row], float | None]:
    """Rows and the full set's accuracy, as far as the time went. show: called with what is there,
    once a minute."""
    began = time.monotonic()
    kept = {}
    shown = [time.monotonic()]

    def tell(rows: list[Row], full: float | None, total: int) -> None:
        kept.update({(r["method"], r["prune_rate"], r["seed"]): r for r in rows})
        kept["full"] = full if full is not None else kept.get("full")
        if time.monotonic() - shown[0] > 60:
            shown[0] = time.monotonic()
            show([row for key, row in kept.items() if key != "full"], kept["full"])
        if time.monotonic() - began > 60 * minutes:
            raise Cancelled(f"{minutes:g} minutes are over.")

    options = dict(label_noise=0.1) if variant == "noise" else {}
    try:
        for some in ([name for name in names if name == "auto"], names):
            evaluate(run, on_rows=tell, methods=some, prune_rates=RATES, seeds=seeds, **options)
    except Cancelled as stop:
        print(f"{stop} The same command goes on.", file=sys.stderr)
    full = kept.pop("full", None)
    return list(kept.values()), full


def table(rows: list[Row], full: float | None) -> list[str]:
    """Markdown: mean +- std at each rate, the paired difference to random in brackets, n, seconds
    at 90 %."""
    out = [
        "| method | "
        + " | ".join(f"{rate:.0%} removed" for rate in RATES)
        + " | n | selection at 90 % |",
        "|---" * (len(RATES) + 3) + "|",
    ]
    base = {
        (row["prune_rate"], row["seed"]): row["accuracy"]
        for row in rows
        if row["method"] == "random"
    }
    for method in [name for name in METHODS if any(row["method"] == name for row in rows)]:
        cells = []
        counts = []
        for rate in RATES:
            good = [
                r
                for r in rows
                if (r["method"], r["prune_rate"]) == (method, rate) and r["accuracy"] is not None
            ]
            if not good:
                cells.append("")
                continue
            mean, std = spread([r["accuracy"] for r in good])
            over = spread([r["accuracy"] - base[rate, r["seed"]] for r in good])[0]
            told = "" if method == "random" else f" ({100 * over:+.1f})"
            cells.append(
                f"{100 * mean:.1f}" + (f" ± {100 * std:.1f}" if len(good) > 1 else "") + told
            )
            counts.append(len(good))
        spent = [
            r.get("select_seconds", np.nan)
            for r in rows
            if (r["method"], r["prune_rate"]) == (method, 0.9)
        ]
        out.append(
            f"| {method} | " + " | ".join(cells) + f" | {min(counts, default=0)} | "
            f"{np.median(spent) if spent else float('nan'):.2f} s |"
        )
    return out + (
        [] if full is None else [f"| all images | {100 * full:.1f} |" + " |" * (len(RATES) + 1)]
    )


def verdict(rows: list[Row]) -> str:
    """Whether `auto` is at or above random in every cell, paired mean."""
    accuracy = {(r["method"], r["prune_rate"], r["seed"]): r["accuracy"] for r in rows}
    told = []
    good = True
    for rate in RATES:
        pairs = [
            value - accuracy["random", rate, seed]
            for (name, r, seed), value in accuracy.items()
            if name == "auto" and r == rate and ("random", rate, seed) in accuracy
        ]
        if pairs:
            good &= float(np.mean(pairs)) >= 0
            told.append(f"{rate:.0%}: {100 * float(np.mean(pairs)):+.2f} points (n = {len(pairs)})")
    if not told:
        return "auto was not measured."
    return f"auto >= random in every cell measured: {'yes' if good else 'no'}; " + ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--variant", choices=("plain", "tail", "noise"), default="plain")
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    run = opened(given.source, given.variant, given.images)
    names = [name for name in METHODS if not given.only or name in given.only.split(",")]
    words = " ".join(word for word in sys.argv[1:] if word not in ("--out", str(given.out)))
    head = (
        f"`python benchmarks/methods.py {words}` on {cpu_count()} cores ({platform.machine()}), "
        f"{len(run.dataset):,} training images, linear model, test accuracy in %: mean ± std "
        "(paired difference "
        "to random)."
    )

    def show(rows: list[Row], full: float | None) -> str:
        text = "\n".join([head, "", *table(rows, full), "", verdict(rows)])
        if given.out is not None:
            given.out.write_text(text + "\n", encoding="utf-8")
        return text

    print(show(*measure(run, names, given.seeds, given.variant, given.minutes, show)))


if __name__ == "__main__":
    main()
