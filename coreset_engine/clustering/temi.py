"""TEMI: cluster heads that learn, from neighbours alone, to give an image and its neighbour the
same cluster.

Teacher ensemble-weighted pointwise mutual information (Adaloglou et al., BMVC 2023; ELFS 3.3, eq.
1-2) on frozen
embeddings: H student heads are trained on pairs (x, one of its nearest neighbours), H teachers
follow as their moving average, the heads are renamed after the one with the lowest loss and
averaged. Presets: "cpu" (minutes on two cores for 60,000 images) and "paper" (ELFS 8.1; wants a
GPU).

What moved quality on Fashion-MNIST's EfficientNet-Lite0 vectors, accuracy / NMI in %. 6,000 images,
mean of 3 seeds (2 for k-means, "as above" and "10 epochs only"); 16 linear heads, 40 epochs,
PCA-256, temperature 0.1 unless said. Spherical k-means: 64.5 / 57.9.

    as above                      69.5 / 61.7 | momentum 0.996, 80 epochs     63.0 / 58.9
    10 epochs only                55.1 / 51.9 | half-whitened axes            68.5 / 61.6
    lr 3e-3                       69.6 / 61.8 | PCA-64                        68.3 / 60.7
    lr 1e-2                       69.2 / 61.7 | all 1,280 dimensions          66.2 / 60.1
    batch 256                     69.9 / 62.0 | start at k-means centres      64.6 / 60.0
    25 neighbours                 68.6 / 61.1 | mean of logarithms            68.2 / 61.0
    beta 0.7                      68.7 / 61.1 | the better half of the heads  68.6 / 61.4
    beta 0.55                     64.2 / 59.9 | temperature 0.07              70.5 / 62.8
    temperature 0.05              69.4 / 62.4 | temperature 0.05, 80 epochs   70.4 / 63.0

60,000 images, 2 seeds: spherical k-means 62.7 / 58.0; temperature 0.07, 10 epochs 72.3 / 64.6;
temperature 0.05, 10 epochs 72.4 / 65.1, 20 epochs 73.0 / 65.9. What counts is enough updates with a
quick teacher, reduction to 256 axes, a random start (k-means starts make all heads alike) and a
sharper softmax.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from coreset_engine.clustering.alignment import align_counts, together
from coreset_engine.clustering.heads import (
    Pair,
    Parameters,
    head_logits,
    make_heads,
    pair_weights,
    pmi_loss,
)
from coreset_engine.clustering.vectors import (
    as_tensor,
    axes,
    check_clusters,
    nearest,
    principal,
    unit,
)
from coreset_engine.core.config import knob
from coreset_engine.core.device import resolve_device, torch_threads
from coreset_engine.core.errors import BadInput
from coreset_engine.core.prefetch import AHEAD, nothing
from coreset_engine.core.row_blocks import kept, large
from coreset_engine.core.row_streaming import ListsOnDisk, UnitRows, scratch
from coreset_engine.core.types import Neighbours, Progress, PseudoLabels, silent

_SMALLEST_SHARE = 1e-6  # of the prior: a cluster nobody uses must not divide by zero


@dataclass(frozen=True)
class TemiConfig:
    """How the heads are built and trained. The defaults are the preset "cpu"."""

    n_heads: int = knob(16, "clustering heads, trained together", low=1, high=500)
    epochs: int = knob(20, "passes over the images", low=1, high=2000)
    min_steps: int = knob(
        1000, "updates at least; a small set gets more epochs for it", low=1, high=1_000_000
    )
    batch: int = knob(
        512, "pairs per step; at most a sixteenth of a small set, but 64", low=1, high=65536
    )
    lr: float = knob(1e-3, "learning rate of AdamW", low=1e-6, high=1.0)
    weight_decay: float = knob(1e-4, "of AdamW", low=0.0, high=1.0)
    n_neighbours: int = knob(
        50, "a pair is an image and a random one of this many neighbours", low=1, high=1000
    )
    hidden: int = knob(0, "width of the hidden layer of a head; 0 = linear heads", low=0, high=8192)
    n_dims: int = knob(
        256,
        "principal axes the vectors are reduced to; 0 = the vectors as they are",
        low=0,
        high=8192,
    )
    whiten: float = knob(
        0.0, "0 keeps the variance of each axis, 1 makes them all equal", low=0.0, high=1.0
    )
    temperature: float = knob(0.05, "of the softmax over cosines", low=0.02, high=10.0)
    momentum: float = knob(
        0.98, "share of a teacher that stays at each step", low=0.0, high=0.99999
    )
    prior_momentum: float = knob(
        0.9, "share of the running class prior that stays at each step", low=0.0, high=0.99999
    )
    beta: float = knob(
        0.6, "exponent of the pair probabilities; 1 lets clusters die", low=0.1, high=1.0
    )
    per_head_weights: bool = knob(
        False, "weight a pair by each head's own teacher, not by the mean of all"
    )
    start: str = knob(
        "random", "where the cluster directions start (linear heads)", choices=("random", "kmeans")
    )
    average: str = knob(
        "probability",
        "mean of probabilities or of their logarithms",
        choices=("probability", "log"),
    )
    keep: float = knob(1.0, "share of heads averaged, lowest loss first", low=0.01, high=1.0)

    PRESETS: ClassVar[dict[str, dict]] = {
        "cpu": {},
        "paper": dict(
            n_heads=50,
            epochs=200,
            batch=512,
            lr=1e-4,
            weight_decay=1e-4,
            n_neighbours=50,
            hidden=512,
            n_dims=0,
            momentum=0.996,
            temperature=0.1,
            min_steps=1,
        ),
    }


def temi(
    vectors: np.ndarray,
    n_clusters: int,
    config: TemiConfig | None = None,
    seed: int = 0,
    *,
    neighbours: Neighbours | None = None,
    device: str = "auto",
    progress: Progress = silent,
    streamed: bool | None = None,
    workers: object = None,
) -> PseudoLabels:
    """Cluster by agreement of neighbours, without labels. vectors: (N, D) float, finite; 1 <=
    n_clusters <= N.

    neighbours: (N, k) of the same images; fewer than the config wants are used as they are, none
    are computed here. labels = argmax of the aligned heads' mean (ELFS 3.3), confidence its value,
    agreement the share of heads that say the same; probabilities are None where (N, C) would take
    more than 256 MiB. streamed: read the rows and neighbours (which must be given) of each batch
    from disk instead of keeping them; None does so above 2 GiB of float32. Labels are those of rows
    in memory but for the last bit of a product. workers: not used, one process takes every step.
    info: loss per head, chosen head, sizes, `dead` clusters; a dead one is also warned about.
    """
    config = config or TemiConfig()
    n_clusters = check_clusters(vectors, n_clusters)
    device = resolve_device(device)
    if large(*vectors.shape) if streamed is None else streamed:
        rows, near = _on_disk(
            vectors, n_clusters, config, neighbours, device, lambda: progress(0, 1, "steps")
        )
    else:
        rows, near = _in_memory(vectors, n_clusters, config, neighbours, device)
    training = _Training(rows, near, n_clusters, config, seed)
    with torch_threads(
        1 if device == "cpu" and training.batch < config.batch else torch.get_num_threads()
    ):
        losses = training.run(progress)
    labels, confidence, agreement, probabilities, used = _ensemble(
        training.teachers,
        rows,
        losses,
        config,
        lambda: progress(training.updates, training.updates, "steps"),
    )
    sizes = np.bincount(labels, minlength=n_clusters)
    dead = np.flatnonzero(sizes == 0).tolist()
    if dead:
        warnings.warn(
            f"{len(dead)} of {n_clusters} clusters hold no image ({dead}); ask for fewer clusters or "
            "another seed.",
            stacklevel=2,
        )
    info = {
        "method": "temi",
        "heads": len(used),
        "best_head": used[0],
        "head_losses": losses.tolist(),
        "dead": dead,
        "sizes": sizes.tolist(),
        "neighbours": near.shape[1],
        "micro_batch": training.micro,
    }
    return PseudoLabels(labels, confidence, n_clusters, probabilities, agreement, info)


def _in_memory(
    vectors: np.ndarray,
    n_clusters: int,
    config: TemiConfig,
    neighbours: Neighbours | None,
    device: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows (N, d), partners (N, k)) as tensors on the device."""
    rows = unit(as_tensor(vectors, device))
    near = _pairs(rows, neighbours, _list_length(config, len(rows), n_clusters))
    return unit(principal(rows, config.n_dims, config.whiten)) if config.n_dims else rows, near


def _on_disk(
    vectors: np.ndarray,
    n_clusters: int,
    config: TemiConfig,
    neighbours: Neighbours | None,
    device: str,
    idle: Callable[[], None],
) -> tuple[UnitRows, ListsOnDisk]:
    """The same, read when asked for."""
    if neighbours is None:
        raise BadInput(
            f"neighbours=None: TEMI of {len(vectors):,} images that stay on disk needs their neighbours; "
            "give those of the pipeline, or take the clusterer 'kmeans'."
        )
    rows = UnitRows(vectors, device)
    near = ListsOnDisk(neighbours.indices[:, : _list_length(config, len(rows), n_clusters)], device)
    return UnitRows(
        vectors, device, axes(rows, config.n_dims, config.whiten, idle)
    ) if config.n_dims else rows, near


def _list_length(config: TemiConfig, n_images: int, n_clusters: int) -> int:
    """At most half a mean cluster: a longer list must hold images of other clusters (bites on small
    sets only)."""
    return max(1, min(config.n_neighbours, n_images // (2 * n_clusters)))


def _pairs(rows: torch.Tensor, neighbours: Neighbours | None, k: int) -> torch.Tensor:
    """(N, <= k) int64 partners of each image; a lone image is its own."""
    if len(rows) == 1:
        return torch.zeros((1, 1), dtype=torch.int64, device=rows.device)
    if neighbours is None:
        return nearest(rows, k)
    return torch.from_numpy(np.array(neighbours.indices[:, :k], np.int64)).to(rows.device)


class _Training:
    """Students, their teachers and the running prior: what one run of TEMI changes."""

    def __init__(
        self,
        rows: torch.Tensor | UnitRows,
        near: torch.Tensor | ListsOnDisk,
        n_clusters: int,
        config: TemiConfig,
        seed: int,
    ) -> None:
        self.rows = rows
        self.near = near
        self.config = config
        self.generator = torch.Generator().manual_seed(seed)
        heads = make_heads(config.n_heads, rows.shape[1], config.hidden, n_clusters, self.generator)
        if config.start == "kmeans" and config.hidden == 0 and n_clusters > 1:
            heads = [_kmeans_directions(rows, config.n_heads, n_clusters, seed)]
        self.students: Parameters = [part.to(rows.device).requires_grad_() for part in heads]
        self.teachers: Parameters = [part.detach().clone() for part in self.students]
        self.prior = torch.full((config.n_heads, n_clusters), 1 / n_clusters, device=rows.device)
        self.optimizer = torch.optim.AdamW(
            self.students, config.lr, weight_decay=config.weight_decay, fused=True
        )
        # Many small steps find more than few large ones: 200 images in one batch never leave the
        # start in time.
        self.batch = min(config.batch, max(64, len(rows) // 16))
        self.micro = self.batch
        self.steps = -(-len(rows) // self.batch)
        self.epochs = max(config.epochs, -(-config.min_steps // self.steps))
        self.updates = self.epochs * self.steps

    def run(self, progress: Progress) -> np.ndarray:
        """(H,) mean loss of each head over the last epoch."""
        n = len(self.rows)
        batch = self.batch
        steps = self.steps
        for epoch in range(self.epochs):
            # Kept in few bytes: of 50 million images each number is 200 MB.
            order = torch.randperm(n, generator=self.generator).to(
                torch.int32 if n < 2**31 else torch.int64
            )
            partner = torch.randint(self.near.shape[1], (n,), generator=self.generator).to(
                torch.int16
            )
            order = order.to(self.rows.device)
            partner = partner.to(self.rows.device)
            total = torch.zeros(self.config.n_heads, device=self.rows.device)
            for step in range(steps):
                images = order[step * batch : (step + 1) * batch].long()
                self._foresee(order, partner, (step + AHEAD) * batch)
                total += self._step(images, self.near[images, partner[images].long()]) * (
                    len(images) / n
                )
                if step % 16 == 0:
                    progress(epoch * steps + step, self.updates, "steps")
        progress(self.updates, self.updates, "steps")
        return total.double().cpu().numpy()

    def _foresee(self, order: torch.Tensor, partner: torch.Tensor, at: int) -> None:
        """Have the system read the pairs from `at` on, and the lists of pairs later still, where
        they lie on disk."""
        if getattr(self.rows, "soon", nothing) is nothing:
            return
        later = at + AHEAD * self.batch
        self.near.soon(order[later : later + self.batch].cpu().numpy())
        images = order[at : at + self.batch].long()
        pairs = torch.cat([images, self.near[images, partner[images].long()]])
        self.rows.soon(pairs.cpu().numpy())

    def _step(self, images: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        """(H,) losses of one batch, after the update. Out of memory: the same batch again in
        halves, same result."""
        while True:
            try:
                losses = self._gradient(images, partners)
                break
            except torch.OutOfMemoryError:
                if self.micro == 1:
                    raise
                self.micro = -(-self.micro // 2)
                if self.rows.device.type == "cuda":
                    torch.cuda.empty_cache()
        self.optimizer.step()
        for teacher, student in zip(self.teachers, self.students):
            teacher.lerp_(student.detach(), 1 - self.config.momentum)
        return losses

    def _gradient(self, images: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        """(H,) losses; gradients are left in the students, summed over micro-batches, and the prior
        is moved on."""
        config = self.config
        stays = self.config.prior_momentum
        self.optimizer.zero_grad()
        pairs = [
            torch.cat(part) for part in zip(images.split(self.micro), partners.split(self.micro))
        ]
        parts = [self.rows[pair].float() for pair in pairs]
        with torch.no_grad():
            teacher = [self._both(self.teachers, part) for part in parts]
            share = sum(one.exp().sum(0) + two.exp().sum(0) for one, two in teacher) / (
                2 * len(images)
            )
            prior = stays * self.prior + (1 - stays) * share
        losses = torch.zeros_like(self.prior[:, 0])
        for part, taught in zip(parts, teacher):
            loss = pmi_loss(
                self._both(self.students, part),
                taught,
                prior.clamp_min(_SMALLEST_SHARE).log(),
                config.beta,
                pair_weights(taught, config.per_head_weights),
            )
            loss = loss * (len(part) / 2 / len(images))
            # The sum over heads, not eq. 1's mean: heads share no weight and AdamW does not see the
            # scale.
            loss.sum().backward()
            losses += loss.detach()
        self.prior = prior
        return losses

    def _both(self, heads: Parameters, part: torch.Tensor) -> Pair:
        """Log-probabilities (B, H, C) of the first and of the second half of `part`: images, then
        their partners."""
        logits = head_logits(heads, part, self.config.temperature)
        # Heads innermost in memory: over a last dimension of ten, torch's softmax is ten times
        # slower on a CPU.
        chances = torch.log_softmax(logits.transpose(1, 2).contiguous(), dim=1).transpose(1, 2)
        half = len(part) // 2
        return chances[:half], chances[half:]


def _kmeans_directions(
    rows: torch.Tensor, n_heads: int, n_clusters: int, seed: int
) -> torch.Tensor:
    """(D, H, C): every head starts at the centres of a k-means of its own on a sample."""
    from coreset_engine.clustering.kmeans import spherical_centres

    streams = np.random.SeedSequence(seed).spawn(n_heads)
    found = [
        spherical_centres(rows, n_clusters, np.random.default_rng(stream)) for stream in streams
    ]
    return torch.stack(found).permute(2, 0, 1).contiguous().cpu()


@torch.no_grad()
def _ensemble(
    teachers: Parameters,
    rows: torch.Tensor | UnitRows,
    losses: np.ndarray,
    config: TemiConfig,
    idle: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, list[int]]:
    """(labels (N,) int64, confidence (N,) float32, agreement (N,) float32, probabilities (N, C)
    float32 of the aligned heads' mean or None, the heads used, best first).

    Two passes over the rows, so that (N, H, C) never exists: one for each head's clusters, one for
    the mean.
    """
    used = np.argsort(losses, kind="stable")[: max(1, round(config.keep * len(losses)))]
    n = len(rows)
    n_clusters = teachers[-1].shape[2] if config.hidden == 0 else teachers[-1].shape[1]
    size = max(64, 2**24 // (config.n_heads * max(n_clusters, config.hidden)))
    counts = 0
    for block in rows.split(size):
        assigned = head_logits(teachers, block.float(), 1.0)[:, used].argmax(dim=2)
        counts = counts + together(assigned.cpu().numpy(), n_clusters, 0)
        idle()
    orders = torch.from_numpy(align_counts(counts, 0)).to(rows.device)
    labels, confidence, agreement = (
        scratch((n,), kind) for kind in (np.int64, np.float32, np.float32)
    )
    at = 0
    means = scratch((n, n_clusters), np.float32) if kept(n, n_clusters) else None
    for block in rows.split(size):
        chances = torch.log_softmax(
            head_logits(teachers, block.float(), config.temperature)[:, used], dim=2
        )
        chances = chances.gather(2, orders.expand(len(block), -1, -1))
        mean = (
            chances.exp().mean(dim=1)
            if config.average == "probability"
            else chances.mean(dim=1).softmax(dim=1)
        )
        own = mean.argmax(dim=1, keepdim=True)
        agreement[at : at + len(block)] = (
            (chances.argmax(dim=2) == own).float().mean(dim=1).cpu().numpy()
        )
        part = mean.cpu().numpy()
        labels[at : at + len(block)], confidence[at : at + len(block)] = (
            part.argmax(axis=1),
            part.max(axis=1),
        )
        if means is not None:
            means[at : at + len(block)] = part
        at += len(block)
        idle()
    return labels, confidence, agreement, means, used.tolist()
