"""Coverage out of core: columns in files, cut into groups; a task reads those it needs.

The columns and their 16-bit levels lie transposed in two files, made once and streamed; a group is
a run of columns, so any number S of groups is read from the same files. A sample of m dimensions
falls on the set of groups that holds them (m =
2: a pair a <= b). A task takes one set: at most m of the S groups in memory, the kernel of one
machine over them, and integer sums as the result. Sums add up to the same bits for any S, any cut
into tasks and any order.

A machine holds m groups and, per thread, the sums: `held` counts it, `groups_for` chooses S. With m
near D a set is the whole matrix again and no S helps; m = 2 is the paper's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from coreset_engine.core.disk_arrays import new_array
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.coverage.draws import Samples
from coreset_engine.coverage.transposed import Columns, transpose_and_quantise

SHARE = 0.8  # of a machine's memory; the rest is the interpreter's and the system's
ABOUT = ("grid", "modes", "low", "high", "median", "mean", "std", "ranks")
Sums = tuple[np.ndarray, np.ndarray]  # hits (N,) int64, penalty (N, C) int64 in 2^-40


def transpose_to_folder(
    folder: Path,
    vectors: np.ndarray,
    dims: int,
    workers: int = 1,
    progress: Progress = silent,
    keys: np.ndarray | None = None,
) -> Columns:
    """`transpose_and_quantise` with both large arrays in files of `folder`.

    What lies there finished is taken as it is, so a folder belongs to one matrix, one `dims` and
    one set of keys. Holds 48 bytes an image and worker.

    Parameters
    ----------
    folder
        Made where it is missing.
    vectors
        (N, D) float32 or float16, finite.
    dims
        Dimensions of a draw, 1 <= dims <= D.
    workers
        Threads.
    progress
        Called with done, total and unit.
    keys
        As in `transpose_and_quantise`.

    Raises
    ------
    BadInput
        For NaN or infinity.
    OSError
        When the disk refuses.
    """
    folder = Path(folder)
    if not (folder / "about.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)

        def room(name: str, shape: tuple[int, int], kind: Any) -> np.ndarray:
            return new_array(folder / f"{name}.npy", kind, shape)

        made = transpose_and_quantise(vectors, dims, workers, room, progress, keys)
        for array in (made.exact, made.levels):
            cast(np.memmap, array).flush()
        with open(folder / ".about.tmp", "wb") as file:
            np.savez(file, **{name: getattr(made, name) for name in ABOUT})
        os.replace(folder / ".about.tmp", folder / "about.npz")
    return _read_columns(folder)


def _read_columns(folder: Path) -> Columns:
    exact, levels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("exact", "levels"))
    with np.load(folder / "about.npz") as about:
        return Columns(
            exact.view(np.uint16) if exact.dtype == np.float16 else exact,
            levels,
            **{name: about[name] for name in ABOUT},
        )


def edges(count: int, groups: int) -> np.ndarray:
    """(S + 1,) int64: group g holds the columns edges[g] to edges[g + 1], evenly."""
    return np.arange(groups + 1) * count // groups


def sets_of(dims: np.ndarray, count: int, groups: int) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """(groups of a sample's dimensions, ascending, and the samples on them) of dims (t, m)."""
    if not len(dims):
        return []
    where = np.sort(np.searchsorted(edges(count, groups), dims, "right") - 1, axis=1)
    kinds, kind = np.unique(where, axis=0, return_inverse=True)
    order = np.argsort(kind.ravel(), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(kind.ravel()))[:-1])
    sets: dict[tuple[int, ...], list[np.ndarray]] = {}
    for names, rows in zip(kinds, parts, strict=True):  # (0, 0, 1) and (0, 1, 1) are one set
        sets.setdefault(tuple(dict.fromkeys(names.tolist())), []).append(rows)
    return [(names, np.concatenate(rows)) for names, rows in sets.items()]


class TaskSize(NamedTuple):
    """What decides the memory of a task.

    Attributes
    ----------
    n, d : int
        Images and dimensions.
    itemsize : int
        Bytes of a number of the matrix.
    m : int
        Dimensions of a slice.
    sums : int
        Columns of penalty.
    threads : int
        Of one task.
    """

    n: int
    d: int
    itemsize: int
    m: int
    sums: int
    threads: int


def held(size: TaskSize, groups: int) -> int:
    """Bytes a task holds: min(m, S) groups of columns, and per thread its sums and scratch."""
    columns = min(size.m, groups) * -(-size.d // groups)
    matrix = columns * size.n * (size.itemsize + 2)
    return matrix + (size.threads + 2) * 8 * size.n * (1 + size.sums) + size.threads * 6 * size.n


def groups_for(size: TaskSize, memory: float) -> int:
    """The smallest number of groups with which a task fits a machine of `memory` bytes.

    Raises
    ------
    BadInput
        When no number does.
    """
    for groups in range(1, size.d + 1):
        if held(size, groups) <= SHARE * memory:
            return groups
    least = held(size._replace(threads=1), size.d)
    remedy = "" if size.m <= 2 else f", or slices of 2 dimensions (n_dims={size.m})"
    raise BadInput(
        f"coverage of {size.n:,} images in {size.d} dimensions needs {least / SHARE / 1e9:.1f} GB "
        "per node even over"
        f" {size.d} groups of columns, and the smallest node has "
        f"{memory / 1e9:.1f} GB; use nodes with more memory{remedy}."
    )


class Task(NamedTuple):
    """What every task over sets of groups shares.

    Attributes
    ----------
    folder : where the columns' files are
    groups : S
    alphas : descending
    exponents : in the order of the penalty's columns
    threads : of one task
    """

    folder: Path
    groups: int
    alphas: Sequence[int]
    exponents: Sequence[float]
    threads: int = 1


def score_set(task: Task, names: Sequence[int], samples: Samples) -> Sums:
    """The sums of samples whose dimensions all lie in the groups `names`."""
    from coreset_engine.coverage.kernels.threads import cpu_scorer

    full = _read_columns(Path(task.folder))
    cuts = edges(len(full.low), task.groups)
    kept = np.concatenate([np.arange(cuts[g], cuts[g + 1]) for g in names])

    def part(array: np.ndarray) -> np.ndarray:
        out = np.empty((len(kept), *array.shape[1:]), array.dtype)
        for row, column in enumerate(kept):
            out[row] = array[column]
        return out

    of_columns = {name: part(array) for name, array in vars(full).items() if name != "ranks"}
    columns = Columns(**of_columns, ranks=full.ranks)
    hits = np.zeros(columns.n_images, np.int64)
    penalty = np.zeros((columns.n_images, len(task.alphas) * len(task.exponents)), np.int64)
    score = cpu_scorer(columns, task.alphas, task.exponents, task.threads)
    local = samples._replace(dims=np.searchsorted(kept, samples.dims))
    score(local, hits, penalty, lambda done: None)
    return hits, penalty


def add(one: Sums, other: Sums) -> Sums:
    """Two partial sums as one."""
    return one[0] + other[0], one[1] + other[1]
