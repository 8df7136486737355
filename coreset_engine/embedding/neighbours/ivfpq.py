"""Nearest neighbours at scale: faiss IVF-PQ trained on a sample, searched shard by shard.

Four steps, each a file in one folder, so that a stopped search resumes and several machines can
share the work:

  train   principal directions, inverted lists and product quantiser from a sample of rows
  trained.faiss encode  a piece of rows becomes codes of at most 64 bytes
           piece-N.faiss tune    lists and candidates are raised until enough true neighbours of
           probe rows are found  tuned.json
  search  a block of rows asks every piece, the best candidates are ranked by exact distance
  block-N.npz

A piece and a block are numbers of rows that never change with the machines, and nothing is added up
across them: who does which, in what order, leaves the result as it is. Similarity is cosine. Memory
of a searcher: the codes (mapped from disk) and a block of candidates' rows; vectors are read where
they lie. Jegou et al. 2011 (product quantisation); codes of 4 bits a direction are compared in
registers (Andre et al. 2015), which costs a sixth of 8-bit tables of half the size and, at 1 M x
256, needs half the candidates.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coreset_engine.core.device import torch_threads
from coreset_engine.core.disk_arrays import new_array
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Neighbours, Progress, silent
from coreset_engine.embedding.neighbours.candidates import _faiss, _threads
from coreset_engine.embedding.neighbours.ivfpq_codes import (
    UnitRows,
    encode,
    put,
    read_json,
    train,
    write_json,
)
from coreset_engine.embedding.neighbours.search import _check, _finish, _in_full

_PROBES = 256  # rows whose true neighbours are looked up to measure recall
_ENOUGH = 0.95  # recall at which tuning stops
_LADDER = (
    (16, 4),
    (32, 4),
    (64, 4),
    (64, 8),
    (128, 8),
    (256, 8),
    (512, 8),
    (512, 16),
    (1024, 32),
)  # (lists probed,
# candidates per wanted neighbour)
_TOGETHER = 256  # queries of one call: a number that threads share out, never one that they decide
_GATHERED = 2**28  # bytes of candidates' rows held at once

# each(step, numbers, progress): do `step(number)` for all numbers, here or elsewhere, each exactly
# once or again.
Each = Callable[[str, list[int], Progress], None]


@dataclass(frozen=True)
class BlockSizes:
    """Rows a `piece` of codes, and rows of a `block` that is searched at a time; None: `limits()`.

    A search that was stopped must be continued with the sizes that it began with.
    """

    piece: int | None = None
    block: int | None = None


def neighbours_at_scale(
    vectors: np.ndarray,
    k: int = 50,
    *,
    folder: Path,
    each: Each | None = None,
    sizes: BlockSizes = BlockSizes(),
    progress: Progress = silent,
) -> Neighbours:
    """Approximate k nearest other rows of each row by cosine, out of core (IVF-PQ).

    Parameters
    ----------
    vectors : (N, D) float16 or float32
        Finite; a memmap for `each` in other processes.
    k : int
        Lowered to N - 1.
    folder : path
        Keeps finished steps; indices and distances are memmaps in it.
    each : callable, optional
        each(step, numbers of the pieces, progress) computes pieces elsewhere; default this process.
    sizes : BlockSizes
        Rows a piece, and rows searched at a time.
    progress : callable
        Unit "images".

    Returns
    -------
    Neighbours
        info["recall"]: measured share of the true neighbours found.

    Raises
    ------
    BadInput
        As `neighbours`.

    References
    ----------
    Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search".
    """
    piece = sizes.piece or limits().code_rows
    block = sizes.block or limits().search_rows
    _check(vectors, k, "cosine")
    n = len(vectors)
    folder = Path(folder)
    each = each or here(vectors, folder)
    train(vectors, folder, wanted=min(int(k), n - 1), piece=piece, block=block)
    each(
        "encode", _lacking(folder, "piece-{:06d}.faiss", -(-n // piece)), _part(progress, n, 0, 10)
    )
    tuned = tune(vectors, folder)
    each(
        "search", _lacking(folder, "block-{:08d}.npz", -(-n // block)), _part(progress, n, 10, 100)
    )
    indices, distances = gather(folder)
    return Neighbours(indices, distances, "cosine", tuned["info"])


def here(vectors: np.ndarray, folder: Path) -> Each:
    """The steps in this process, one after the other."""

    def each(step: str, numbers: list[int], progress: Progress) -> None:
        for done, number in enumerate(numbers):
            STEPS[step](vectors, folder, number)
            progress(done + 1, len(numbers), "")

    return each


def _part(progress: Progress, n: int, low: int, high: int) -> Progress:
    """Progress of steps as images: a step from `low` to `high` per cent of the whole."""

    def of_step(done: int, total: int, unit: str = "") -> None:
        share = n * (low * total + (high - low) * done) // (100 * max(1, total))
        progress(share, n, unit or "images")

    return of_step


def _lacking(folder: Path, name: str, count: int) -> list[int]:
    return [number for number in range(count) if not (folder / name.format(number)).is_file()]


# -- tune ------------------------------------------------------------------------------------------


def tune(vectors: np.ndarray, folder: Path) -> dict[str, Any]:
    """Climb _LADDER until recall on probe rows reaches _ENOUGH; the result is kept on disk."""
    kept = read_json(folder / "tuned.json")
    if kept is not None:
        return kept
    plan = read_json(folder / "plan.json")
    rows = UnitRows(vectors)
    probes = np.unique(np.linspace(0, len(rows) - 1, _PROBES).astype(np.int64))
    true = nearest_of(rows, probes, plan["wanted"])
    for probed, times in _LADDER:
        settings = dict(probed=probed, candidates=times * plan["wanted"] + 1)
        recalls = [
            _nearest(vectors, folder, plan, settings, int(at), int(at) + 1)[0][0] for at in probes
        ]
        recall = float(
            np.mean([np.isin(one, other).mean() for one, other in zip(true, recalls, strict=True)])
        )
        if recall >= _ENOUGH:
            break
    lists = _pieces(str(folder), plan["n"], plan["piece"])[0].nlist
    words = (
        f"faiss IVF-PQ, {lists} lists, {probed} probed, {times} candidates per neighbour ranked by "
        "exact distance"
    )
    logging.getLogger("coreset_explorer").info(
        "neighbours of %s images: %s; recall@%d %.4f over %d rows",
        len(rows),
        words,
        plan["wanted"],
        recall,
        len(probes),
    )
    settings["info"] = dict(method=words, exact=False, recall=recall, recall_rows=len(probes))
    write_json(folder / "tuned.json", settings)
    return settings


def nearest_of(rows: Any, positions: np.ndarray, wanted: int) -> np.ndarray:
    """(P, wanted) int64, unordered: true nearest others of the rows at `positions`, one pass."""
    own = rows[positions]
    best = np.full((len(positions), wanted), -np.inf, np.float32)
    nearest = np.full((len(positions), wanted), -1, np.int64)
    for start in range(0, len(rows), 65_536):
        similarity = own @ rows[start : start + 65_536].T
        here = np.flatnonzero((positions >= start) & (positions < start + similarity.shape[1]))
        similarity[here, positions[here] - start] = -np.inf
        similarity, names = (
            np.hstack([best, similarity]),
            np.hstack(
                [
                    nearest,
                    np.tile(np.arange(start, start + similarity.shape[1]), (len(positions), 1)),
                ]
            ),
        )
        first = np.argpartition(-similarity, wanted - 1, axis=1)[:, :wanted]
        best = np.take_along_axis(similarity, first, 1)
        nearest = np.take_along_axis(names, first, 1)
    return nearest


# -- search ----------------------------------------------------------------------------------------


def search(vectors: np.ndarray, folder: Path, number: int) -> None:
    """Write the neighbours of block `number`: indices (B, k) int64, distances (B, k) float32."""
    plan = read_json(folder / "plan.json")
    settings = tune(vectors, folder)
    start = number * plan["block"]
    indices, squared = _nearest(
        vectors, folder, plan, settings, start, min(start + plan["block"], plan["n"])
    )
    distances = np.minimum(squared / 2, 2)  # |a - b|^2 = 2 (1 - cosine) for unit rows
    put(folder / f"block-{number:08d}.npz", lambda path: _savez(path, indices, distances))


def _nearest(
    vectors: np.ndarray,
    folder: Path,
    plan: dict,
    settings: dict,
    start: int,
    stop: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of the rows [start, stop): (B, k) int64 and (B, k) float32 squared distances."""
    rows = UnitRows(vectors)
    wanted = plan["wanted"]
    candidates = _candidates(rows[start:stop], folder, plan, settings)
    indices = np.empty((len(candidates), wanted), np.int64)
    squared = np.empty((len(candidates), wanted), np.float32)
    threads = min(_threads(), len(candidates))
    step = max(1, _GATHERED // (threads * 4 * rows.shape[1] * candidates.shape[1]))

    def rank(at: int) -> None:
        part = slice(at, at + step)
        few = _narrowed(rows, start + at, candidates[part], wanted + 17)
        indices[part], squared[part] = _finish(rows, start + at, few, wanted)

    _spread(rank, range(0, len(candidates), step), threads)
    short = np.flatnonzero(np.isinf(squared[:, -1]))
    if len(short):  # lists too empty to fill k places
        indices[short], squared[short] = _in_full(rows, start + short, wanted)
    return indices, squared


def _candidates(queries: np.ndarray, folder: Path, plan: dict, settings: dict) -> np.ndarray:
    """(B, m) int64, -1 = none: rows of all shards with the nearest codes, ties to the lower row."""
    basis = np.load(folder / "basis.npy")
    pieces = _pieces(str(folder), plan["n"], plan["piece"])
    asked = np.ascontiguousarray(queries @ basis)
    wanted = min(settings["candidates"], plan["n"])
    for piece in pieces:
        piece.nprobe = min(settings["probed"], piece.nlist)

    def query(start: int) -> np.ndarray:
        """Search with one thread per call: faiss' results may depend on the number of threads."""
        _faiss().omp_set_num_threads(1)
        return _best_of(pieces, asked[start : start + _TOGETHER], wanted)

    return np.concatenate(_spread(query, range(0, len(asked), _TOGETHER), _threads()))


def _spread(task: Callable[[int], Any], starts: range, threads: int) -> list[Any]:
    """task(start) of each, in order, on `threads` threads with torch on one each."""
    if len(starts) == 1:
        return [task(starts[0])]
    with torch_threads(1), ThreadPoolExecutor(threads) as crew:
        return list(crew.map(task, starts))


def _best_of(pieces: list[Any], asked: np.ndarray, wanted: int) -> np.ndarray:
    close, lists = pieces[0].quantizer.search(asked, pieces[0].nprobe)
    best = np.empty((len(asked), 0), np.float32)
    nearest = np.empty((len(asked), 0), np.int64)
    for piece in pieces:
        distances, names = piece.search_preassigned(asked, wanted, lists, close)
        distances = np.hstack([best, distances])
        names = np.hstack([nearest, names])
        order = np.lexsort((names, np.where(names < 0, np.inf, -distances)))[:, :wanted]
        best = np.take_along_axis(distances, order, 1)
        nearest = np.take_along_axis(names, order, 1)
    return nearest


def _narrowed(rows: UnitRows, start: int, candidates: np.ndarray, keep: int) -> np.ndarray:
    """The `keep` candidates of each row with the largest cosine; the exact finish sorts them."""
    if candidates.shape[1] <= keep:
        return candidates
    raw = torch.from_numpy(np.asarray(rows.vectors[candidates.ravel()], np.float32)).view(
        *candidates.shape, -1
    )
    own = torch.from_numpy(rows[start : start + len(candidates)])
    cosine = torch.bmm(raw, own[:, :, None])[:, :, 0] / torch.linalg.vector_norm(
        raw, dim=2
    ).clamp_min(1e-30)
    cosine[torch.from_numpy(candidates < 0)] = -torch.inf
    return np.take_along_axis(candidates, cosine.topk(keep, dim=1).indices.numpy(), 1)


@lru_cache(maxsize=2)
def _pieces(folder: str, n: int, piece: int) -> list[Any]:
    """Every piece's index, mapped from disk: processes of one machine share its memory."""
    faiss = _faiss()
    names = [os.path.join(folder, f"piece-{number:06d}.faiss") for number in range(-(-n // piece))]
    return [
        faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY) for name in names
    ]


# -- the result ------------------------------------------------------------------------------------


def gather(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(indices (N, k) int64, distances (N, k) float32) of all blocks, as memmaps in `folder`."""
    plan = read_json(folder / "plan.json")
    shape = (plan["n"], plan["wanted"])
    block = plan["block"]
    parts = [
        new_array(folder / f"{name}.npy", kind, shape)
        for name, kind in (("indices", np.int64), ("distances", np.float32))
    ]
    for number in range(-(-plan["n"] // block)):
        with np.load(folder / f"block-{number:08d}.npz") as part:
            for stored, name in zip(parts, ("indices", "distances"), strict=True):
                stored[number * block : (number + 1) * block] = part[name]
    return parts[0], parts[1]


STEPS: dict[str, Callable[[np.ndarray, Path, int], None]] = dict(encode=encode, search=search)


def _savez(path: Path, indices: np.ndarray, distances: np.ndarray) -> None:
    with open(path, "wb") as out:
        np.savez(out, indices=indices, distances=distances)
