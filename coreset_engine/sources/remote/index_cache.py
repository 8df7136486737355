"""What opening many containers found, kept as plain arrays that every later opening maps from disk.

Joining the indexes of 50 million pictures takes a minute or more and gigabytes; every process of a
run opens the source. So the first one writes its arrays into a folder named by the marks of all
units (paths, sizes, versions, options), whole or not at all; the others map them and hold next to
nothing. Only for sets that are worth it, and without texts of wildly different lengths, which no
plain array holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.disk_arrays import new_array
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Note, Rejected

VERSION = 3
ABOUT = "about.json"
Make = Callable[[str, int, Any], np.ndarray]  # (name, length, dtype) -> an array to be filled


@dataclass(frozen=True, eq=False)
class ContainerIndex:
    """The index of an opened container.

    arrays: (N,) each: ids, file, place, size, digest as in `ContainerReader`, labels where there
    are any, and "column NAME" for each further column.
    """

    arrays: Mapping[str, np.ndarray]
    fingerprint: str
    classes: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = field(default=())
    notes: tuple[Note, ...] = field(default=())

    @property
    def labels(self) -> np.ndarray | None:
        return self.arrays.get("labels")

    @property
    def columns(self) -> dict[str, np.ndarray]:
        prefix = "column "
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }


def index_path(memory: Path | None, parts: Iterable[str]) -> Path | None:
    """Path of the cached index of units with these cache keys."""
    if memory is None:
        return None
    digest = hashlib.sha256(json.dumps([VERSION, *parts]).encode()).hexdigest()
    return memory / "opened" / digest[:40]


def recall(kept: Path | None) -> ContainerIndex | None:
    """What is kept there, its arrays mapped; None when nothing or nothing whole is."""
    if kept is None or not kept.is_dir():
        return None
    try:
        about = json.loads((kept / ABOUT).read_text("utf-8"))
        arrays = {
            name: _mapped(kept / _file(number), about["n"])
            for number, name in enumerate(about["names"])
        }
        with suppress(OSError):  # a read-only workspace is fine for reading
            os.utime(kept)  # gc asks when it was last of use
        return ContainerIndex(
            arrays,
            about["fingerprint"],
            tuple(about["classes"]),
            tuple(Rejected(**one) for one in about["rejected"]),
            tuple(Note(**one | {"examples": tuple(one["examples"])}) for one in about["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):  # torn or foreign: join again
        return None


def _mapped(path: Path, n: int) -> np.ndarray:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    if mapped.shape != (n,):
        raise ValueError(f"{path} holds {mapped.shape}, not {n} entries")
    return np.asarray(mapped)  # the same pages, as any array


def _file(number: int) -> str:
    return f"{number}.npy"


def in_memory(name: str, n: int, dtype: Any) -> np.ndarray:
    """A `Make` that keeps nothing."""
    return np.empty(n, dtype)


def made(kept: Path | None, n: int, fill: Callable[[Make], ContainerIndex]) -> ContainerIndex:
    """fill(make), its arrays in files of `kept` where n is worth it and the disk allows.

    Else in memory.
    """
    if kept is None or n < limits().cached_index_above:
        return fill(in_memory)
    temporary = kept.with_name(f".{kept.name}.{os.getpid()}.{os.urandom(3).hex()}.tmp")
    try:
        temporary.mkdir(parents=True)
        return _write(temporary, kept, n, fill) or fill(in_memory)
    except OSError:  # only a memory: without room or permission for it, every opening joins
        return fill(in_memory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(
    temporary: Path, kept: Path, n: int, fill: Callable[[Make], ContainerIndex]
) -> ContainerIndex | None:
    """The opening with its arrays mapped; None where one of them cannot be a file."""
    names: list[str] = []

    def make(name: str, length: int, dtype: Any) -> np.ndarray:
        if np.dtype(dtype).hasobject:
            return np.empty(length, dtype)
        names.append(name)
        return new_array(temporary / _file(len(names) - 1), dtype, (length,))

    index = fill(make)
    if sorted(names) != sorted(index.arrays):
        return None
    for array in index.arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    about = dict(
        n=n,
        names=names,
        fingerprint=index.fingerprint,
        classes=index.classes,
        rejected=[asdict(one) for one in index.rejected],
        notes=[asdict(one) for one in index.notes],
    )
    (temporary / ABOUT).write_text(json.dumps(about), "utf-8")
    if kept.exists():  # torn, or another process was faster
        shutil.rmtree(kept, ignore_errors=True)
    os.replace(temporary, kept)
    return recall(kept)
