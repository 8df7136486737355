"""Train on rows that stay on disk: read only the batches requested.

The numbers are those of the tensor in memory, so results are the same bits. Each has `soon(row
numbers)`, which reads ahead (core.prefetch).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import DTypeLike

from coreset_engine.core.limits import limits
from coreset_engine.core.prefetch import readahead
from coreset_engine.core.row_blocks import block_of, unit_rows


class OnDisk:
    """(N, ...) rows of a memmap, returned as tensors on `device`.

    float64 becomes float32, other types stay.
    """

    def __init__(self, rows: np.memmap, device: str) -> None:
        self.rows = rows
        self.shape = rows.shape
        self.ndim = rows.ndim
        self.device = torch.device(device)
        self.soon = readahead(rows)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, at: slice | torch.Tensor) -> torch.Tensor:
        part = self.rows[at.cpu().numpy() if isinstance(at, torch.Tensor) else at]
        return torch.from_numpy(
            np.array(part, np.float32 if part.dtype == np.float64 else part.dtype)
        ).to(self.device)


class UnitRows:
    """(N, D) float vectors on disk as float32 rows, of which only those requested are in memory.

    What TEMI reads instead of a tensor. Rows requested by number are read in the order of the file.

    Parameters
    ----------
    vectors : (N, D) float memmap
    device : str
        Of the returned rows.
    axes : pair of tensors, optional
        basis (D, d) and shift (d,), as from `clustering.vectors.axes`: rows are projected on these.
    normalise : bool
        Bring rows to unit length, before and after the projection.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        device: str,
        axes: tuple[torch.Tensor, torch.Tensor] | None = None,
        normalise: bool = True,
    ) -> None:
        self.vectors = vectors
        self.normalise = normalise
        self.device = torch.device(device)
        self.axes = axes
        self.shape = (len(vectors), vectors.shape[1] if axes is None else axes[0].shape[1])
        self.soon = readahead(vectors)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, at: slice | torch.Tensor) -> torch.Tensor:
        if isinstance(at, slice):
            rows: torch.Tensor = unit_rows(self.vectors[at], at.start or 0, self.normalise)
            rows = rows.to(self.device)
        else:
            wanted = at.cpu().numpy()
            rank = np.argsort(wanted, kind="stable")
            back = torch.from_numpy(np.argsort(rank, kind="stable"))
            rows = unit_rows(self.vectors[wanted[rank]], wanted[rank], self.normalise)
            rows = rows[back].to(self.device)
        if self.axes is None:
            return rows
        turned: torch.Tensor = rows @ self.axes[0] - self.axes[1]
        if self.normalise:
            turned /= turned.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return turned

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """All rows in blocks, as `Tensor.split`, but of no more rows than fit in 16 MiB."""
        step = min(size, block_of(self.vectors.shape[1]))
        for start in range(0, len(self), step):
            yield self[start : min(len(self), start + step)]


class ListsOnDisk:
    """(N, k) neighbours on disk, read on access.

    `lists[images, positions]` is int64 on `device`.
    """

    def __init__(self, indices: np.ndarray, device: str) -> None:
        self.indices = indices
        self.shape = indices.shape
        self.device = torch.device(device)
        self.soon = readahead(indices)

    def __getitem__(self, at: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        images, within = (part.cpu().numpy() for part in at)
        order = np.argsort(images, kind="stable")
        positions = np.empty(len(images), np.int64)
        positions[order] = self.indices[images[order], within[order]]
        return torch.from_numpy(positions).to(self.device)


def streamed(inputs: object, device: str) -> OnDisk | None:
    """`inputs` as rows on disk; None where they should be copied.

    They are copied when they are not memmaps, or when a GPU has room for them.
    """
    if not isinstance(inputs, np.memmap) or inputs.ndim != 2:
        return None
    if device.startswith("cuda") and inputs.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
        return None
    return OnDisk(inputs, device)


def accumulator(*shape: int, device: str, kind: torch.dtype = torch.float32) -> torch.Tensor:
    """Zeros, float32 or float16. On a CPU a large one is `scratch`."""
    if device != "cpu":
        return torch.zeros(shape, dtype=kind, device=device)
    return torch.from_numpy(scratch(shape, np.float16 if kind == torch.float16 else np.float32))


def scratch(shape: tuple[int, ...], kind: DTypeLike) -> np.ndarray:
    """Zeros; a large array is mapped to an unnamed temporary file, so its pages can be evicted.

    The file is in TMPDIR, else in /var/tmp where there is one: /tmp is in memory on many systems.
    A full disk is noticed here instead of killing the process later; then memory is used.
    """
    size = np.dtype(kind).itemsize * int(np.prod(shape, dtype=np.int64))
    if size <= limits().array_bytes:
        return np.zeros(shape, kind)
    steady = not os.environ.get("TMPDIR") and os.access("/var/tmp", os.W_OK)
    try:
        with tempfile.TemporaryFile(dir="/var/tmp" if steady else None) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, kind, "w+", shape=shape)
    except OSError:
        return np.zeros(shape, kind)
