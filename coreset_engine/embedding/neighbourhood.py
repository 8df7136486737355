"""Nearest neighbours of every image among all images.

Three ways to the candidates, one exact finish. Candidates come from a flat faiss index (exact; N <= exact_below), from
an inverted-file faiss index over a PCA projection (larger N on a CPU; its recall is measured and reported), or from
blocks of matrix products in torch (a GPU, or no faiss). Distances of the candidates are then recomputed in float32
from differences, so that duplicates lie at exactly 0, and ties are broken by index.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch

from coreset_engine.device import cpu_count, resolve_device
from coreset_engine.errors import BadInput
from coreset_engine.types import Neighbours, Progress, silent

METRICS = ("cosine", "l2")
_BLOCK_BYTES = 2**27
_REDUCED = 128
_PROBES = 256  # queries on which an approximate search is compared with the exact one

# search(start, stop) -> (stop - start, m) int64 candidates, -1 where there is none
Search = Callable[[int, int], np.ndarray]


def neighbours(vectors: np.ndarray, k: int = 50, metric: str = "cosine", *, device: str = "auto",
               exact_below: int = 200_000, progress: Progress = silent) -> Neighbours:
    """The k nearest other rows of each row; k is lowered to N - 1 where there are fewer.

    vectors: (N, D) float16/32/64, finite. metric: "cosine" (1 - cosine, in [0, 2]; a zero vector is at 1 from all) or
    "l2" (Euclidean). A row is never its own neighbour, however many duplicates it has. progress: unit "images".
    """
    vectors = _checked(vectors, k, metric)
    count, wanted = len(vectors), min(int(k), len(vectors) - 1)
    if wanted == 0:
        return Neighbours(np.zeros((count, 0), np.int64), np.zeros((count, 0), np.float32), metric, {"recall": 1.0})
    device = resolve_device(device)
    rows = _rows(vectors, metric, whole=count <= exact_below)
    search, info = _way(rows, wanted, metric, device, count <= exact_below)
    step = _step(count, wanted, rows.shape[1])
    indices, distances = np.empty((count, wanted), np.int64), np.empty((count, wanted), np.float32)
    for start in range(0, count, step):
        stop = min(start + step, count)
        indices[start:stop], distances[start:stop] = _finish(rows, start, search(start, stop), wanted, metric)
        progress(stop, count, "images")
    if not info["exact"]:
        info["recall"] = _recall(rows, indices, metric)
    return Neighbours(indices, distances, metric, info)


def _checked(vectors: np.ndarray, k: int, metric: str) -> np.ndarray:
    if metric not in METRICS:
        raise BadInput(f"metric={metric!r} is not offered; choose one of {', '.join(METRICS)}.")
    if int(k) != k or k < 1:
        raise BadInput(f"k={k} neighbours: must be a whole number of at least 1.")
    if vectors.ndim != 2 or len(vectors) == 0 or vectors.dtype.kind != "f":
        raise BadInput(f"vectors of shape {vectors.shape} and type {vectors.dtype}: must be a non-empty float matrix "
                       "(images, dimensions).")
    return vectors


def _rows(vectors: np.ndarray, metric: str, whole: bool) -> np.ndarray:
    """(N, D) of unit length for cosine. Small sets as float32; large ones keep float16 if they came so."""
    kind = np.float32 if whole or vectors.dtype != np.float16 else np.float16
    if metric == "l2" and vectors.dtype == kind:
        rows = vectors
    else:
        rows = np.empty(vectors.shape, kind)
    for start in range(0, len(vectors), 8192):
        block = np.asarray(vectors[start:start + 8192], np.float32)
        if not np.isfinite(block).all():
            bad = start + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise BadInput(f"vectors have NaN or infinity in row {bad}; embed again or remove that row.")
        if metric == "cosine":
            scale = np.abs(block).max(axis=1, keepdims=True)  # first, so that no square over- or underflows
            block = np.divide(block, scale, out=np.zeros_like(block), where=scale > 0)
            length = np.linalg.norm(block, axis=1, keepdims=True)
            block = np.divide(block, length, out=np.zeros_like(block), where=length > 0)
        if rows is not vectors:
            rows[start:start + 8192] = block
    return rows


def _way(rows: np.ndarray, wanted: int, metric: str, device: str, exact: bool) -> tuple[Search, dict]:
    if device.startswith("cuda"):
        return _by_products(rows, wanted + 1 + min(wanted, 32), metric, device), _info("torch products", True)
    if find_spec("faiss") is None:
        return _by_products(rows, wanted + 1, metric, "cpu"), _info("torch products", True)
    if exact:
        return _by_flat_index(rows, wanted + 1, metric), _info("faiss flat", True)
    return _by_inverted_file(rows, 2 * wanted + 1, metric), _info("faiss inverted file", False)


def _info(method: str, exact: bool) -> dict:
    return {"method": method, "exact": exact, "recall": 1.0 if exact else float("nan")}


def _step(count: int, wanted: int, dim: int) -> int:
    """Rows per block: the gathered candidates (step, m, D) in float32 stay near _BLOCK_BYTES; at least 64."""
    return int(np.clip(_BLOCK_BYTES // (4 * dim * (wanted + 1)), 64, 4096))


def _by_flat_index(rows: np.ndarray, wanted: int, metric: str) -> Search:
    import faiss

    faiss.omp_set_num_threads(cpu_count())
    # For unit vectors the order by inner product is the order by cosine.
    index = faiss.IndexFlatIP(rows.shape[1]) if metric == "cosine" else faiss.IndexFlatL2(rows.shape[1])
    index.add(np.ascontiguousarray(rows))
    return _buffered(lambda start, stop: index.search(np.ascontiguousarray(rows[start:stop]), wanted)[1], len(rows))


def _buffered(search: Search, count: int, step: int = 4096) -> Search:
    """Ask in large blocks (faiss multiplies whole blocks, small ones are slow), hand out in small ones."""
    held: dict[str, object] = {"start": 0, "found": None}

    def ask(start: int, stop: int) -> np.ndarray:
        found = held["found"]
        if found is None or not held["start"] <= start < stop <= held["start"] + len(found):
            held["start"], held["found"] = start, search(start, min(start + max(step, stop - start), count))
        offset = start - held["start"]
        return held["found"][offset:offset + stop - start]
    return ask


def _by_inverted_file(rows: np.ndarray, wanted: int, metric: str) -> Search:
    """Candidates by faiss IVF in the leading principal directions: memory N x 128 floats, seconds per 10k queries."""
    import faiss

    faiss.omp_set_num_threads(cpu_count())
    reduced = _reduced(rows)
    lists = int(4 * np.sqrt(len(rows)))
    quantizer = faiss.IndexFlatL2(reduced.shape[1])
    index = faiss.IndexIVFFlat(quantizer, reduced.shape[1], lists)
    index.train(reduced[:: max(1, len(rows) // (64 * lists))])
    index.add(reduced)
    index.nprobe = max(16, lists // 64)
    return _buffered(lambda start, stop: index.search(reduced[start:stop], wanted)[1], len(rows))


def _reduced(rows: np.ndarray) -> np.ndarray:
    """(N, min(D, 128)) float32: PCA fitted on at most 65,536 evenly spaced rows."""
    sample = np.asarray(rows[:: max(1, len(rows) // 65536)], np.float32)
    centre = sample.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(sample - centre, rowvar=False).reshape(rows.shape[1], -1))
    basis = np.ascontiguousarray(directions[:, ::-1][:, :_REDUCED], dtype=np.float32)
    reduced = np.empty((len(rows), basis.shape[1]), np.float32)
    for start in range(0, len(rows), 8192):
        reduced[start:start + 8192] = (np.asarray(rows[start:start + 8192], np.float32) - centre) @ basis
    return reduced


def _by_products(rows: np.ndarray, wanted: int, metric: str, device: str) -> Search:
    """Exact search as blocks of matrix products. On a GPU in float16 with some extra candidates, all data there."""
    kind = torch.float16 if device.startswith("cuda") and metric == "cosine" else torch.float32
    data = torch.from_numpy(np.ascontiguousarray(rows)).to(device=device, dtype=kind)
    norms = data.float().square().sum(1) if metric == "l2" else None
    wanted = min(wanted, len(rows))

    def search(start: int, stop: int) -> np.ndarray:
        closeness = (data[start:stop] @ data.T).float()
        if norms is not None:
            closeness = 2 * closeness - norms
        return closeness.topk(wanted, dim=1, sorted=False).indices.cpu().numpy()
    return search


def _finish(rows: np.ndarray, start: int, candidates: np.ndarray, wanted: int, metric: str
            ) -> tuple[np.ndarray, np.ndarray]:
    """Exact float32 distances to the candidates, self removed, sorted by (distance, index), the first `wanted`."""
    here = np.arange(start, start + len(candidates))
    candidates = np.sort(candidates, axis=1)  # by index, so that a stable sort by distance breaks ties by index
    gathered = torch.from_numpy(np.asarray(rows[candidates.ravel()], np.float32)).view(*candidates.shape, -1)
    own = torch.from_numpy(np.asarray(rows[start:start + len(candidates)], np.float32)).unsqueeze(1)
    distances = (gathered.sub_(own)).square_().sum(-1).numpy()
    distances[(candidates == here[:, None]) | (candidates < 0)] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :wanted]
    indices, distances = np.take_along_axis(candidates, order, 1), np.take_along_axis(distances, order, 1)
    if not np.isfinite(distances).all():
        indices, distances = _completed(rows, start, indices, distances, wanted)
    # For unit vectors |a - b|^2 = 2 (1 - cosine), free of the cancellation in 1 - a.b
    if metric == "l2":
        return indices, np.sqrt(distances)
    zero = ~np.asarray(rows[start:start + len(candidates)]).any(axis=1)
    return indices, _cosine_distance(rows, indices, distances, zero)


def _cosine_distance(rows: np.ndarray, indices: np.ndarray, squared: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Half the squared distance of unit vectors; 1 wherever one of the two is the zero vector."""
    distances = squared / 2
    suspicious = np.flatnonzero(zero | (np.abs(squared - 1) < 1e-4).any(axis=1))  # |unit - zero|^2 = 1
    for row in suspicious:
        others = ~np.asarray(rows[indices[row]]).any(axis=1)
        distances[row, others | zero[row]] = 1.0
    return distances


def _completed(rows: np.ndarray, start: int, indices: np.ndarray, distances: np.ndarray, wanted: int
               ) -> tuple[np.ndarray, np.ndarray]:
    """Rows for which an approximate index found too few: searched exactly, one by one (rare)."""
    for row in np.flatnonzero(~np.isfinite(distances).all(axis=1)):
        own = np.asarray(rows[start + row], np.float32)
        squared = np.concatenate([np.square(np.asarray(rows[at:at + 8192], np.float32) - own).sum(axis=1)
                                  for at in range(0, len(rows), 8192)])
        squared[start + row] = np.inf
        indices[row] = np.argsort(squared, kind="stable")[:wanted]
        distances[row] = squared[indices[row]]
    return indices, distances


def _recall(rows: np.ndarray, indices: np.ndarray, metric: str) -> float:
    """Share of the true neighbours found, over at most _PROBES evenly spaced rows."""
    probes = np.unique(np.linspace(0, len(rows) - 1, _PROBES).astype(np.int64))
    wanted = indices.shape[1]
    own = np.asarray(rows[probes], np.float32)
    squared = np.empty((len(probes), len(rows)), np.float32)
    for at in range(0, len(rows), 8192):
        block = np.asarray(rows[at:at + 8192], np.float32)
        squared[:, at:at + 8192] = np.square(block).sum(axis=1) - 2 * own @ block.T
    squared[np.arange(len(probes)), probes] = np.inf
    true = np.argpartition(squared, wanted - 1, axis=1)[:, :wanted]
    return float(np.mean([len(np.intersect1d(a, b)) / wanted for a, b in zip(true, indices[probes], strict=True)]))
