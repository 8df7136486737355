"""Where to compute: the checked torch device name, the number of cores, the memory available."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.limits import limits

_CONTAINER = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def resolve_device(device: str = "auto") -> str:
    """ "cpu" or "cuda[:i]". "auto" takes CUDA when torch sees a GPU. Raises when CUDA is requested
    and absent."""
    if device == "cpu":
        return "cpu"
    if device != "auto" and not device.startswith("cuda"):
        raise BadInput(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'.")
    import torch

    if torch.cuda.is_available():
        return "cuda" if device == "auto" else device
    if device == "auto":
        return "cpu"
    raise Missing(
        f"device={device!r} was requested but torch sees no GPU; use device='cpu' or 'auto'."
    )


def cpu_count() -> int:
    """Cores this process may use (affinity aware), at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def free_memory(containers: Sequence[tuple[str, str, str]] = _CONTAINER) -> int:
    """Bytes this process may still take: the machine's, or its container's when that is less.

    Parameters
    ----------
    containers
        Files with the limit, the use and the statistics of each kind of container; those that do
        not exist are passed over.
    """
    import psutil

    cgroup = limits().free_bytes
    if cgroup is not None:
        return cgroup
    least: int = psutil.virtual_memory().available
    for limit, used, stat in containers:
        try:
            room = int(Path(limit).read_text()) - int(Path(used).read_text())
            cache = dict(line.split() for line in Path(stat).read_text().splitlines())
        except (OSError, ValueError):
            continue  # no such container, or no limit ("max")
        least = min(
            least, room + int(cache.get("inactive_file", cache.get("total_inactive_file", 0)))
        )
    return max(0, least)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set torch's thread count inside the block, also for threads started in it.

    Steps of a millisecond lose more to threads waiting for each other than they gain.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
