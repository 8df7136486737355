"""One step of TEMI's preset "paper": heads trained one by one here against one module per head.

    python benchmarks/temi_step.py [--heads 50] [--repeats 5] [--threads 1]

The baseline is the head of TEMI's program written the plain way: linear layers with bias, GELU,
weight-normalised last layer, one torch module per head in a loop, autograd over all of them, AdamW
and the moving average of the teachers as in its training loop. Both sides have the same weights,
the same random batch of 512 pairs (1,280 dimensions, 10 clusters) and run in turn. Prints wall and
CPU seconds per step (median of repeats), their ratio, and the share of the matrix products in the
CPU
time: the products of one step, timed alone at their sizes. Where that share is near 1, only a lower
precision or fewer products would be faster.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import gelu, log_softmax, normalize

sys.path[0] = str(Path(__file__).resolve().parent.parent)
from coreset_engine.clustering.config import TemiConfig  # noqa: E402
from coreset_engine.clustering.heads import bfloat16_products  # noqa: E402
from coreset_engine.clustering.temi_training import Training  # noqa: E402

DIMS = 1280
CLUSTERS = 10
PAIRS = 512


class LoopHead(torch.nn.Module):
    """One head as a module, with the weights of head h of the stacks."""

    def __init__(self, stacks: list[torch.Tensor], h: int) -> None:
        super().__init__()
        _, hidden, n_dims = stacks[0].shape
        _, clusters, bottleneck = stacks[4].shape
        self.first = torch.nn.Linear(n_dims, hidden)
        self.second = torch.nn.Linear(hidden, bottleneck)
        self.last = torch.nn.utils.parametrizations.weight_norm(
            torch.nn.Linear(bottleneck, clusters, bias=False)
        )
        weight = self.last.parametrizations.weight
        targets = (
            self.first.weight,
            self.first.bias,
            self.second.weight,
            self.second.bias,
            weight.original1,
            weight.original0,
        )
        with torch.no_grad():
            for target, stack in zip(targets, stacks, strict=True):
                target.copy_(stack[h].reshape(target.shape))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.last(normalize(self.second(gelu(self.first(rows))), dim=1))


class LoopTraining:
    """TEMI with one module per head: same start, loss, optimiser and schedule of the teachers."""

    def __init__(self, like: Training) -> None:
        self.config = like.config
        self.rows = like.rows
        self.prior = [row.clone() for row in like.prior]
        heads = range(like.config.n_heads)
        self.students = [LoopHead(like.students, h) for h in heads]
        self.teachers = [LoopHead(like.teachers, h).requires_grad_(False) for h in heads]
        self.optimizer = torch.optim.AdamW(
            [part for head in self.students for part in head.parameters()],
            like.lr,
            weight_decay=like.config.weight_decay,
        )

    def step(self, images: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        """(H,) losses, after the update."""
        temperature = self.config.temperature
        rows = self.rows[torch.cat([images, partners])]
        half = len(images)
        with torch.no_grad():
            taught = [log_softmax(head(rows) / temperature, 1).exp() for head in self.teachers]
            weight = sum((t[:half] * t[half:]).sum(1) for t in taught) / len(taught)
        losses = []
        for h, head in enumerate(self.students):
            student = log_softmax(head(rows) / temperature, 1).exp()
            losses.append(self._loss(h, student.split(half), taught[h].split(half), weight))
        self.optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        self.optimizer.step()
        keep = self.config.momentum
        with torch.no_grad():
            for teacher, head in zip(self.teachers, self.students):
                for slow, fast in zip(teacher.parameters(), head.parameters()):
                    slow.mul_(keep).add_((1 - keep) * fast)
        return torch.stack(losses).detach()

    def _loss(self, h: int, student: tuple, taught: tuple, weight: torch.Tensor) -> torch.Tensor:
        stays = self.config.prior_momentum
        self.prior[h] = stays * self.prior[h] + (1 - stays) * torch.cat(taught).mean(0)
        pmi = [
            ((student[i] * taught[1 - i]) ** self.config.beta / self.prior[h]).sum(1).log()
            for i in (0, 1)
        ]
        return -(weight * (pmi[0] + pmi[1])).mean() / 2


def products(config: TemiConfig) -> Callable[[], None]:
    """The large matrix products of one head's step: twice forward, once backward."""
    rows = torch.randn(2 * PAIRS, DIMS)
    first = torch.randn(config.hidden, DIMS)
    second = torch.randn(config.bottleneck, config.hidden)
    deep = torch.randn(2 * PAIRS, config.hidden)
    features = torch.randn(2 * PAIRS, config.bottleneck)

    def run() -> None:
        for _ in range(2):
            torch.mm(rows, first.T)
            torch.mm(deep, second.T)
        torch.mm(deep.T, rows)
        torch.mm(features.T, deep)
        torch.mm(features, second)

    return run


def timed(task: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds."""
    wall = time.perf_counter()
    cpu = time.process_time()
    task()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4096, DIMS, generator=generator)
    neighbours = torch.randint(4096, (4096, 50), generator=generator)
    config = TemiConfig.preset("paper", n_heads=given.heads, warmup_epochs=0, frozen_epochs=0)
    ours = Training(rows, neighbours, CLUSTERS, config, 0)
    loop = LoopTraining(ours)
    alone = products(config)
    sides = {
        "here": lambda pairs: ours.step(*pairs),
        "one module per head": lambda pairs: loop.step(*pairs),
        "products alone": lambda pairs: [alone() for _ in range(given.heads)],
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    losses = {}
    for repeat in range(given.repeats + 1):
        images = torch.randperm(4096, generator=generator)[:PAIRS]
        pairs = images, neighbours[images, repeat % 50]
        for name, side in sides.items():
            taken = timed(lambda do=side, key=name, at=pairs: losses.update({key: do(at)}))
            times[name] += [taken] if repeat else []
    same = torch.allclose(losses["here"], losses["one module per head"], rtol=1e-3, atol=1e-4)
    print(
        f"{platform.processor() or platform.machine()}, {given.threads} threads, {given.heads} "
        "heads, "
        f"n = {given.repeats}; bfloat16 products: {bfloat16_products('cpu')}; same losses: {same}\n"
    )
    print("| | wall, s/step | CPU, s/step | CPU relative to here |\n|---|---|---|---|")
    middle = {name: [statistics.median(t) for t in zip(*found)] for name, found in times.items()}
    for name, (wall, cpu) in middle.items():
        ratios = [a[1] / b[1] for a, b in zip(times[name], times["here"])]
        print(
            f"| {name} | {wall:.2f} | {cpu:.2f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f}) |"
        )


if __name__ == "__main__":
    main()
