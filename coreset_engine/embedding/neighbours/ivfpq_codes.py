"""The parts of an IVF-PQ index: lists and codes trained on a sample, and the codes of every row.

Codes have 4 bits a principal direction, of what is left of a row after its list's centre.
`at_scale` searches them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.embedding.neighbours.candidates import _faiss
from coreset_engine.embedding.neighbours.search import at_unit_length

_SAMPLE = 1_000_000  # rows that lists and codes are learnt from, at most
_LISTS = 65_536
_SMALL = 100_000  # sampled rows below which one thread learns faster than many
_DIMS = 128
_CODES = 16  # values of a code, which faiss wants as many rows for


class UnitRows:
    """(N, D) float vectors, often a memmap, read as float32 rows of unit length; uncached."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.shape = vectors.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: Any) -> np.ndarray:
        return at_unit_length(np.asarray(self.vectors[at], np.float32))


def train(vectors: np.ndarray, folder: Path, *, wanted: int, piece: int, block: int) -> None:
    """Write `plan.json`, `basis.npy` (D, d) and `trained.faiss` unless they exist.

    At most _SAMPLE evenly spaced rows are read. Deterministic for given vectors.

    Parameters
    ----------
    vectors : (N, D) float
    folder : path
    wanted : int
        Neighbours a row.
    piece, block : int
        Rows a piece, and rows read at a time.
    """
    plan = dict(n=len(vectors), wanted=wanted, piece=piece, block=block)
    if read_json(folder / "plan.json") == plan:
        return
    faiss = _faiss()
    rows = UnitRows(vectors)
    lists = lists_of(len(rows))
    step = max(1, len(rows) // sample_of(len(rows)))
    _finite(vectors[::step], 0, step)
    sample = rows[::step]
    sample = np.tile(sample, (-(-_CODES // len(sample)), 1)) if len(sample) < _CODES else sample
    basis = _basis(sample)
    index = _empty(faiss, basis.shape[1], lists)
    if len(sample) < _SMALL:
        faiss.omp_set_num_threads(
            1
        )  # thousands of tiny rounds: threads that wait for each other cost tenfold
    index.train(np.ascontiguousarray(sample @ basis))
    np.save(folder / "basis.npy", basis)
    put(folder / "trained.faiss", lambda path: faiss.write_index(index, str(path)))
    write_json(folder / "plan.json", plan)  # last: what it describes exists


def lists_of(n: int) -> int:
    """Inverted lists for n rows."""
    return int(np.clip(4 * np.sqrt(n), 1, min(_LISTS, max(1, n // 39))))


def sample_of(n: int) -> int:
    """Number of rows to train on, of n: it bounds the memory that training needs."""
    return min(_SAMPLE, max(64 * lists_of(n), 65_536))


def _basis(sample: np.ndarray) -> np.ndarray:
    """Leading directions of the uncentred rows, (D, d) float32, which preserve inner products.

    d is a multiple of 4, padded with zero columns where D is not.
    """
    dims = sample.shape[1]
    second = sum(
        block.T.astype(np.float64) @ block
        for block in np.array_split(sample, -(-len(sample) // 65_536))
    )
    directions = np.linalg.eigh(second)[1][:, ::-1][:, : min(dims, _DIMS)]
    return np.pad(directions, ((0, 0), (0, -directions.shape[1] % 4))).astype(np.float32)


def _empty(faiss: Any, dims: int, lists: int) -> Any:
    quantizer = faiss.IndexFlatIP(dims)
    index = faiss.IndexIVFPQFastScan(quantizer, dims, lists, dims, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = True
    index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = (
        1  # no warnings on small sets
    )
    quantizer.this.disown()
    index.own_fields = True
    return index


# -- encode ----------------------------------------------------------------------------------------


def encode(vectors: np.ndarray, folder: Path, number: int) -> None:
    """Write the codes of piece `number`. Raises BadInput on NaN or infinity, with the row."""
    faiss = _faiss()
    plan = read_json(folder / "plan.json")
    rows = UnitRows(vectors)
    index = faiss.read_index(str(folder / "trained.faiss"))
    basis = np.load(folder / "basis.npy")
    stop = min((number + 1) * plan["piece"], len(rows))
    for start in range(number * plan["piece"], stop, 65_536):
        block = slice(start, min(start + 65_536, stop))
        _finite(vectors[block], start)
        index.add_with_ids(rows[block] @ basis, np.arange(block.start, block.stop))
    put(folder / f"piece-{number:06d}.faiss", lambda path: faiss.write_index(index, str(path)))


def _finite(block: np.ndarray, start: int, step: int = 1) -> None:
    good = np.isfinite(block).all(axis=1)
    if not good.all():
        bad = start + step * int(np.flatnonzero(~good)[0])
        raise BadInput(
            f"vectors have NaN or infinity in row {bad}; embed again or remove that row."
        )


# -- files whole or not at all ---------------------------------------------------------------------


def put(path: Path, make: Callable[[Path], None]) -> None:
    """Write the file atomically, also with concurrent writers."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(3).hex()}.tmp")
    try:
        make(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """`value` as JSON."""

    def save(temporary: Path) -> None:
        temporary.write_text(json.dumps(value))

    put(path, save)


def read_json(path: Path) -> Any:
    """What `write_json` wrote; None where nothing is."""
    return json.loads(path.read_text()) if path.is_file() else None
