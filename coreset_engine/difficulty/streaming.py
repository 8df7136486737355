"""Rows that stay on disk while a network trains on them: what looks like the training set's tensor, of which only the
batches asked for are ever in memory. The numbers are those of the whole tensor, so results are the same bits.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
import torch

LARGE = 64 << 20  # bytes of an array from which it lies in a file


class OnDisk:
    """(N, ...) rows of a memmap, handed out as tensors on `device`; float64 as float32, other kinds as they are."""

    def __init__(self, rows: np.memmap, device: str) -> None:
        self.rows, self.shape, self.ndim, self.device = rows, rows.shape, rows.ndim, torch.device(device)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: slice | torch.Tensor) -> torch.Tensor:
        part = self.rows[at.cpu().numpy() if isinstance(at, torch.Tensor) else at]
        return torch.from_numpy(np.array(part, np.float32 if part.dtype == np.float64 else part.dtype)).to(self.device)


def streamed(inputs: object, device: str) -> OnDisk | None:
    """`inputs` as rows on disk, or None where they should rather be copied: no memmap, or a GPU with room for them."""
    if not isinstance(inputs, np.memmap) or inputs.ndim != 2:
        return None
    if device.startswith("cuda") and inputs.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
        return None
    return OnDisk(inputs, device)


def accumulator(*shape: int, device: str) -> torch.Tensor:
    """Zeros, float32. On a CPU a large one is `scratch`."""
    return torch.from_numpy(scratch(shape, np.float32)) if device == "cpu" else torch.zeros(shape, device=device)


def scratch(shape: tuple[int, ...], kind: type) -> np.ndarray:
    """Zeros; a large array lies in a file without a name, whose pages the system may put away.

    The file is where TMPDIR says, else in /var/tmp where there is one: /tmp is memory on many systems.
    """
    if np.dtype(kind).itemsize * int(np.prod(shape, dtype=np.int64)) <= LARGE:
        return np.zeros(shape, kind)
    steady = not os.environ.get("TMPDIR") and os.access("/var/tmp", os.W_OK)
    with tempfile.TemporaryFile(dir="/var/tmp" if steady else None) as file:
        return np.memmap(file, kind, "w+", shape=shape)
