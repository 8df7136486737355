"""The nearest images to a direction: exact where one pass is fast enough, else by an index.

The index (inverted lists of 8-bit codes, faiss) is built once, kept in the workspace under the
vectors' key and held in memory. Its candidates are ranked again by exact cosines of the vectors,
and its recall is measured when it is built.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.types import Progress, silent
from coreset_engine.curation.run_protocol import CuratedRun
from coreset_engine.selection.queries import cosines

STAGE = "search_index"
VERSION = 1
EXACT_BYTES = 600_000_000  # float32 vectors up to which one pass takes about a tenth of a second
FEW = 50_000  # images up to which those of a filter are compared one by one
RECALL = 0.98  # of the nearest PROBED, wanted on average over PROBES queries
PROBES = 64
PROBED = 10
_BLOCK = 65_536
_TRAINED = 64  # vectors per list that the lists are fitted to
_KEPT: OrderedDict[tuple[str, str], Any] = OrderedDict()
_HELD = 2  # indexes in memory


class ExactIndex:
    """One pass over all vectors. exact: True, recall: 1."""

    exact = True
    recall = 1.0

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self._inverse = np.concatenate(
            [_inverse_norms(vectors[at : at + _BLOCK]) for at in range(0, len(vectors), _BLOCK)]
        )

    def search(
        self, direction: np.ndarray, count: int, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """((k,) int64 positions, (k,) float32 cosines), most similar first, ties by position.

        Parameters
        ----------
        direction
            (D,) float32 of unit length.
        count
            At most so many.
        mask
            (N,) bool: images that may be found; None = all.
        """
        similarity = np.empty(len(self.vectors), np.float32)
        for at in range(0, len(similarity), _BLOCK):
            rows = np.asarray(self.vectors[at : at + _BLOCK], np.float32)
            similarity[at : at + _BLOCK] = rows @ direction
        similarity *= self._inverse
        return best(similarity, count, mask)


class ListIndex:
    """Inverted lists of 8-bit codes; see `build`. exact: False, recall: as measured."""

    exact = False

    def __init__(self, vectors: np.ndarray, index: Any, probed: int, recall: float) -> None:
        """An index that is ready to be searched.

        Parameters
        ----------
        vectors : (N, D) float32 or float16
            Any scale; candidates are ranked by exact cosine.
        index : faiss.IndexIVF
            Of the unit vectors.
        probed : int
            Lists looked into by a query, >= 1.
        recall : float
            Share of the true nearest ten that is found, in [0, 1], as measured when it was built.
        """
        self.vectors = vectors
        self.index = index
        self.probed = probed
        self.recall = recall

    def search(
        self, direction: np.ndarray, count: int, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `ExactIndex.search`, but some of the nearest may be missed."""
        if mask is not None and int(mask.sum()) <= FEW:
            positions = np.flatnonzero(mask)
            return _ranked(self.vectors, positions, direction, count)
        positions = candidates(self.index, direction, count, self._probes(count), mask)
        return _ranked(self.vectors, positions, direction, count)

    def _probes(self, count: int) -> int:
        """Lists to look into: more where many images are wanted."""
        lists = self.index.nlist
        filled = -(-4 * count * lists // max(1, self.index.ntotal))
        return min(lists, max(self.probed, filled))


def best(
    cosine: np.ndarray, count: int, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """((k,) positions, (k,) cosines) of the largest, ties by position, without sorting all."""
    positions = np.arange(len(cosine)) if mask is None else np.flatnonzero(mask)
    values = cosine[positions]
    if count < len(values):
        threshold = np.partition(values, len(values) - count)[len(values) - count]
        sure = np.flatnonzero(values > threshold)
        tied = np.flatnonzero(values == threshold)[: count - len(sure)]
        few = np.sort(np.concatenate([sure, tied]))
        positions = positions[few]
        values = values[few]
    order = np.argsort(-values, kind="stable")
    return positions[order], values[order]


def search_index(run: CuratedRun, progress: Progress = silent) -> ExactIndex | ListIndex:
    """The index of a run's vectors, built where it does not exist yet. progress: unit "images"."""
    key = (str(run.store.home), run.key_of("embeddings"))
    if key in _KEPT:
        _KEPT.move_to_end(key)
        return _KEPT[key]
    vectors = run.vectors
    size = len(vectors) * vectors.shape[1] * 4
    made: ExactIndex | ListIndex
    made = ExactIndex(vectors) if size <= EXACT_BYTES else _kept_lists(run, vectors, progress)
    _KEPT[key] = made
    while len(_KEPT) > _HELD:
        _KEPT.popitem(last=False)
    return made


def _kept_lists(run: CuratedRun, vectors: np.ndarray, progress: Progress) -> ListIndex:
    key = digest([STAGE, VERSION, run.key_of("embeddings")])

    def make() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        index, probed, recall = build(vectors, progress)
        return dict(index=_faiss().serialize_index(index)), dict(probed=probed, recall=recall)

    arrays, info = run.store.get(STAGE, key, make, about=run.about())
    index = _faiss().deserialize_index(np.asarray(arrays["index"]))
    return ListIndex(vectors, index, info["probed"], info["recall"])


def build(vectors: np.ndarray, progress: Progress = silent) -> tuple[Any, int, float]:
    """(faiss index, lists to look into, recall of the nearest 10) of (N, D) vectors.

    sqrt(N) lists, fitted to an even sample; the number of lists looked into is doubled until the
    nearest of 64 images are found with recall 0.98.
    """
    faiss = _faiss()
    n, width = vectors.shape
    lists = max(1, 2 ** round(np.log2(np.sqrt(n))))
    sample = np.unique(np.linspace(0, n - 1, min(n, _TRAINED * lists)).astype(np.int64))
    quantizer = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, width, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = 8
    index.cp.spherical = True
    index.train(unit_rows(vectors[sample]))
    for at in range(0, n, _BLOCK):
        index.add(unit_rows(vectors[at : at + _BLOCK]))
        progress(min(at + _BLOCK, n), n, "images")
    probed, recall = _tuned(index, vectors)
    return index, probed, recall


def _tuned(index: Any, vectors: np.ndarray) -> tuple[int, float]:
    probes = np.unique(np.linspace(0, len(vectors) - 1, PROBES).astype(np.int64))
    queries = unit_rows(vectors[probes])
    true = _true_nearest(vectors, queries)
    probed = min(8, index.nlist)
    while True:
        recall = _recall(index, vectors, queries, true, probed)
        if recall >= RECALL or probed == index.nlist:
            return probed, recall
        probed = min(2 * probed, index.nlist)


def _recall(
    index: Any, vectors: np.ndarray, queries: np.ndarray, true: np.ndarray, probed: int
) -> float:
    hits = 0
    for query, wanted in zip(queries, true, strict=True):
        positions = candidates(index, query, PROBED, probed, None)
        exact, _ = _ranked(vectors, positions, query, PROBED)
        hits += len(np.intersect1d(exact, wanted))
    return hits / true.size


def _true_nearest(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(Q, PROBED) int64 by one pass over all vectors."""
    best = np.full((len(queries), PROBED), -np.inf, np.float32)
    positions = np.zeros((len(queries), PROBED), np.int64)
    for at in range(0, len(vectors), _BLOCK):
        rows = unit_rows(vectors[at : at + _BLOCK])
        here = np.tile(np.arange(at, at + len(rows)), (len(queries), 1))
        both = np.hstack([best, queries @ rows.T])
        named = np.hstack([positions, here])
        order = np.argpartition(-both, PROBED - 1, axis=1)[:, :PROBED]
        best = np.take_along_axis(both, order, 1)
        positions = np.take_along_axis(named, order, 1)
    return positions


def candidates(
    index: Any, direction: np.ndarray, count: int, probed: int, mask: np.ndarray | None
) -> np.ndarray:
    """(C,) int64 positions whose codes come nearest, ascending.

    Parameters
    ----------
    index
        A trained faiss IVF index over N vectors.
    direction
        (D,) float32 of unit length.
    count
        Images wanted; 2 * count + 100 candidates are asked of the index.
    probed
        Lists that are searched, from 1; fewer are faster and miss more.
    mask
        (N,) bool, images that may be returned; None = all.
    """
    faiss = _faiss()
    wanted = min(index.ntotal, 2 * count + 100)
    options: dict[str, Any] = dict(nprobe=probed)
    if mask is not None:
        options["sel"] = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
    parameters = faiss.SearchParametersIVF(**options)
    _, rows = index.search(direction[None], wanted, params=parameters)
    return np.sort(rows[0][rows[0] >= 0])


def _ranked(
    vectors: np.ndarray, positions: np.ndarray, direction: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    order, cosine = best(cosines(vectors[positions], direction), count)
    return positions[order], cosine


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """(B, D) float32 of unit length; a zero row stays zero."""
    rows = np.ascontiguousarray(rows, np.float32)
    return rows * _inverse_norms(rows)[:, None]


def _inverse_norms(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return 1 / np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows)), np.float32(1e-30))


def _faiss() -> Any:
    import faiss

    return faiss
