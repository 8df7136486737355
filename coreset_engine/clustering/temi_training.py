"""Training of TEMI's heads: pairs of neighbours, students, their teachers and the running prior.

Three ways through one step, same numbers up to rounding: linear heads as one product; MLP heads on
a CPU head by head, so that activations and gradients stay in the cache; MLP heads on a GPU as
batched products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from coreset_engine.clustering.config import TemiConfig
from coreset_engine.clustering.heads import (
    LAST_LAYER,
    Pair,
    Parameters,
    head_logits,
    make_heads,
    mlp_logits,
    pair_weights,
    pmi_loss,
)
from coreset_engine.clustering.kmeans import spherical_centres
from coreset_engine.core.prefetch import AHEAD, nothing
from coreset_engine.core.types import Progress

_SMALLEST_SHARE = 1e-6  # of the prior: an unused cluster must not divide by zero


class Training:
    """Students, their teachers and the running prior: what one run of TEMI changes."""

    def __init__(
        self,
        rows: Any,  # torch.Tensor, or UnitRows on disk
        pairs: Any,  # torch.Tensor, or ListsOnDisk
        n_clusters: int,
        config: TemiConfig,
        seed: int,
    ) -> None:
        """Heads at their initial weights, on the device of `rows`.

        Parameters
        ----------
        rows : (N, D) float32 tensor of unit rows, or `UnitRows` on disk
        near : (N, k) int64 tensor of neighbours, or `ListsOnDisk`
        n_clusters : int
            C >= 2, outputs of each head.
        config : TemiConfig
            Heads, epochs, batch, temperatures, learning rate.
        seed : int
            Of the initial weights, the batches and the neighbours drawn.
        """
        self.rows = rows
        self.pairs = pairs
        self.config = config
        self.generator = torch.Generator().manual_seed(seed)
        heads = self._initial_heads(n_clusters, seed)
        self.one_by_one = len(heads) > 1 and rows.device.type == "cpu"
        self.students: Parameters = [part.to(rows.device) for part in heads]
        self.teachers: Parameters = [part.clone() for part in self.students]
        self.leaves = self._leaves()
        self.prior = torch.full((config.n_heads, n_clusters), 1 / n_clusters, device=rows.device)
        self.lr = config.lr * (config.batch / 256 if config.lr_per_256 else 1)
        self.optimizer = torch.optim.AdamW(
            [part for head in self.leaves for part in head],
            self.lr,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._plan_steps()

    def _initial_heads(self, n_clusters: int, seed: int) -> Parameters:
        config = self.config
        heads = make_heads(
            config.n_heads,
            self.rows.shape[1],
            config.hidden,
            n_clusters,
            self.generator,
            config.bottleneck,
        )
        if config.start == "kmeans" and config.hidden == 0 and n_clusters > 1:
            return [_kmeans_directions(self.rows, config.n_heads, n_clusters, seed)]
        return heads

    def _leaves(self) -> list[Parameters]:
        """What the optimiser changes: the stacks, or views of each head's slice of them."""
        if not self.one_by_one:
            return [[part.requires_grad_() for part in self.students]]
        heads = zip(*self.students, strict=True)
        return [[part.detach().requires_grad_() for part in head] for head in heads]

    def _plan_steps(self) -> None:
        config = self.config
        n = len(self.rows)
        # Many small steps find more than few large ones: 200 images in one batch never leave the
        # start in time.
        self.batch = min(config.batch, max(64, n // 16)) if config.shrink_batch else config.batch
        self.micro = self.batch
        if config.shrink_batch:
            self.steps = -(-n // self.batch)
        else:  # only full batches, as in TEMI's program
            self.steps = max(1, n // self.batch)
        self.epochs = max(config.epochs, -(-config.min_steps // self.steps))
        self.updates = self.epochs * self.steps
        self.done = 0

    def run(self, progress: Progress) -> np.ndarray:
        """(H,) mean loss of each head over the last epoch."""
        for _ in range(self.epochs):
            losses = self._epoch(progress)
        progress(self.updates, self.updates, "steps")
        return losses.double().cpu().numpy()

    def _epoch(self, progress: Progress) -> torch.Tensor:
        order, partner = self._pairs()
        n = min(len(order), self.steps * self.batch)
        total = torch.zeros(self.config.n_heads, device=self.rows.device)
        for step in range(self.steps):
            images = order[step * self.batch : (step + 1) * self.batch].long()
            self._read_ahead(order, partner, (step + AHEAD) * self.batch)
            losses = self.step(images, self.pairs[images, partner[images].long()])
            total += losses * (len(images) / n)
            if step % 16 == 0 or self.one_by_one:
                progress(self.done - 1, self.updates, "steps")
        return total

    def _pairs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A random order of the images and the place of each one's partner in its list."""
        n = len(self.rows)
        # In few bytes: of 50 million images each number is 200 MB.
        kind = torch.int32 if n < 2**31 else torch.int64
        order = torch.randperm(n, generator=self.generator).to(kind)
        partner = torch.randint(self.pairs.shape[1], (n,), generator=self.generator)
        return order.to(self.rows.device), partner.to(torch.int16).to(self.rows.device)

    def _read_ahead(self, order: torch.Tensor, partner: torch.Tensor, at: int) -> None:
        """Prefetch the pairs from `at` on, and the lists of later pairs, where they lie on disk."""
        if getattr(self.rows, "soon", nothing) is nothing:
            return
        later = at + AHEAD * self.batch
        self.pairs.soon(order[later : later + self.batch].cpu().numpy())
        images = order[at : at + self.batch].long()
        pairs = torch.cat([images, self.pairs[images, partner[images].long()]])
        self.rows.soon(pairs.cpu().numpy())

    def step(self, images: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        """(H,) losses of one batch, after the update.

        Out of memory: the same batch again in halves, with the same result.
        """
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
        self._update()
        return losses

    def _update(self) -> None:
        config = self.config
        if config.hidden and self.done < config.frozen_epochs * self.steps:
            for head in self.leaves:
                for part in head[LAST_LAYER]:
                    part.grad = None
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * self._warmth()
        self.optimizer.step()
        for teacher, student in zip(self.teachers, self.students):
            teacher.lerp_(student.detach(), 1 - config.momentum)
        self.done += 1

    def _warmth(self) -> float:
        """Share of the learning rate at this step: linear from 0 to 1 over the warm-up."""
        steps = self.config.warmup_epochs * self.steps
        return min(1.0, self.done / (steps - 1)) if steps > 1 else 1.0

    def _gradient(self, images: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        """(H,) losses; leaves the gradients, summed over micro-batches, and the prior moved on."""
        stays = self.config.prior_momentum
        self.optimizer.zero_grad()
        pairs = [
            torch.cat(part) for part in zip(images.split(self.micro), partners.split(self.micro))
        ]
        parts = [self.rows[pair].float() for pair in pairs]
        with torch.no_grad():
            teacher = [self._both(self.teachers, part) for part in parts]
            total = sum(one.exp().sum(0) + two.exp().sum(0) for one, two in teacher)
            share = total / (2 * len(images))
            prior = stays * self.prior + (1 - stays) * share
        losses = torch.zeros_like(self.prior[:, 0])
        back = self._back_one_by_one if self.one_by_one else self._back
        for part, taught in zip(parts, teacher):
            losses += back(part, taught, prior.clamp_min(_SMALLEST_SHARE).log(), len(images))
        self.prior = prior
        return losses

    def _back(
        self, part: torch.Tensor, taught: Pair, log_prior: torch.Tensor, batch: int
    ) -> torch.Tensor:
        """(H,) losses of a micro-batch, as its share of the batch; adds to the gradients."""
        config = self.config
        weights = pair_weights(taught, config.per_head_weights)
        student = self._both(self.students, part)
        loss = pmi_loss(student, taught, log_prior, config.beta, weights)
        loss = loss * (len(part) / 2 / batch)
        # The sum over heads, not eq. 1's mean: heads share no weight and AdamW does not see the
        # scale.
        loss.sum().backward()
        return loss.detach()

    def _back_one_by_one(
        self, part: torch.Tensor, taught: Pair, log_prior: torch.Tensor, batch: int
    ) -> torch.Tensor:
        """As `_back`, with the activations of one head at a time."""
        config = self.config
        weights = pair_weights(taught, config.per_head_weights)
        losses = []
        for h, head in enumerate(self.leaves):
            logits = mlp_logits(head, part, config.temperature)
            student = _halves(torch.log_softmax(logits, dim=1)[:, None])
            own = weights[:, h : h + 1] if config.per_head_weights else weights
            teacher = (taught[0][:, h : h + 1], taught[1][:, h : h + 1])
            loss = pmi_loss(student, teacher, log_prior[h : h + 1], config.beta, own)
            loss = loss * (len(part) / 2 / batch)
            loss.sum().backward()
            losses.append(loss.detach())
        return torch.cat(losses)

    def _both(self, heads: Parameters, part: torch.Tensor) -> Pair:
        """Log-probabilities (B, H, C) of both halves of `part`: images, then their partners."""
        logits = head_logits(heads, part, self.config.temperature)
        # Heads innermost in memory: over a last dimension of ten, torch's softmax is ten times
        # slower on a CPU.
        return _halves(
            torch.log_softmax(logits.transpose(1, 2).contiguous(), dim=1).transpose(1, 2)
        )


def _halves(rows: torch.Tensor) -> Pair:
    half = len(rows) // 2
    return rows[:half], rows[half:]


def _kmeans_directions(
    rows: torch.Tensor, n_heads: int, n_clusters: int, seed: int
) -> torch.Tensor:
    """(D, H, C): each head is initialised with the centres of its own k-means on a sample."""
    streams = np.random.SeedSequence(seed).spawn(n_heads)
    directions = [
        spherical_centres(rows, n_clusters, np.random.default_rng(stream)) for stream in streams
    ]
    return torch.stack(directions).permute(2, 0, 1).contiguous().cpu()
