"""ELFS: linear heads in one product against a loop over modules (MLP heads: temi_step.py), TEMI
against k-means, stage times at full size.

Run with scripts/bench elfs [--parts heads,clusters,stages] [--seeds 5] [--repeats 7] [--keep FILE]
                            [--vectors V.npy --labels L.npy [--neighbours I.npy] [--n N]].
Without files, the vectors are Fashion-MNIST's by the default encoder, taken from the store or
embedded first (minutes). Ratios are paired: both sides run in turn, on the same batches, in the
same process. Labels are used for scoring only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from coreset_engine.clustering.config import TemiConfig
from coreset_engine.clustering.heads import pair_weights, pmi_loss
from coreset_engine.clustering.temi_training import Training

HEADS = 50


class LoopHead(torch.nn.Module):
    """One linear head as its own module, with the weights of head h of the stack."""

    def __init__(self, stack: list[torch.Tensor], h: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.last = torch.nn.Parameter(stack[0][:, h].T.detach().clone())

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ torch.nn.functional.normalize(self.last, dim=1).T / self.temperature


class LoopTraining:
    """TEMI with one module per head, written the plain way, same start and same optimiser."""

    def __init__(self, batched: Training) -> None:
        self.batched = batched
        config = batched.config
        make = lambda stack: [LoopHead(stack, h, config.temperature) for h in range(config.n_heads)]  # noqa: E731
        self.students = make(batched.students)
        self.teachers = make(batched.teachers)
        self.prior = [row.clone() for row in batched.prior]
        parameters = [part for head in self.students for part in head.parameters()]
        self.optimizer = torch.optim.AdamW(
            parameters, config.lr, weight_decay=config.weight_decay, fused=True
        )

    def step(self, images: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        config = self.batched.config
        rows = self.batched.rows[torch.cat([images, partners])]
        n = len(images)
        with torch.no_grad():
            taught = [torch.log_softmax(head(rows), dim=1) for head in self.teachers]
            weights = sum(pair_weights((t[:n, None], t[n:, None])) for t in taught) / len(taught)
        losses = []
        for h, (head, t) in enumerate(zip(self.students, taught)):
            self.prior[h] = config.prior_momentum * self.prior[h] + (
                1 - config.prior_momentum
            ) * t.exp().mean(dim=0)
            s = torch.log_softmax(head(rows), dim=1)
            losses.append(
                pmi_loss(
                    (s[:n, None], s[n:, None]),
                    (t[:n, None], t[n:, None]),
                    self.prior[h][None].log(),
                    config.beta,
                    weights,
                )[0]
            )
        self.optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        self.optimizer.step()
        with torch.no_grad():
            for teacher, student in zip(self.teachers, self.students):
                for slow, fast in zip(teacher.parameters(), student.parameters()):
                    slow.lerp_(fast, 1 - config.momentum)
        return torch.stack(losses).detach()


def heads(vectors: np.ndarray, repeats: int, steps: int = 10) -> None:
    """Seconds per training step of 50 heads, in turn, and the ratio."""
    print(f"### {HEADS} heads: one batched product against one module per head\n")
    print(
        "| heads | batch | batched, ms/step | loop, ms/step | ratio, median (min-max) | same "
        "losses |"
    )
    print("|---|---|---|---|---|---|")
    for name, hidden, dims, batch in (
        ("linear, 256 -> 10 (preset cpu)", 0, 256, 512),
        ("linear, 256 -> 10", 0, 256, 128),
    ):
        config = TemiConfig(n_heads=HEADS, hidden=hidden, batch=batch)
        rows = torch.nn.functional.normalize(
            torch.from_numpy(np.array(vectors[:8192, :dims], np.float32)), dim=1
        )
        neighbours = torch.randint(
            len(rows), (len(rows), 50), generator=torch.Generator().manual_seed(0)
        )
        fast = Training(rows, neighbours, 10, config, 0)
        slow = LoopTraining(fast)
        times = []
        equal = []
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
        for repeat in range(repeats + 1):
            taken = []
            for side in (fast.step, slow.step):
                start = time.perf_counter()
                for step in range(steps):
                    images = order[(step * batch) % len(rows) :][:batch]
                    losses = side(images, neighbours[images, repeat])
                taken.append((time.perf_counter() - start) / steps)
                equal.append(losses)
            times.append(taken)
        ratios = [loop / batched for batched, loop in times[1:]]
        same = torch.allclose(equal[0], equal[1], atol=1e-3)
        middle = [1000 * statistics.median(side) for side in zip(*times[1:])]
        print(
            f"| {name} | {batch} | {middle[0]:.1f} | {middle[1]:.1f} | "
            f"{statistics.median(ratios):.1f} "
            f"({min(ratios):.1f}-{max(ratios):.1f}) | {'yes' if same else 'NO'} |",
            flush=True,
        )


def clusters(
    vectors: np.ndarray, labels: np.ndarray, neighbours, seeds: int, keep: Path | None
) -> None:
    """Accuracy, NMI, ARI of TEMI and of spherical k-means on the same vectors, over seeds; resumed
    from `keep`."""
    from coreset_engine.clustering.contingency import label_quality
    from coreset_engine.clustering.pseudo_labels import pseudo_labels

    print(f"\n### Clustering {len(vectors):,} images, {seeds} seeds, mean ± std\n")
    print(
        "| method | accuracy % | NMI % | ARI % | empty clusters | seconds "
        "|\n|---|---|---|---|---|---|"
    )
    scores = {}
    lines = keep.read_text().splitlines() if keep and keep.exists() else []
    known = {(n, method, seed): row for n, method, seed, row in map(json.loads, lines)}

    def one(method: str, seed: int) -> list[float]:
        if (len(vectors), method, seed) not in known:
            start = time.perf_counter()
            made = pseudo_labels(vectors, 10, method, seed, neighbours=neighbours)
            quality = label_quality(made.labels, labels)
            row = [100 * quality[name] for name in ("accuracy", "nmi", "ari")]
            row = known[len(vectors), method, seed] = [
                *row,
                len(made.info["dead"]),
                time.perf_counter() - start,
            ]
            if keep:
                with open(keep, "a") as out:
                    print(json.dumps([len(vectors), method, seed, row]), file=out)
        return known[len(vectors), method, seed]

    for method in ("kmeans", "temi"):
        scores[method] = np.array([one(method, seed) for seed in range(seeds)])
        mean = scores[method].mean(axis=0)
        std = scores[method].std(axis=0, ddof=1) if seeds > 1 else np.zeros(5)
        cells = " | ".join(f"{m:.2f} ± {s:.2f}" for m, s in zip(mean[:3], std))
        print(f"| {method} | {cells} | {mean[3]:.1f} | {mean[4]:.0f} |", flush=True)
    lead = scores["temi"] - scores["kmeans"]
    print(
        f"\nTEMI minus k-means, seed by seed: accuracy {np.round(lead[:, 0], 2).tolist()}, "
        f"NMI {np.round(lead[:, 1], 2).tolist()}.",
        flush=True,
    )


def stages(vectors: np.ndarray, labels: np.ndarray, neighbours) -> None:
    """Wall time and peak memory of every stage from vectors to scores, and how far pseudo-labels
    move AUM."""
    from scipy.stats import spearmanr

    from coreset_engine.clustering.pseudo_labels import propose_n_clusters, pseudo_labels
    from coreset_engine.training.dynamics import training_dynamics

    print(f"\n### Stages at {len(vectors):,} images, {vectors.shape[1]} dimensions\n")
    print("| stage | seconds | peak memory so far, GB |\n|---|---|---|")

    def timed(name, work):
        start = time.perf_counter()
        result = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"| {name} | {time.perf_counter() - start:.1f} | {peak:.2f} |", flush=True)
        return result

    timed("number of clusters proposed", lambda: propose_n_clusters(vectors))
    timed("spherical k-means", lambda: pseudo_labels(vectors, 10, "kmeans"))
    made = timed(
        "TEMI, preset cpu, neighbours given",
        lambda: pseudo_labels(vectors, 10, "temi", neighbours=neighbours),
    )
    pseudo = timed(
        "dynamics, MLP on pseudo-labels", lambda: training_dynamics(vectors, made.labels, "mlp")
    )
    true = timed("dynamics, MLP on true labels", lambda: training_dynamics(vectors, labels, "mlp"))
    print(
        "\nSpearman correlation of pseudo-label AUM with true-label AUM: "
        f"{spearmanr(pseudo.aum, true.aum)[0]:.3f}."
    )


def load(arguments):
    """(vectors, labels, neighbours of the first n)."""
    from coreset_engine.core.types import Neighbours

    if arguments.vectors:
        from coreset_engine.clustering.vectors import as_tensor, nearest, unit

        vectors, labels = (
            np.load(path, mmap_mode="r")[: arguments.n]
            for path in (arguments.vectors, arguments.labels)
        )
        found = (
            np.load(arguments.neighbours)
            if arguments.neighbours
            else nearest(unit(as_tensor(vectors, "cpu")), 50).numpy()
        )
        return vectors, np.asarray(labels), Neighbours(found, np.zeros(found.shape, np.float32))
    import coreset_engine as ce

    run = ce.Run(ce.open_source("fashion-mnist"))
    return run.vectors, run.labels, run.neighbours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="heads,clusters,stages")
    parser.add_argument("--vectors")
    parser.add_argument("--labels")
    parser.add_argument(
        "--neighbours",
        help="(N, k) indices of the nearest, else found exactly (a minute at 60,000)",
    )
    parser.add_argument("--n", type=int)
    parser.add_argument(
        "--repeats", type=int, default=7, help="paired timings of the heads, of 10 steps each"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where finished clusterings are written and read")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f}\n",
        flush=True,
    )
    if parts == ["heads"] and not arguments.vectors:
        return heads(np.random.default_rng(0).normal(size=(8192, 1280)), arguments.repeats)
    vectors, labels, neighbours = load(arguments)
    if "heads" in parts:
        heads(vectors, arguments.repeats)
    if "clusters" in parts:
        clusters(vectors, labels, neighbours, arguments.seeds, arguments.keep)
    if "stages" in parts:
        stages(vectors, labels, neighbours)


if __name__ == "__main__":
    main()
