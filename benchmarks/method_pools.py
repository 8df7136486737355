"""Pools and test images of benchmarks/methods.py, selections from them, and the two judges."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.judges.linear import fit
from benchmarks.method_experiments import (
    AXES,
    DIMS,
    ITERATIONS,
    MADE_FROM,
    RATES,
    SETTINGS,
    SIZES,
    WRONG,
    Experiment,
)
from coreset_engine.core.registry import METHODS
from coreset_engine.training.loop import TrainingSet


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
