"""Augmentation of a batch on the device: random crops and horizontal flips."""

from __future__ import annotations

import torch


def crop_and_flip(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to H // 8 each way (reflect padding); flip it with probability 1/2.

    The recipe of ResNets on CIFAR (He et al. 2016; 4 pixels at 32), as a gather instead of a loop
    over images.

    Parameters
    ----------
    batch : (B, ch, H, W) tensor of any dtype
    generator : torch.Generator
        On the batch's device.

    Returns
    -------
    Tensor of the same shape, dtype and device.
    """
    count, _, height, width = batch.shape
    pad = height // 8

    def draw(high: int) -> torch.Tensor:
        return torch.randint(high, (count, 1), generator=generator, device=batch.device)

    rows = torch.arange(height, device=batch.device) + draw(2 * pad + 1) - pad
    columns = torch.arange(width, device=batch.device) + draw(2 * pad + 1) - pad
    columns = torch.where(draw(2).bool(), columns, columns.flip(1))
    rows = _reflect(rows, height)
    columns = _reflect(columns, width)
    at = torch.arange(count, device=batch.device)
    # Advanced indices on axes 0, 2, 3 give (B, H, W, ch).
    cut = batch[at[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2).contiguous()


def _reflect(index: torch.Tensor, size: int) -> torch.Tensor:
    index = index.abs()
    return torch.where(index >= size, 2 * (size - 1) - index, index)
