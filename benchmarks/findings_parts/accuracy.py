"""Accuracy of one budget with and without cleaning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.findings_parts.machine import machine
from coreset_engine.evaluation.linear import fit_linear
from coreset_engine.evaluation.paired import paired_test
from coreset_engine.findings.report import Report
from coreset_engine.pipeline.clean import affected, clean
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.training.loop import TrainingSet

WAYS = {
    "copies": ("byte_identical", "pixel_identical"),
    "copies and near": ("byte_identical", "pixel_identical", "near_duplicates"),
    "all but low": (
        "byte_identical",
        "pixel_identical",
        "near_duplicates",
        "label_conflicts",
        "blank",
        "outliers",
    ),
}


def accuracy(run: Run, seeds: int, rates: tuple[float, ...] = (0.95, 0.8)) -> None:
    """Print the accuracy of each budget with and without cleaning.

    A fifth of the images is the test; of a group of copies all stay on one side. The budget is a
    share of the images before cleaning, so that every row of a pair trains on as many.
    """
    rows: dict[tuple[str, float, str], list[float]] = {}
    removed: dict[str, list[int]] = {}
    for seed in range(seeds):
        train, test = _split(run, seed)
        for way, part, taken in _cleaned(run.take(train)):
            removed.setdefault(way, []).append(taken)
            for method in ("random", "kmedoids"):
                for rate in rates:
                    count = round((1 - rate) * len(train))
                    kept = select(method, part, count=count, seed=seed).indices
                    right = _share_right(run, part, kept, test)
                    rows.setdefault((method, rate, way), []).append(right)
    print(f"{run.dataset.spec}: {len(run.dataset):,} images, {seeds} seeds; {machine()}")
    for way, counts in removed.items():
        print(f"excluded of {len(train):,} by {way!r}: {np.mean(counts):.0f}")
    print("\n| method | kept | cleaned | accuracy | difference, 95 % interval |")
    print("|---|---|---|---|---|")
    for (method, rate, way), values in rows.items():
        told = ""
        if way != "none":
            base = rows[method, rate, "none"]
            paired = paired_test([100 * (a - b) for a, b in zip(values, base)])
            told = f"{paired.mean:+.1f} ({paired.low:+.1f} to {paired.high:+.1f})"
        print(f"| {method} | {1 - rate:.0%} | {way} | {100 * np.mean(values):.1f} % | {told} |")


def _cleaned(part: Run) -> Iterator[tuple[str, Run, int]]:
    """(way, `part` with its exclusions, their number), from one report."""
    part.excluded_by = []
    yield "none", part, 0
    report = clean(part)
    for way, names in WAYS.items():
        ids = _ids_of(part, report, names)
        part.excluded_by = [dict(kind="exclude", ids=ids, reason="benchmark")]
        yield way, part, len(ids)


def _ids_of(part: Run, report: Report, names: tuple[str, ...]) -> list[str]:
    """What a person would exclude: all but one of each group, every image with two labels."""
    ids: list[str] = []
    for name in names:
        if name in report.findings:  # vectors have no pixels
            which = "all" if name == "label_conflicts" else "surplus"
            ids += affected(part, report, name, which=which)
    return list(dict.fromkeys(ids))


def _share_right(run: Run, part: Run, kept: np.ndarray, test: np.ndarray) -> float:
    """Accuracy on `test` of a linear model that is trained on `kept`."""
    n_classes = len(run.dataset.classes)
    model = fit_linear(TrainingSet(part.vectors[kept], part.dataset.labels[kept]), n_classes)
    return float((model.predict(run.vectors[test]) == run.dataset.labels[test]).mean())


def _split(run: Run, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(train, test) positions; copies of one picture are on one side, once in the test."""
    groups = np.unique(np.asarray(run.dataset.digests), return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    held = np.zeros(len(order), bool)
    held[order[: len(order) // 5]] = True
    first = np.unique(groups, return_index=True)[1]
    return np.flatnonzero(~held[groups]), np.sort(first[held])
