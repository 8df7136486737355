"""Flipped labels found again: precision at k of the ranking of probable label errors.

    python benchmarks/label_errors.py [--images 3000] [--seeds 3] [--flipped 0.1]
        [--sets demo,fashion-mnist,FILE.npz]

Digits (scikit-learn), Fashion-MNIST where it is installed, and any FILE.npz that holds `vectors`
(N, D) and `labels` (N,), of which the first --images are taken. A share of the labels is flipped
to another class at random, drawn anew for every seed. k is the number of flipped labels. Rows: AUM
alone, the out-of-fold margin alone, and the mean of their places, which is what is used; share of
the flipped labels among those that confident learning suspects (recall) and share of the suspected
that are flipped (precision).
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from coreset_engine.artifacts.store import Store  # noqa: E402
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.core.errors import CoresetError  # noqa: E402
from coreset_engine.core.types import Dataset  # noqa: E402
from coreset_engine.evaluation.label_errors import LabelErrors, label_errors  # noqa: E402
from coreset_engine.pipeline.run import Run  # noqa: E402
from coreset_engine.sources.open import open_source  # noqa: E402


def flipped_run(run: Run, share: float, seed: int, store: Store) -> tuple[Run, set[str]]:
    """A run whose labels are partly wrong, and the ids of these."""
    rng = np.random.default_rng([seed, len(run.dataset)])
    labels = np.asarray(run.dataset.labels, np.int64).copy()
    n_classes = len(run.dataset.classes)
    wrong = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[wrong] = (labels[wrong] + rng.integers(1, n_classes, len(wrong))) % n_classes
    dataset = dataclasses.replace(run.dataset, labels=labels)
    made = Run(dataset, run.config, store=store).with_config(seed=seed)
    return made, {str(key) for key in dataset.ids[wrong]}


def measured(found: LabelErrors, wrong: set[str]) -> dict[str, float]:
    """Precision at k of each signal; precision and recall of the suspected ones."""
    is_wrong = np.array([str(key) in wrong for key in found.ids])
    k = int(is_wrong.sum())
    first = {
        "AUM": np.argsort(found.aum, kind="stable"),
        "out-of-fold margin": np.argsort(found.margin, kind="stable"),
        "mean of places": np.arange(len(found)),
    }
    rows = {name: float(is_wrong[order[:k]].mean()) for name, order in first.items()}
    caught = is_wrong & found.suspected
    rows["suspected: precision"] = float(caught.sum() / max(1, found.suspected.sum()))
    rows["suspected: recall"] = float(caught.sum() / k)
    rows["estimated / true errors"] = found.estimated_errors / k
    return rows


def stored_run(path: Path) -> Run:
    """A run over the vectors and labels of a file."""
    with np.load(path) as stored:
        labels = stored["labels"].astype(np.int64)
        vectors = stored["vectors"]
    ids = np.array([f"{i:06d}" for i in range(len(labels))], object)
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    return Run(Dataset(path.stem, ids, path.stem, labels=labels, classes=classes, vectors=vectors))


def vectors_of(name: str, images: int) -> Run:
    """A run over the first images of a set, its vectors computed or those of a file."""
    run = stored_run(Path(name)) if name.endswith(".npz") else Run(open_source(name))
    if len(run.dataset) <= images:
        return run
    return run.take(np.arange(images))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=3000)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--flipped", type=float, default=0.1)
    options.add_argument("--sets", default="demo,fashion-mnist")
    given = options.parse_args()
    print(f"{platform.machine()}, {cpu_count()} cores; {given.seeds} seeds, mean +- std")
    for name in given.sets.split(","):
        began = time.perf_counter()
        try:
            run = vectors_of(name, given.images)
        except CoresetError as error:
            print(f"{name}: left out ({error})")
            continue
        rows: dict[str, list[float]] = {}
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as home:
                made, wrong = flipped_run(with_vectors(run), given.flipped, seed, Store(Path(home)))
                for row, value in measured(label_errors(made), wrong).items():
                    rows.setdefault(row, []).append(value)
        seconds = time.perf_counter() - began
        print(
            f"\n{name}, {len(run.dataset):,} images, {given.flipped:.0%} flipped, {seconds:.0f} s"
        )
        for row, values in rows.items():
            print(f"| {row} | {np.mean(values):.3f} +- {np.std(values, ddof=1):.3f} |")


def with_vectors(run: Run) -> Run:
    """The run with its vectors as the source's own, so that they are not embedded again."""
    return run.with_dataset(dataclasses.replace(run.dataset, vectors=np.asarray(run.vectors)))


if __name__ == "__main__":
    main()
