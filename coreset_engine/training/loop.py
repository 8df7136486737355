"""One training loop for every network here: proxies that are watched, and judges of a coreset.

The whole set lies in one tensor on the device, batches are index look-ups: no loader, no workers,
no copies. Steps are equal splits of a seeded permutation. A GPU that runs out of memory halves the
batch and continues with the same images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.prefetch import AHEAD, nothing
from coreset_engine.core.row_streaming import OnDisk
from coreset_engine.core.types import Progress, silent
from coreset_engine.training.augmentation import crop_and_flip
from coreset_engine.training.config import TrainingRecipe

# on_batch(epoch, positions (B,), logits (B, C), features (B, F) or None): the outputs of a
# training step. on_epoch(epoch, model): after each epoch.
OnBatch = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor | None], None]
OnEpoch = Callable[[int, nn.Module], None]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a network is trained on.

    Attributes
    ----------
    inputs : (N, ...) array, tensor or OnDisk
        Vectors or pixels.
    labels : (N,) int in [0, C)
    weights : (N,) float >= 0, not all 0, or None
        Loss weights, scaled to mean 1; None = all 1.
    weigh : "image" or "batch"
        Weights count image by image, or as their mean over the batch (BlindCS eq. 10).
    """

    inputs: Any
    labels: Any
    weights: Any = None
    weigh: str = "image"


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a training. progress: unit "epochs"; raises Cancelled to stop."""

    on_batch: OnBatch | None = None
    on_epoch: OnEpoch | None = None
    progress: Progress = silent


@dataclass(frozen=True)
class Trained:
    """What a training returns.

    Attributes
    ----------
    model : nn.Module
        The network after the last epoch, in evaluation mode, on its device.
    losses : tuple of float
        Mean loss of each epoch.
    batch : int
        Images per step at the end (smaller than the recipe's where memory ran out).
    info : dict
        steps, batch_halved.
    """

    model: nn.Module
    losses: tuple[float, ...]
    batch: int
    device: str
    info: dict = field(default_factory=dict)


def train(
    model: nn.Module,
    data: TrainingSet,
    recipe: TrainingRecipe | None = None,
    *,
    seed: int = 0,
    hooks: Hooks | None = None,
    device: str = "auto",
) -> Trained:
    """Minimise the (weighted) mean cross-entropy by the recipe.

    Each image is seen once per epoch. Deterministic for a seed on a CPU.

    Parameters
    ----------
    model : nn.Module
        (B, ...) -> (B, C); with `embed` and `head`, hooks also see the last layer's inputs.
    data : TrainingSet
    recipe : TrainingRecipe, optional
        Epochs, batch, optimiser, schedule, augmentation.
    seed : int
        Of the order of images and of the augmentation.
    hooks : Hooks, optional
        Called after every batch and epoch.
    device : str
        "auto", "cpu", "cuda", ...

    Returns
    -------
    Trained

    Raises
    ------
    BadInput
        Empty input, a label outside the model's C, loss weights that are negative or all 0.
    """
    return _Training(model, data, recipe or TrainingRecipe(), seed, hooks or Hooks(), device).run()


class _Training:
    """State of one call of `train`."""

    def __init__(
        self,
        model: nn.Module,
        data: TrainingSet,
        recipe: TrainingRecipe,
        seed: int,
        hooks: Hooks,
        device: str,
    ):
        self.device = resolve_device(device)
        self.recipe = recipe
        self.hooks = hooks
        self.inputs: Any = data.inputs
        if not isinstance(data.inputs, OnDisk):
            self.inputs = to_device(data.inputs, self.device)
        self.labels = _label_tensor(data.labels, self.device)
        _check(self.inputs, self.labels, recipe, model)
        self.weights = _scaled(data.weights, len(self.labels), self.device)
        self.weigh = data.weigh
        self.model = model.to(self.device).train()
        self.update = _optimiser(self.model, recipe)
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(self.device).manual_seed(seed)
        self.prefetch = getattr(self.inputs, "soon", nothing)
        self.batch = recipe.batch
        self.steps = 0
        self.halved = 0

    def run(self) -> Trained:
        losses = []
        for epoch in range(self.recipe.epochs):
            losses.append(self.one_epoch(epoch))
            if self.hooks.on_epoch is not None:
                self.hooks.on_epoch(epoch, self.model)
                self.model.train()
            self.hooks.progress(epoch + 1, self.recipe.epochs, "epochs")
        info = {"steps": self.steps, "batch_halved": self.halved}
        return Trained(self.model.eval(), tuple(losses), self.batch, self.device, info)

    def one_epoch(self, epoch: int) -> float:
        """All images once, in a new order; the mean loss."""
        count = len(self.labels)
        number = torch.int32 if count < 2**31 else torch.int64
        shuffled = torch.randperm(count, generator=self.order).to(self.device, number)
        total = 0.0
        at = 0
        while at < count:
            size = _even(count - at, self.batch)
            chosen = shuffled[at : at + size].long()
            self.announce(shuffled, at, size)
            self.set_lr(epoch + at / count)
            loss, logits, features = self.step_or_halve(chosen)
            if loss is None:
                continue
            if self.hooks.on_batch is not None:
                self.hooks.on_batch(epoch, chosen, logits, features)
            total += float(loss) * size
            at += size
            self.steps += 1
        return total / count

    def announce(self, shuffled: torch.Tensor, at: int, size: int) -> None:
        """Ask the system to read rows of a batch to come from disk."""
        if self.prefetch is not nothing:
            coming = shuffled[at + AHEAD * size : at + (AHEAD + 1) * size + 1]
            self.prefetch(coming.cpu().numpy())

    def set_lr(self, done: float) -> None:
        """Cosine from lr to min_lr (Loshchilov & Hutter 2017, eq. 5). done: epochs so far."""
        recipe = self.recipe
        share = (1 + math.cos(math.pi * done / recipe.epochs)) / 2
        for group in self.update.param_groups:
            group["lr"] = recipe.min_lr + (recipe.lr - recipe.min_lr) * share

    def step_or_halve(self, chosen: torch.Tensor):
        """(loss, logits, features) of one step; Nones where memory ran out and the batch shrank."""
        try:
            return self.step(chosen)
        except torch.OutOfMemoryError:
            if len(chosen) == 1:
                raise
        self.batch = max(1, len(chosen) // 2)
        self.halved += 1
        self.update.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        return None, None, None

    def step(self, chosen: torch.Tensor):
        """Forward, backward, update; the outputs are returned detached, as seen in training."""
        batch = self.inputs[chosen]
        if self.recipe.augment and batch.ndim == 4:
            batch = crop_and_flip(batch, self.noise)
        features, logits = _outputs(self.model, batch)
        losses = nn.functional.cross_entropy(logits.float(), self.labels[chosen], reduction="none")
        loss = self.mean_loss(losses, chosen)
        self.update.zero_grad(set_to_none=True)
        loss.backward()
        self.update.step()
        features = None if features is None else features.detach()
        return loss.detach(), logits.detach().float(), features

    def mean_loss(self, losses: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        if self.weights is None:
            return losses.mean()
        if self.weigh == "batch":
            return losses.mean() * self.weights[chosen].mean()
        return (losses * self.weights[chosen]).mean()


def _outputs(model: Any, batch: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    """(features (B, F) float32 or None, logits (B, C)); bf16 for pixels on a GPU."""
    if not hasattr(model, "embed"):
        return None, model(batch)
    with torch.autocast("cuda", torch.bfloat16, enabled=batch.is_cuda and batch.ndim == 4):
        features = model.embed(batch)
    features = features.float()
    return features, model.head(features)


def _even(left: int, batch: int) -> int:
    """Size of the next step: `left` in the fewest nearly equal parts of at most `batch`."""
    return math.ceil(left / math.ceil(left / batch))


@torch.no_grad()
def predict(model: nn.Module, inputs, *, device: str = "auto", batch: int = 4096) -> np.ndarray:
    """Logits in evaluation mode.

    Parameters
    ----------
    model : torch Module
    inputs : (N, D) float or (N, ch, H, W) uint8
    device : str
        "auto", "cpu" or "cuda".
    batch : int
        Inputs a batch; pixels are taken in smaller ones.

    Returns
    -------
    (N, C) float32
    """
    device = resolve_device(device)
    model = model.to(device).eval()
    batch = max(1, min(batch, 512 if np.ndim(inputs) == 4 else batch))
    parts = [
        model(to_device(inputs[at : at + batch], device)).float().cpu()
        for at in range(0, len(inputs), batch)
    ]
    return torch.cat(parts).numpy()


def accuracy_of(model: nn.Module, inputs, labels, *, device: str = "auto") -> float:
    """Share of images that are classified right.

    Parameters
    ----------
    model : torch Module
    inputs : (N, D) float or (N, ch, H, W) uint8
    labels : (N,) int64
    device : str
        "auto", "cpu" or "cuda".

    Returns
    -------
    float in [0, 1]
    """
    guess = predict(model, inputs, device=device).argmax(axis=1)
    return float((guess == np.asarray(labels)).mean())


def to_device(inputs, device: str) -> torch.Tensor:
    """`inputs` as a tensor on `device`, same dtype; float64 becomes float32."""
    if isinstance(inputs, torch.Tensor):
        return inputs.to(device)
    array = np.asarray(inputs)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if not (array.flags.writeable and array.flags.c_contiguous):
        array = array.copy()
    return torch.from_numpy(array).to(device)


def as_pixels(images: torch.Tensor) -> torch.Tensor:
    """(N, ch, H, W) from (N, H, W), (N, H, W, 3) or (N, ch, H, W); dtype and device unchanged."""
    if images.ndim == 3:
        return images[:, None]
    if images.shape[3] in (1, 3) and images.shape[1] > 3:
        return images.permute(0, 3, 1, 2).contiguous()
    return images


def _label_tensor(labels, device: str) -> torch.Tensor:
    if not isinstance(labels, torch.Tensor):
        labels = torch.from_numpy(np.array(labels, np.int64))
    return labels.to(device, torch.int64)


def _check(inputs, labels: torch.Tensor, recipe: TrainingRecipe, model: nn.Module) -> None:
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise BadInput(
            f"{len(inputs)} inputs and {len(labels)} labels cannot be trained on; give the same "
            "number of each, at least one."
        )
    if recipe.epochs < 1 or recipe.batch < 1:
        raise BadInput(
            f"epochs={recipe.epochs} and batch={recipe.batch} must both be at least 1; use larger "
            "ones."
        )
    if int(labels.min()) < 0:
        raise BadInput(
            "label -1 (unknown) cannot be trained on; leave those images out or use pseudo-labels."
        )
    outputs = getattr(getattr(model, "head", None), "out_features", None)
    if outputs is not None and int(labels.max()) >= outputs:
        raise BadInput(
            f"label {int(labels.max())} does not fit a model of {outputs} outputs; build it with "
            "more."
        )


def _scaled(weights, count: int, device: str) -> torch.Tensor | None:
    """(N,) float32 loss weights with mean 1."""
    if weights is None:
        return None
    weights = torch.as_tensor(np.asarray(weights), dtype=torch.float32, device=device)
    fits = weights.shape == (count,) and bool(torch.isfinite(weights).all())
    if not fits or float(weights.min()) < 0:
        raise BadInput(f"loss weights must be {count} finite numbers >= 0, one per image.")
    if float(weights.sum()) == 0:
        raise BadInput(
            "loss weights are all 0, so nothing would be learned; set at least one above 0."
        )
    return weights / weights.mean()


def _optimiser(model: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    decay = recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            recipe.lr,
            momentum=recipe.momentum,
            weight_decay=decay,
            nesterov=recipe.nesterov and recipe.momentum > 0,
        )
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(model.parameters(), recipe.lr, weight_decay=decay)
    raise BadInput(f"optimiser={recipe.optimiser!r} is not supported; choose adamw or sgd.")
