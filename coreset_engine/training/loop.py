"""One training loop for every network here: proxies that are watched, and judges of a coreset.

The whole set lies in one tensor on the device, batches are index look-ups: no loader, no workers,
no copies. Steps are equal splits of a seeded permutation. A GPU that runs out of memory halves the
batch and goes on with the same images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.prefetch import AHEAD, nothing
from coreset_engine.core.row_streaming import OnDisk
from coreset_engine.core.types import Progress, silent

# on_batch(epoch, positions (B,), logits (B, C), features (B, F) or None): what the network said
# while it was trained.
OnBatch = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor | None], None]
OnEpoch = Callable[[int, nn.Module], None]


@dataclass(frozen=True)
class Trained:
    """model: the network after the last epoch, on its device. losses: mean loss of each epoch.
    batch: the final one."""

    model: nn.Module
    losses: tuple[float, ...]
    batch: int
    device: str
    info: dict = field(default_factory=dict)


def train(
    model: nn.Module,
    inputs,
    labels,
    *,
    epochs: int = 20,
    batch: int = 512,
    lr: float = 1e-3,
    weight_decay: float = 1e-4,
    optimiser: str = "adamw",
    momentum: float = 0.9,
    min_lr: float = 0.0,
    weights=None,
    weigh: str = "image",
    augment: Callable | None = None,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
    on_batch: OnBatch | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Trained:
    """Minimise the (weighted) mean cross-entropy; cosine learning rate from `lr` to `min_lr`.

    inputs: (N, ...) array, tensor or OnDisk. labels: (N,) int in [0, C). weights: (N,) >= 0, not
    all 0; None = all 1; they are scaled to mean 1, and count image by image (weigh="image") or as
    their mean over the batch ("batch", BlindCS eq. 10). augment(batch, generator) -> batch runs on
    the device. Each image is seen once an epoch. Deterministic for a seed on a CPU. progress: unit
    "epochs". Raises on empty input or a label outside the model's C.
    """
    place = resolve_device(device)
    inputs = inputs if isinstance(inputs, OnDisk) else to_device(inputs, place)
    labels = (
        labels if isinstance(labels, torch.Tensor) else torch.from_numpy(np.array(labels, np.int64))
    )
    labels = labels.to(place, torch.int64)
    _check(inputs, labels, epochs, batch)
    weights = _scaled(weights, len(labels), place)
    outputs = getattr(getattr(model, "head", None), "out_features", None)
    if outputs is not None and int(labels.max()) >= outputs:
        raise BadInput(
            f"label {int(labels.max())} does not fit a model of {outputs} outputs; build it with more."
        )
    model = model.to(place).train()
    update = _optimiser(model, optimiser, lr, weight_decay, momentum)
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(place).manual_seed(seed)
    losses = []
    steps = 0
    halved = 0
    soon = inputs.soon if isinstance(inputs, OnDisk) else nothing
    for epoch in range(epochs):
        shuffled = None  # two orders of 50 million images are 800 MB
        shuffled = torch.randperm(len(labels), generator=order)
        total = 0.0
        at = 0
        shuffled = shuffled.to(place, torch.int32 if len(labels) < 2**31 else torch.int64)
        while at < len(shuffled):
            size = _even(len(shuffled) - at, batch)
            chosen = shuffled[at : at + size].long()
            if soon is not nothing:
                soon(shuffled[at + AHEAD * size : at + (AHEAD + 1) * size + 1].cpu().numpy())
            _set_lr(
                update,
                min_lr
                + (lr - min_lr) * (1 + math.cos(math.pi * (epoch + at / len(labels)) / epochs)) / 2,
            )
            try:
                loss, logits, features = _step(
                    model, update, inputs, labels, weights, weigh, chosen, augment, noise
                )
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                batch = max(1, size // 2)
                halved = halved + 1
                update.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
                continue
            if on_batch is not None:
                on_batch(epoch, chosen, logits, features)
            total = total + float(loss) * size
            at = at + size
            steps = steps + 1
        losses.append(total / len(labels))
        if on_epoch is not None:
            on_epoch(epoch, model)
            model.train()
        progress(epoch + 1, epochs, "epochs")
    return Trained(
        model.eval(), tuple(losses), batch, place, {"steps": steps, "batch_halved": halved}
    )


def _even(left: int, batch: int) -> int:
    """Size of the next step: `left` split into as few parts of at most `batch` as possible, as
    equal as possible."""
    return math.ceil(left / math.ceil(left / batch))


def _step(model, update, inputs, labels, weights, weigh, chosen, augment, noise):
    """Forward, backward, update on the images at `chosen`; what was said is returned detached, as
    seen in training."""
    batch = inputs[chosen]
    if augment is not None:
        batch = augment(batch, noise)
    with torch.autocast("cuda", torch.bfloat16, enabled=batch.is_cuda and batch.ndim == 4):
        features = model.embed(batch) if hasattr(model, "embed") else None
    features = features if features is None else features.float()
    logits = model.head(features) if features is not None else model(batch)
    each = nn.functional.cross_entropy(logits.float(), labels[chosen], reduction="none")
    if weights is None:
        loss = each.mean()
    else:
        loss = (
            each.mean() * weights[chosen].mean()
            if weigh == "batch"
            else (each * weights[chosen]).mean()
        )
    update.zero_grad(set_to_none=True)
    loss.backward()
    update.step()
    return loss.detach(), logits.detach().float(), None if features is None else features.detach()


@torch.no_grad()
def predict(model: nn.Module, inputs, *, device: str = "auto", batch: int = 4096) -> np.ndarray:
    """(N, C) float32 logits in evaluation mode. Pixels are taken in smaller batches."""
    place = resolve_device(device)
    model = model.to(place).eval()
    batch = max(1, min(batch, 512 if np.ndim(inputs) == 4 else batch))
    parts = [
        model(to_device(inputs[at : at + batch], place)).float().cpu()
        for at in range(0, len(inputs), batch)
    ]
    return torch.cat(parts).numpy()


def accuracy_of(model: nn.Module, inputs, labels, *, device: str = "auto") -> float:
    """Share of images the model names right, in [0, 1]."""
    return float(
        (predict(model, inputs, device=device).argmax(axis=1) == np.asarray(labels)).mean()
    )


def to_device(inputs, device: str) -> torch.Tensor:
    """`inputs` as a tensor on `device`, its kind kept (float16, float32, uint8); float64 becomes
    float32."""
    if isinstance(inputs, torch.Tensor):
        return inputs.to(device)
    array = np.asarray(inputs)
    array = array.astype(np.float32) if array.dtype == np.float64 else array
    return torch.from_numpy(
        array if array.flags.writeable and array.flags.c_contiguous else array.copy()
    ).to(device)


def _check(inputs: torch.Tensor, labels: torch.Tensor, epochs: int, batch: int) -> None:
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise BadInput(
            f"{len(inputs)} inputs and {len(labels)} labels cannot be trained on; give as many of each, "
            "at least one."
        )
    if epochs < 1 or batch < 1:
        raise BadInput(f"epochs={epochs} and batch={batch} must both be at least 1.")
    if int(labels.min()) < 0:
        raise BadInput(
            "label -1 (unknown) cannot be trained on; leave those images out or use pseudo-labels."
        )


def _scaled(weights, count: int, device: str) -> torch.Tensor | None:
    if weights is None:
        return None
    weights = torch.as_tensor(np.asarray(weights), dtype=torch.float32, device=device)
    if (
        weights.shape != (count,)
        or not bool(torch.isfinite(weights).all())
        or float(weights.min()) < 0
    ):
        raise BadInput(f"loss weights must be {count} finite numbers >= 0, one per image.")
    if float(weights.sum()) == 0:
        raise BadInput(
            "loss weights are all 0, so nothing would be learned; give at least one above 0."
        )
    return weights / weights.mean()


def _optimiser(model: nn.Module, name: str, lr: float, weight_decay: float, momentum: float):
    if name == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr, momentum=momentum, weight_decay=weight_decay, nesterov=False
        )
    if name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr, weight_decay=weight_decay)
    raise BadInput(f"optimiser={name!r} is not offered; choose adamw or sgd.")


def _set_lr(update: torch.optim.Optimizer, lr: float) -> None:
    for group in update.param_groups:
        group["lr"] = lr
