"""The embeddings of a run, with the vectors of pictures that were embedded before.

A vector depends on the picture's bytes and the encoder alone, so every finished artefact is a cache
of vectors by content: beside vectors.npy it keeps digests.npy, and its manifest says which encoder
made it. Adding images to a source embeds the new ones only; removing and renaming embeds nothing;
byte-identical pictures are embedded once. Nothing is stored twice, and what gc removes is only
computed again.

On a CPU the outcome is bit-identical to embedding everything again. On a GPU vectors depend on the
batch by float rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, Corrupt
from coreset_engine.core.types import Dataset

if TYPE_CHECKING:
    from coreset_engine.embedding.encoders.builders import Concatenated, Encoder

DECODING = 3  # raised when the same bytes are decoded into other pixels
CACHES = 32  # finished artefacts that are looked into, newest first
_ROWS = 16_384  # rows gathered at a time
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Cache:
    """Vectors of one finished artefact. digests: (M,) S32, sorted; rows: (M,) where each lies."""

    digests: np.ndarray
    rows: np.ndarray
    vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class ReusePlan:
    """Where each image's vector comes from.

    cache: (N,) int16, which of `caches`, -1 = embedded now. row: (N,) int64, row in that cache, or
    in the vectors of `todo`. todo: (T,) int64, positions to embed.
    """

    caches: tuple[Cache, ...]
    cache: np.ndarray
    row: np.ndarray
    todo: np.ndarray


class Embed(Protocol):
    """Vectors (T, D) of a dataset, with its shards kept in a folder."""

    def __call__(self, dataset: Dataset, shards: Path, /) -> np.ndarray: ...


def identity_of(encoder: Encoder | Concatenated, fit: str) -> dict[str, Any]:
    """What a vector depends on besides the picture's bytes. encoder: its image size settled."""
    sizes = [part.image_size for part in getattr(encoder, "parts", (encoder,))]
    return dict(
        encoder=encoder.name,
        weights=encoder.weights_hash,
        sizes=sizes,
        fit=fit,
        decoding=DECODING,
        device="cpu" if encoder.device == "cpu" else "gpu",
    )


def embed_with_reuse(
    dataset: Dataset,
    encoder: Encoder | Concatenated,
    store: Store,
    shards: Path,
    embed: Embed,
    *,
    divisible: bool = True,
) -> tuple[Arrays, dict[str, Any]]:
    """(arrays, info) of the embeddings artefact.

    Parameters
    ----------
    dataset
        Its `digests` decide what can be reused; without them everything is embedded.
    encoder
        With its image size settled for `dataset`.
    store
        Holds earlier artefacts.
    shards
        Folder of unfinished shards, and of the assembled matrix.
    embed
        Embeds what is left.
    divisible
        Whether `embed` can be given a part of the dataset.
    """
    identity = identity_of(encoder, dataset.fit)
    info: dict[str, Any] = dict(
        encoder=encoder.name, weights=encoder.weights_hash, identity=identity
    )
    if dataset.digests is None:
        return dict(vectors=embed(dataset, shards)), info
    digests = np.asarray(dataset.digests)
    if not divisible:
        return dict(vectors=embed(dataset, shards), digests=digests), info
    plan = plan_reuse(digests, caches_of(store, identity))
    info["embedded"] = len(plan.todo)
    if len(plan.todo) == len(dataset):
        return dict(vectors=embed(dataset, shards), digests=digests), info
    fresh = np.empty((0, encoder.dim), np.float32)
    if len(plan.todo):
        fresh = embed(dataset.take(plan.todo), shards)
    vectors = _assembled(plan, fresh, encoder.dim, shards / "assembled.npy")
    return dict(vectors=vectors, digests=digests), info


def caches_of(store: Store, identity: dict[str, Any]) -> Iterator[Callable[[], Cache | None]]:
    """Finished embeddings of the same identity, newest first; each is read when it is called."""
    folder = store.home / "artefacts" / "embeddings"
    try:
        entries = [(path.stat().st_mtime, path.name) for path in folder.iterdir()]
    except OSError:
        return
    for _, key in sorted(entries, reverse=True)[:CACHES]:
        if key.startswith("."):
            continue
        try:
            about = store.manifest("embeddings", key)
        except (Corrupt, BadInput):
            continue
        if about["info"].get("identity") == identity and "digests" in about["files"]:
            yield partial(_cache, store, key)


def _cache(store: Store, key: str) -> Cache | None:
    try:
        arrays, _ = store.read("embeddings", key)
    except Corrupt:
        return None
    digests = np.asarray(arrays["digests"])
    order = np.argsort(digests, kind="stable")
    return Cache(digests[order], order, arrays["vectors"])


def plan_reuse(digests: np.ndarray, caches: Iterator[Callable[[], Cache | None]]) -> ReusePlan:
    """Where the vector of each picture comes from; equal digests share one."""
    unique, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    cache = np.full(len(unique), -1, np.int16)
    row = np.zeros(len(unique), np.int64)
    used: list[Cache] = []
    unknown = unique == b""  # no digest: proves nothing
    for read in caches:
        wanted = np.flatnonzero((cache < 0) & ~unknown)
        if not len(wanted):
            break
        previous = read()
        if previous is None:
            continue
        at = np.minimum(
            np.searchsorted(previous.digests, unique[wanted]), len(previous.digests) - 1
        )
        hits = previous.digests[at] == unique[wanted]
        if hits.any():
            cache[wanted[hits]] = len(used)
            row[wanted[hits]] = previous.rows[at[hits]]
            used.append(previous)
    lacking = np.flatnonzero(cache < 0)
    todo = np.sort(first[lacking])
    row[lacking] = np.searchsorted(todo, first[lacking])
    if unknown.any():
        return _embed_all(digests)
    return ReusePlan(tuple(used), cache[inverse], row[inverse], todo)


def _embed_all(digests: np.ndarray) -> ReusePlan:
    rows = np.arange(len(digests))
    return ReusePlan((), np.full(len(digests), -1, np.int16), rows, rows)


def _assembled(plan: ReusePlan, fresh: np.ndarray, dim: int, path: Path) -> np.ndarray:
    """(N, D) float32, a read-only memmap of `path`, written block by block."""
    count = len(plan.cache)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as out:
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, dim)}
            np.lib.format.write_array_header_1_0(out, header)
            for start in range(0, count, _ROWS):
                out.write(_block(plan, fresh, dim, start, min(start + _ROWS, count)))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise filesystem.refused(path, error) from None
    made: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return made


def _block(plan: ReusePlan, fresh: np.ndarray, dim: int, start: int, stop: int) -> bytes:
    block = np.empty((stop - start, dim), "<f4")
    cache = plan.cache[start:stop]
    row = plan.row[start:stop]
    for number in np.unique(cache):
        source = fresh if number < 0 else plan.caches[number].vectors
        here = cache == number
        block[here] = source[row[here]]
    return block.tobytes()
