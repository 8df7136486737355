"""Images to vectors in shards: what makes hours of embedding safe to interrupt.

`embed_images` is a loop over shards of `shard_size` images. Each finished shard is a file of its
own, written under a temporary name, synced, renamed, its SHA-256 beside it; a later call with the
same source and encoder keeps it. Batches never cross a shard's border, so that a resumed run feeds
the network exactly the batches of an uninterrupted one and ends bit-identical.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.embedding.encoders.base import Concatenated, Encoder

FORMAT = 2


def embed_images(
    ds: Dataset,
    encoder: Encoder | Concatenated,
    *,
    shards: Path | None = None,
    shard_size: int = 1024,
    batch_size: int = 64,
    progress: Progress = silent,
) -> np.ndarray:
    """Vectors of every image.

    Parameters
    ----------
    ds : Dataset
        N images.
    encoder : Encoder or Concatenated
    shards : path, optional
        A folder. Finished shards found there are kept, and the result is a read-only memmap of it;
        without it the result is an array in memory.
    shard_size : int >= 1
        Images a shard.
    batch_size : int >= 1
        Images a batch; halved for a batch that does not fit in memory, whose vectors may then
        differ from those of the whole batch by float rounding.
    progress : callable
        Called per batch with unit "images".

    Returns
    -------
    (N, D) float32
        Finite, in source order.

    Raises
    ------
    BadInput
        Naming the image when one cannot be decoded or gives a non-finite vector, or when the disk
        is full.
    """
    if batch_size < 1 or shard_size < 1:
        raise BadInput(
            f"batch_size={batch_size} and shard_size={shard_size} must both be at least 1."
        )
    encoder = encoder.sized_for(ds)
    count = len(ds)
    starts = range(0, len(ds), shard_size)
    batches = Batches(batch_size)
    if shards is None:
        out = np.empty((count, encoder.dim), np.float32)
        for start in starts:
            stop = min(start + shard_size, count)
            out[start:stop] = _embed_range(ds, encoder, start, stop, batches, progress)
        return out
    shards = Path(shards)
    missing = set(missing_shards(ds, encoder, shards, shard_size=shard_size, batch_size=batch_size))
    for number, start in enumerate(starts):
        if number in missing:
            span = start, min(start + shard_size, count)
            embed_shard(ds, encoder, span, shard_path(shards, number), batches, progress)
        progress(min(start + shard_size, count), count, "images")
    return _join(shards, len(starts), (count, encoder.dim))


def missing_shards(
    ds: Dataset,
    encoder: Encoder | Concatenated,
    shards: Path,
    *,
    shard_size: int = 1024,
    batch_size: int = 64,
) -> list[int]:
    """Numbers of the shards that are not finished in `shards`.

    The folder is created, or emptied when it holds another plan's shards.

    Parameters
    ----------
    ds : Dataset
    encoder : Encoder or Concatenated
    shards : path
    shard_size, batch_size : int >= 1
        As in `embed_images`.

    Returns
    -------
    list of int
        Ascending.
    """
    encoder = encoder.sized_for(ds)
    _make_folder(shards)
    _settle_plan(shards, _plan(ds, encoder, shard_size, batch_size))
    sizes = [min(shard_size, len(ds) - start) for start in range(0, len(ds), shard_size)]
    return [
        number
        for number, size in enumerate(sizes)
        if not _is_complete(shards, number, (size, encoder.dim))
    ]


@dataclass(frozen=True)
class Batches:
    """How images reach the network.

    Attributes
    ----------
    size : int
        Images a batch.
    readers : int, optional
        Threads that decode and resize, each up to a batch ahead; default one a core, at most 16.
    """

    size: int = 64
    readers: int | None = None


def embed_shard(
    ds: Dataset,
    encoder: Encoder | Concatenated,
    span: tuple[int, int],
    path: Path,
    batches: Batches = Batches(),
    progress: Progress = silent,
) -> int:
    """Embed one shard on this machine and write its file.

    Parameters
    ----------
    ds : Dataset
        All images of the source, or those of the shard alone; the encoder's image size must then be
        settled.
    encoder : Encoder or Concatenated
    span : (start, stop)
        Positions in `ds` of the shard's images.
    path : Path
        See `shard_path`.
    batches : Batches
    progress : callable
        Called per batch with unit "images".

    Returns
    -------
    int
        Images of the shard.
    """
    _write_shard(path, _embed_range(ds, encoder.sized_for(ds), *span, batches, progress))
    return span[1] - span[0]


def _embed_range(
    ds: Dataset,
    encoder: Encoder | Concatenated,
    start: int,
    stop: int,
    batches: Batches,
    progress: Progress,
) -> np.ndarray:
    out = np.empty((stop - start, encoder.dim), np.float32)
    for begin, end, pixels in _prepared(ds, encoder, (start, stop), batches):
        vectors = _forward(encoder, pixels)
        if not np.isfinite(vectors).all():
            bad = begin + int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise BadInput(
                f"image {str(ds.ids[bad])!r} gave a vector with NaN or infinity from "
                f"{encoder.name!r}; check the weights, or remove the image."
            )
        out[begin - start : end - start] = vectors
        progress(end, len(ds), "images")
    return out


def _prepared(
    ds: Dataset, encoder: Encoder | Concatenated, span: tuple[int, int], batches: Batches
) -> Iterator[tuple[int, int, Any]]:
    """Yield batches decoded and resized by threads, a few ahead of the network.

    Pillow releases the interpreter lock.
    """
    start, stop = span
    begins = range(start, stop, batches.size)
    borders = [(begin, min(begin + batches.size, stop)) for begin in begins]
    workers = batches.readers or min(16, cpu_count())
    ahead = workers + 1
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: list[Future] = []
        try:
            for begin, end in borders[:ahead]:
                waiting.append(pool.submit(_read, ds, encoder, begin, end))
            for number, (begin, end) in enumerate(borders):
                pixels = waiting.pop(0).result()
                if number + ahead < len(borders):
                    waiting.append(pool.submit(_read, ds, encoder, *borders[number + ahead]))
                yield begin, end, pixels
        finally:
            for future in waiting:
                future.cancel()


def _read(ds: Dataset, encoder: Encoder | Concatenated, begin: int, end: int) -> Any:
    """One batch ready for the network.

    Each image is shrunk before the next is decoded, so memory stays bounded.
    """
    ready = []
    images = ds.images(begin, end)
    for i in range(begin, end):
        try:
            ready.append(encoder.prepare([next(images)]))
        except CoresetError:
            raise
        except (
            Exception
        ) as error:  # decoders raise any type; the file changed since the source was opened
            raise BadInput(
                f"image {str(ds.ids[i])!r} can no longer be read ({type(error).__name__}: "
                f"{error}); open the source again, which sets such files aside."
            ) from error
    if isinstance(ready[0], list):  # several encoders side by side
        return [np.concatenate(part) for part in zip(*ready, strict=True)]
    return np.concatenate(ready)


def _forward(encoder: Encoder | Concatenated, pixels: Any) -> np.ndarray:
    """The network on one batch, halved as often as memory demands."""
    import torch

    count = len(pixels[0]) if isinstance(pixels, list) else len(pixels)
    try:
        return encoder.forward(pixels)
    except (torch.OutOfMemoryError, MemoryError):
        if count == 1:
            raise BadInput(
                f"one image at {encoder.image_size} px does not fit in memory for "
                f"{encoder.name!r}; choose "
                "a smaller image_size, a smaller encoder, or device='cpu'."
            ) from None
    if encoder.device.startswith("cuda"):
        torch.cuda.empty_cache()
    half = count // 2
    parts = (
        ([p[:half] for p in pixels], [p[half:] for p in pixels])
        if isinstance(pixels, list)
        else (pixels[:half], pixels[half:])
    )
    return np.concatenate([_forward(encoder, part) for part in parts])


def _plan(
    ds: Dataset, encoder: Encoder | Concatenated, shard_size: int, batch_size: int
) -> dict[str, Any]:
    return dict(
        format=FORMAT,
        source=ds.fingerprint,
        count=len(ds),
        encoder=encoder.name,
        dim=encoder.dim,
        weights=encoder.weights_hash,
        image_size=encoder.image_size,
        fit=getattr(encoder, "fit", "auto"),
        shard_size=shard_size,
        batch_size=batch_size,
    )


def _make_folder(shards: Path) -> None:
    try:
        shards.mkdir(parents=True, exist_ok=True)
        for stale in shards.glob("*.tmp"):  # left by a process that was killed while writing
            if time.time() - stale.stat().st_mtime > 3600:
                stale.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(
            f"{str(shards)!r} cannot be used for embeddings ({error.strerror or error}); choose "
            "another workspace."
        ) from error


def _settle_plan(shards: Path, plan: dict[str, Any]) -> None:
    """Keep the shards of the same plan; remove those of another plan first."""
    path = shards / "plan.json"
    try:
        same = json.loads(path.read_text()) == plan
    except (OSError, ValueError):
        same = False
    if not same:
        for old in [*shards.glob("shard-*"), *shards.glob("vectors.npy*")]:
            old.unlink(missing_ok=True)
        _write_atomic(path, json.dumps(plan, indent=1).encode())


def shard_path(shards: Path, number: int) -> Path:
    """The file of a shard's vectors."""
    return shards / f"shard-{number:06d}.f32"


def _write_shard(path: Path, vectors: np.ndarray) -> None:
    data = np.ascontiguousarray(vectors, dtype="<f4").tobytes()
    _write_atomic(path, data)
    _write_atomic(path.with_suffix(".sha256"), hashlib.sha256(data).hexdigest().encode())


def _is_complete(shards: Path, number: int, shape: tuple[int, int]) -> bool:
    """Whether shard `number` is there, of the right length, and hashes to what was written."""
    path = shard_path(shards, number)
    try:
        if path.stat().st_size != 4 * shape[0] * shape[1]:
            return False
        return (
            hashlib.sha256(path.read_bytes()).hexdigest() == path.with_suffix(".sha256").read_text()
        )
    except OSError:
        return False


def _join(shards: Path, pieces: int, shape: tuple[int, int]) -> np.ndarray:
    """All shards as one vectors.npy, written under another name and renamed; a memmap."""
    joined = shards / "vectors.npy"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    # ordinary writes, not a writable map: a map on a full disk kills the process instead of raising
    _write_atomic(
        joined, header.getvalue(), *(shard_path(shards, number) for number in range(pieces))
    )
    return np.load(joined, mmap_mode="r", allow_pickle=False)


def _write_atomic(path: Path, *parts: bytes | Path) -> None:
    """All of `parts` (bytes, or files to copy) at `path`, or nothing.

    Raises BadInput when the disk refuses.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as out:
            for part in parts:
                out.write(part.read_bytes() if isinstance(part, Path) else part)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(
            f"{str(path)!r} cannot be written ({error.strerror or error}); make room or choose "
            "another workspace, then run again: finished shards are kept."
        ) from error
