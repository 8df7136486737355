"""Candidates for nearest neighbours: four searches over (N, D) rows, chosen by size and machine.

- `by_projection`  flat faiss index over PCA coordinates plus the length of what PCA leaves out.
  Distances there never exceed the true ones (|a-b|^2 = |Pa-Pb|^2 + |Ra-Rb|^2 >= |Pa-Pb|^2 +
  (|Ra|-|Rb|)^2), so a row whose wanted-th true distance stays below the bound is *proven* complete;
  the caller searches the few others in full.
- `by_flat_index`  flat faiss index over everything: exact, slower; for few dimensions or where PCA
does not help.
- `by_inverted_file`  faiss IVF over PCA coordinates: approximate, for sets too large for a flat
search on a CPU.
- `by_products`  blocks of matrix products in torch: exact; on a GPU, or where faiss is absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from coreset_engine.core.device import cpu_count

# search(start, stop) -> candidates (B, m) int64, -1 = none; bound (B,) float32: no other row is
# nearer, squared
Search = Callable[[int, int], tuple[np.ndarray, np.ndarray]]

# share of variance from which the projection's bound is tight enough to prove nearly every row
KEPT = 0.993
_PROBED_LISTS = 64
_PRODUCTS = 2**28  # similarities held at once by the search in torch: 1 GB in float32


def choose_search(
    rows: np.ndarray, wanted: int, metric: str, device: str, exact: bool
) -> tuple[Search, dict]:
    """The search for `wanted` neighbours, and its description for `Neighbours.info`.

    Parameters
    ----------
    rows : (N, D) float32
    wanted : int
        Neighbours a row.
    metric : str
        "cosine" or "l2".
    device : str
        "cpu" or "cuda".
    exact : bool
        Whether approximate searches are out.
    """
    if device.startswith("cuda"):
        import torch

        try:
            return by_products(rows, wanted + 1 + min(wanted, 32), metric, device), _info(
                "torch products on GPU", True
            )
        except torch.OutOfMemoryError:  # the rows do not fit there: search on the CPU
            torch.cuda.empty_cache()
    if find_spec("faiss") is None:
        return by_products(rows, wanted + 1, metric, "cpu"), _info("torch products", True)
    if not exact:
        return by_inverted_file(rows, 2 * wanted + 1), _info("faiss inverted file", False)
    if len(rows) > 4096 and rows.shape[1] > 256:
        coordinates, kept = project_rows(rows, share=KEPT)
        if coordinates.shape[1] <= rows.shape[1] // 2 and kept >= KEPT:
            return (
                by_projection(coordinates, wanted + 1 + max(16, wanted // 2)),
                _info(
                    f"faiss flat over {coordinates.shape[1] - 1} principal directions, proven or "
                    "repeated",
                    True,
                ),
            )
    return by_flat_index(rows, wanted + 1), _info("faiss flat", True)


def _info(method: str, exact: bool) -> dict:
    return {"method": method, "exact": exact, "recall": 1.0 if exact else None}


def project_rows(rows: np.ndarray, share: float = 1.0, most: int = 0) -> tuple[np.ndarray, float]:
    """(N, d + 1) float32: d leading principal coordinates and the length of the rest.

    With the share of variance kept.

    d: the least multiple of 32 that keeps `share` of the variance, at most `most` if given. PCA is
    fitted on at most 65,536 evenly spaced rows; the bound in the module's docstring holds whatever
    the fit.
    """
    sample = np.asarray(rows[:: max(1, len(rows) // 65536)], np.float32)
    centre = sample.mean(axis=0)
    variances, directions = np.linalg.eigh(
        np.cov(sample - centre, rowvar=False).reshape(rows.shape[1], -1)
    )
    kept = np.cumsum(variances[::-1]) / max(float(variances.sum()), 1e-30)
    dim = min(
        -(-(int(np.searchsorted(kept, share)) + 1) // 32) * 32, most or rows.shape[1], rows.shape[1]
    )
    basis = np.ascontiguousarray(directions[:, ::-1][:, :dim], dtype=np.float32)
    coordinates = np.empty((len(rows), dim + 1), np.float32)
    for start in range(0, len(rows), 8192):
        block = np.asarray(rows[start : start + 8192], np.float32) - centre
        projected = block @ basis
        coordinates[start : start + len(block), :dim] = projected
        coordinates[start : start + len(block), dim] = np.sqrt(
            np.maximum((block**2).sum(1) - (projected**2).sum(1), 0)
        )
    return coordinates, float(kept[dim - 1])


def by_projection(coordinates: np.ndarray, wanted: int) -> Search:
    """Flat search in the projection; the bound is the distance there of the last candidate."""
    index = _faiss().IndexFlatL2(coordinates.shape[1])
    index.add(coordinates)
    wanted = min(wanted, len(coordinates))

    def query(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        distances, indices = index.search(coordinates[start:stop], wanted)
        return indices, distances[:, -1] * (1 - 1e-3) - 1e-5  # slack for rounding in float32

    return _buffered(query, len(coordinates))


def by_flat_index(rows: np.ndarray, wanted: int) -> Search:
    """Exact search by faiss.

    For unit rows the order by Euclidean distance is the order by cosine.
    """
    index = _faiss().IndexFlatL2(rows.shape[1])
    index.add(np.ascontiguousarray(rows, np.float32))

    def query(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        indices = index.search(np.ascontiguousarray(rows[start:stop], np.float32), wanted)[1]
        return indices, np.full(stop - start, np.inf, np.float32)

    return _buffered(query, len(rows))


def by_inverted_file(rows: np.ndarray, wanted: int) -> Search:
    """Approximate search by faiss IVF in 128 principal directions: memory N x 129 floats."""
    faiss = _faiss()
    coordinates, _ = project_rows(rows, most=128)
    lists = int(4 * np.sqrt(len(rows)))
    quantizer = faiss.IndexFlatL2(coordinates.shape[1])
    index = faiss.IndexIVFFlat(quantizer, coordinates.shape[1], lists)
    index.train(coordinates[:: max(1, len(rows) // (64 * lists))])
    index.add(coordinates)
    index.nprobe = min(lists, _PROBED_LISTS)

    def query(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return index.search(coordinates[start:stop], wanted)[1], np.full(
            stop - start, np.inf, np.float32
        )

    query.keeps = quantizer  # type: ignore[attr-defined]  # faiss holds only a bare pointer to it
    return _buffered(query, len(rows))


def by_products(rows: np.ndarray, wanted: int, metric: str, device: str) -> Search:
    """Exact search as blocks of matrix products.

    On a GPU in float16 with extra candidates, all data there.

    Parameters
    ----------
    rows : (N, D) float32 or float16
        Unit rows where the metric is "cosine".
    wanted : int
        Candidates of each query, the image itself among them; at most N.
    metric : {"cosine", "l2"}
    device : str
        A torch device.

    Returns
    -------
    Search
        search(start, stop) -> candidates (B, m) int64, -1 = none, and bound (B,) float32.
    """
    import torch

    kind = torch.float16 if device.startswith("cuda") and metric == "cosine" else torch.float32
    data = torch.empty(rows.shape, dtype=kind, device=device)
    for start in range(0, len(rows), 65536):
        data[start : start + 65536] = torch.from_numpy(np.array(rows[start : start + 65536]))
    norms = data.square().sum(1) if metric == "l2" else None
    wanted = min(wanted, len(rows))
    step = max(1, _PRODUCTS // len(rows))

    def query(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        blocks = []
        for at in range(start, stop, step):
            closeness = data[at : min(at + step, stop)] @ data.T
            if norms is not None:
                closeness.mul_(2).sub_(norms)
            blocks.append(closeness.topk(wanted, dim=1, sorted=False).indices.cpu().numpy())
        return np.concatenate(blocks), np.full(stop - start, np.inf, np.float32)

    return query


def _faiss():
    import faiss

    faiss.omp_set_num_threads(_threads())
    return faiss


def _threads() -> int:
    """A Ray task has one core and says so."""
    return int(os.environ.get("OMP_NUM_THREADS") or cpu_count())


def _buffered(search: Search, count: int, step: int = 4096) -> Search:
    """Query in large blocks, return small ones: faiss is slow on small blocks."""
    held: dict[str, Any] = {"start": 0, "found": None}

    def query(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if held["found"] is None or not held["start"] <= start < stop <= held["start"] + len(
            held["found"][0]
        ):
            held["start"] = start
            held["found"] = search(start, min(start + max(step, stop - start), count))
        part = slice(start - held["start"], stop - held["start"])
        return held["found"][0][part], held["found"][1][part]

    return query
