"""Augmentation on the device, a whole batch at once: random crops after padding by an eighth, and
mirror flips."""

from __future__ import annotations

import torch


def crop_and_flip(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, ch, H, W) -> same shape; each image shifted by up to H // 8 each way (reflected borders)
    and flipped at 1/2.

    The recipe of ResNets on CIFAR (He et al. 2016; 4 pixels at 32), as a gather instead of a loop
    over images.
    """
    count, _, height, width = batch.shape
    pad = height // 8
    draw = lambda high: torch.randint(high, (count, 1), generator=generator, device=batch.device)  # noqa: E731
    rows = torch.arange(height, device=batch.device) + draw(2 * pad + 1) - pad
    columns = torch.arange(width, device=batch.device) + draw(2 * pad + 1) - pad
    columns = torch.where(draw(2).bool(), columns, columns.flip(1))
    rows = _reflect(rows, height)
    columns = _reflect(columns, width)
    at = torch.arange(count, device=batch.device)
    # Advanced indices on axes 0, 2, 3 give (B, H, W, ch).
    return (
        batch[at[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        .permute(0, 3, 1, 2)
        .contiguous()
    )


def _reflect(index: torch.Tensor, size: int) -> torch.Tensor:
    index = index.abs()
    return torch.where(index >= size, 2 * (size - 1) - index, index)
