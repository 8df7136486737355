"""Where to compute: one place that turns "auto" | "cpu" | "cuda" into a checked torch device name."""

from __future__ import annotations

import os

from coreset_engine.errors import BadInput, Missing


def resolve_device(device: str = "auto") -> str:
    """"cpu" or "cuda[:i]". "auto" takes CUDA when torch sees a GPU. Raises when CUDA is asked for and absent."""
    if device == "cpu":
        return "cpu"
    if device != "auto" and not device.startswith("cuda"):
        raise BadInput(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'.")
    import torch

    if torch.cuda.is_available():
        return "cuda" if device == "auto" else device
    if device == "auto":
        return "cpu"
    raise Missing(f"device={device!r} was asked for but torch sees no GPU; use device='cpu' or 'auto'.")


def cpu_count() -> int:
    """Cores this process may use (affinity aware), at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
