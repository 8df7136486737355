"""The image statistics of a run, kept in the store: resumable, and reused by content.

They depend on the picture's bytes alone, not on the encoder. A finished artefact keeps the digests
of its files, so that a source that grew is measured where it is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import Store, digest
from coreset_engine.core.errors import BadInput, Corrupt
from coreset_engine.core.types import Dataset
from coreset_engine.findings.image_statistics import (
    VERSION,
    ImageStatistics,
    joined,
    measure_images,
)
from coreset_engine.pipeline.embedding_stage import DECODING
from coreset_engine.pipeline.run import Run

STAGE = "image_statistics"
SHARD = 2048  # images between two saves
_CACHES = 8  # finished artefacts that are looked into, newest first


def image_statistics(run: Run) -> ImageStatistics:
    """The statistics of the run's images; computed once.

    Raises
    ------
    Missing
        When the source has vectors only.
    BadInput
        When an image can no longer be read.
    """
    arrays, _ = run.store.get(
        STAGE,
        key_of(run.dataset),
        lambda: _made(run),
        about=run.about(),
        waiting=lambda: run.tick(STAGE)(0, 1, "(another process computes it)"),
    )
    return _record(arrays)


def ready(run: Run) -> bool:
    """Whether the statistics are in the store. Never computes."""
    return run.store.has(STAGE, key_of(run.dataset))


def key_of(dataset: Dataset) -> str:
    """The content address of the artefact; other settings than the source have no part in it."""
    return digest([STAGE, VERSION, DECODING, dataset.fingerprint])


def _made(run: Run) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    dataset = run.dataset
    known, position = _known(run.store, dataset)
    todo = np.flatnonzero(position < 0)
    work = run.store.work(STAGE, key_of(dataset))
    parts = list(known)
    total = sum(len(part) for part in parts)
    for number, start in enumerate(range(0, len(todo), SHARD)):
        rows = todo[start : start + SHARD]
        parts.append(_shard(run, work / f"shard-{number:06d}.npz", rows, start, len(todo)))
    position[todo] = total + np.arange(len(todo))
    joined_parts = joined(parts, position)
    arrays = joined_parts.arrays()
    if dataset.digests is not None:
        arrays["digests"] = np.asarray(dataset.digests)
    return arrays, dict(measured=len(todo), version=VERSION, decoding=DECODING)


def _shard(run: Run, path: Path, rows: np.ndarray, done: int, total: int) -> ImageStatistics:
    """The statistics of the images at `rows`, from the file that an interrupted run left."""
    kept = _read_shard(path, rows)
    if kept is not None:
        return kept
    tick = run.tick(STAGE)
    part = run.dataset.take(rows)

    def report(at: int, _: int, unit: str) -> None:
        tick(done + at, total, unit)

    made = measure_images(part, progress=report)
    arrays: dict[str, Any] = dict(rows=rows, **made.arrays())
    temporary = path.with_suffix(".tmp")
    try:
        with open(temporary, "wb") as out:
            np.savez(out, **arrays)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise filesystem.refused(path, error) from None
    return made


def _read_shard(path: Path, rows: np.ndarray) -> ImageStatistics | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            if np.array_equal(kept["rows"], rows):
                return _record(kept)
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return None


def _record(arrays: Mapping[str, np.ndarray]) -> ImageStatistics:
    return ImageStatistics(**{part.name: arrays[part.name] for part in fields(ImageStatistics)})


def _known(store: Store, dataset: Dataset) -> tuple[list[ImageStatistics], np.ndarray]:
    """Statistics of earlier artefacts, and each image's row in them.

    (N,) int64 rows of the concatenated statistics, -1 where the bytes were not measured before.
    """
    position = np.full(len(dataset), -1, np.int64)
    parts: list[ImageStatistics] = []
    if dataset.digests is None:
        return parts, position
    mine = np.asarray(dataset.digests)
    before = 0
    for arrays in _finished(store):
        theirs = arrays["digests"]
        order = np.argsort(theirs, kind="stable")
        at = np.minimum(np.searchsorted(theirs, mine, sorter=order), len(theirs) - 1)
        equal = (position < 0) & (theirs[order[at]] == mine) & (mine != b"")
        if equal.any():
            position[equal] = before + order[at[equal]]
            parts.append(_record(arrays))
            before += len(theirs)
        if (position >= 0).all():
            break
    return parts, position


def _finished(store: Store) -> Iterator[dict[str, np.ndarray]]:
    """Arrays of finished artefacts that keep digests, newest first."""
    folder = store.home / "artefacts" / STAGE
    try:
        stored = sorted(((one.stat().st_mtime, one.name) for one in folder.iterdir()), reverse=True)
    except OSError:
        return
    for _, key in stored[:_CACHES]:
        try:
            arrays, info = store.read(STAGE, key)
        except (Corrupt, BadInput):
            continue
        if info.get("version") == VERSION and info.get("decoding") == DECODING:
            if "digests" in arrays:
                yield arrays
