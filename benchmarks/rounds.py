"""Accuracy per label bought: rounds of labelling against random, BADGE, TypiClust and cold-start
entropy.

    python benchmarks/rounds.py [--sets demo] [--vectors FILE.npz ...] [--rounds 5] [--count 100]
                                [--seeds 3] [--methods loop,random,badge,typiclust,entropy]

An oracle answers with the true labels. FILE.npz holds `vectors` (N, D) and `labels` (N,). A third
of the images, drawn per seed, judges and is never labelled. Each arm labels `count`
images a round; `loop` is what `coreset next` does: a pilot of random images stratified over
clusters, then the default method (loop:METHOD: that one) with the labels so far as context. The other arms choose every
round, the first as well, by one method: random; TypiClust; BADGE and entropy (least certain first)
on a model of the labels so far, in the first round of pseudo-labels, for there are none yet.
Accuracy is that of a ridge classifier on all labels so far. Differences are to random with the same
seed: mean and standard error over seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from coreset_engine.artifacts import label_log  # noqa: E402
from coreset_engine.artifacts.store import Store  # noqa: E402
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.core.types import Dataset  # noqa: E402
from coreset_engine.pipeline.next_round import next_round  # noqa: E402
from coreset_engine.pipeline.run import Run  # noqa: E402
from coreset_engine.pipeline.select import select  # noqa: E402
from coreset_engine.selection.request import SelectionRequest  # noqa: E402
from coreset_engine.sources.open import open_source  # noqa: E402
from coreset_engine.training.ridge import fit_ridge, one_hot  # noqa: E402

ARMS = ("loop", "random", "badge", "typiclust", "entropy")


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """vectors: (N, D) unit float32. truth: (N,) int. pool, judge: positions."""

    vectors: np.ndarray
    truth: np.ndarray
    pool: np.ndarray
    judge: np.ndarray

    @property
    def n_classes(self) -> int:
        return int(self.truth.max()) + 1

    def accuracy(self, labelled: np.ndarray) -> float:
        """Of a ridge classifier on the labelled positions, on the judging images."""
        targets = one_hot(self.truth[labelled], self.n_classes)
        model = fit_ridge(self.vectors[labelled], targets)
        guess = model.outputs(self.vectors[self.judge]).argmax(axis=1)
        return float((guess == self.truth[self.judge]).mean())


def problem(vectors: np.ndarray, truth: np.ndarray, seed: int) -> Problem:
    order = np.random.default_rng([seed, len(truth)]).permutation(len(truth))
    cut = len(order) // 3
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return Problem(unit.astype(np.float32), truth, np.sort(order[cut:]), order[:cut])


def pool_run(given: Problem, seed: int, home: Path, settings: dict[str, int]) -> Run:
    """A run over the pool alone, without labels."""
    ids = np.array([f"{i:06d}" for i in given.pool], object)
    dataset = Dataset(
        "simulated", ids, f"pool {seed} {len(ids)}", vectors=given.vectors[given.pool]
    )
    return Run(dataset, clusterer="kmeans", seed=seed, store=Store(home), **settings)


def simulated(
    arm: str, given: Problem, run: Run, rounds: int, count: int
) -> tuple[list[float], list[float]]:
    """Accuracy after each round, and seconds each choice took."""
    accuracy = []
    seconds = []
    mark, home = run.dataset.fingerprint, run.store.home
    for number in range(rounds):
        began = time.perf_counter()
        if arm.startswith("loop") or arm == "badge":
            made = _round(arm, run, number, count)
        elif arm == "entropy":
            made = _uncertain(given, run, number, count)
        else:
            made = _plain(arm, run, number, count)
        seconds.append(time.perf_counter() - began)
        label_log.add_labels(mark, home, {key: str(given.truth[int(key)]) for key in made})
        labelled = np.array([int(key) for key in label_log.read(mark, home).labels])
        accuracy.append(given.accuracy(labelled))
    return accuracy, seconds


def _round(arm: str, run: Run, number: int, count: int) -> list[str]:
    if arm == "badge" and number == 0:
        return _plain(arm, run, number, count)
    method = arm.partition(":")[2] or (None if arm == "loop" else arm)
    return list(next_round(run, count, method=method).ids)


def _plain(arm: str, run: Run, number: int, count: int) -> list[str]:
    """A method with the images of earlier rounds as context, blind to their labels."""
    before = label_log.read(run.dataset.fingerprint, run.store.home).context()
    request = SelectionRequest.of(arm, count=len(before) + count, must_keep=before)
    seen = set(before)
    fresh = [str(key) for key in select(request, run).ids if str(key) not in seen]
    about = dict(method=arm, out="")
    label_log.add_round(run.dataset.fingerprint, run.store.home, fresh, about)
    return fresh


def _uncertain(given: Problem, run: Run, number: int, count: int) -> list[str]:
    """The images with the largest entropy under a model of the labels so far (first: of
    pseudo-labels)."""
    labels = label_log.read(run.dataset.fingerprint, run.store.home).labels
    ids = [str(key) for key in run.dataset.ids]
    if labels:
        rows = np.array([i for i, key in enumerate(ids) if key in labels])
        codes = np.unique([labels[ids[i]] for i in rows], return_inverse=True)[1]
    else:
        rows = np.arange(len(ids))
        codes = run.pseudo_labels.labels
    targets = one_hot(codes, int(codes.max()) + 1)
    outputs = fit_ridge(run.vectors[rows], targets).outputs(run.vectors)
    p = np.maximum(outputs, 1e-6)
    p /= p.sum(axis=1, keepdims=True)
    entropy = -(p * np.log(p)).sum(axis=1)
    order = np.argsort(-entropy, kind="stable")
    return [ids[i] for i in order if ids[i] not in labels][:count]


def table(name: str, curves: dict[str, np.ndarray], count: int) -> str:
    """curves: arm -> (seeds, rounds). Markdown: accuracy of random, differences of the others."""
    rounds = next(iter(curves.values())).shape[1]
    labels = [f"{count * (number + 1)}" for number in range(rounds)]
    lines = [f"| {name} | " + " | ".join(labels) + " | mean |", "|---" * (rounds + 2) + "|"]
    base = curves["random"]
    share = [f"{100 * value:.1f}" for value in [*base.mean(axis=0), base.mean()]]
    lines.append("| random, accuracy in % | " + " | ".join(share) + " |")
    for arm, found in curves.items():
        if arm == "random":
            continue
        gaps = 100 * (found - base)
        cells = [*gaps.T, gaps.mean(axis=1)]
        spelt = [
            f"{cell.mean():+.1f} +- {cell.std(ddof=1) / np.sqrt(len(cell)):.1f}" for cell in cells
        ]
        lines.append(f"| {arm} | " + " | ".join(spelt) + " |")
    return "\n".join(lines)


def opened(name: str) -> tuple[str, np.ndarray, np.ndarray]:
    if name.endswith(".npz"):
        held = np.load(name)
        vectors = np.asarray(held["vectors"], np.float32)
        return Path(name).stem, vectors, np.asarray(held["labels"], np.int64)
    run = Run(open_source(name))
    return name, np.asarray(run.vectors), np.asarray(run.labels)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sets", default="demo")
    options.add_argument("--vectors", nargs="*", default=[])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--methods", default=",".join(ARMS))
    given = options.parse_args()
    print(f"{platform.machine()}, {cpu_count()} cores; {given.seeds} seeds")
    arms = given.methods.split(",")
    for name in [*(part for part in given.sets.split(",") if part), *given.vectors]:
        title, vectors, truth = opened(name)
        curves: dict[str, list[list[float]]] = {arm: [] for arm in arms}
        spent: dict[str, list[float]] = {arm: [] for arm in arms}
        for seed in range(given.seeds):
            task = problem(vectors, truth, seed)
            with tempfile.TemporaryDirectory() as home:
                run = pool_run(task, seed, Path(home), dict(n_clusters=task.n_classes))
                _ = run.neighbours, run.pseudo_labels  # what all arms share
                for arm in arms:
                    shutil.rmtree(Path(home) / "history", ignore_errors=True)
                    accuracy, seconds = simulated(arm, task, run, given.rounds, given.count)
                    curves[arm].append(accuracy)
                    spent[arm] += seconds
        print()
        print(table(title, {arm: np.array(rows) for arm, rows in curves.items()}, given.count))
        print(", ".join(f"{arm} {np.mean(times):.1f} s a round" for arm, times in spent.items()))


if __name__ == "__main__":
    main()
