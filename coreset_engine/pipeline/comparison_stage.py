"""The comparison of two runs, kept in the store, with one map of both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.embedding.projection import N_NEIGHBOURS, project
from coreset_engine.findings.comparison import Regions, TwoSample
from coreset_engine.pipeline.compare_sources import (
    KINDS,
    Leakage,
    SourceComparison,
    compare_sources,
    warnings_of,
)
from coreset_engine.pipeline.run import Run

STAGE = "comparison"
VERSION = 2  # raised when a number here is computed in another way
MOST = 20_000  # images of each set that the map shows


@dataclass(frozen=True, eq=False)
class MapOfBoth:
    """One projection of two sets.

    rows_a: (R,), rows_b: (S,) int64, positions in A and B, ascending; a random sample where a set
    has more than MOST images. points: (R + S, 2) float32, first those of A.
    """

    rows_a: np.ndarray
    rows_b: np.ndarray
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class StoredComparison:
    """What two sets share and where they differ, and both on one map."""

    comparison: SourceComparison
    map: MapOfBoth


def key_of(run_a: Run, run_b: Run) -> str:
    """The content address of the comparison."""
    sides = [[run.dataset.fingerprint, run.key_of("embeddings")] for run in (run_a, run_b)]
    return digest([STAGE, VERSION, sides, run_a.seed])


def ready(run_a: Run, run_b: Run) -> bool:
    """Whether the comparison is in the store. Never computes."""
    return run_a.store.has(STAGE, key_of(run_a, run_b))


def comparison(run_a: Run, run_b: Run) -> StoredComparison:
    """`compare_sources` and the map of both, computed once.

    Parameters
    ----------
    run_a, run_b
        Runs of one encoder and one workspace, for example of train and test.

    Raises
    ------
    BadInput
        When the runs have different encoders, or vectors of different width.
    """
    arrays, info = run_a.store.get(
        STAGE, key_of(run_a, run_b), lambda: _made(run_a, run_b), about=run_a.about()
    )
    return _read(run_a, run_b, arrays, info)


def _made(run_a: Run, run_b: Run) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    compared = compare_sources(run_a, run_b)
    drawn = _map_of_both(run_a, run_b)
    arrays = dict(rows_a=drawn.rows_a, rows_b=drawn.rows_b, points=drawn.points)
    for side, leak in (("b", compared.leakage), ("a", compared.leakage_of_a)):
        codes = np.array([KINDS.index(kind) for kind in leak.kinds], np.int64)
        arrays[f"leak_{side}"] = np.stack([leak.positions_b, leak.positions_a, codes])
        arrays[f"distances_{side}"] = leak.distances
    if compared.regions is not None:
        arrays["label_a"] = compared.regions.label_a
        arrays["label_b"] = compared.regions.label_b
        arrays["p_values"] = compared.regions.p_values
    test = None if compared.test is None else asdict(compared.test)
    return arrays, dict(threshold=compared.leakage.threshold, test=test, version=VERSION)


def _map_of_both(run_a: Run, run_b: Run) -> MapOfBoth:
    from coreset_engine.embedding.neighbours.search import neighbours  # loads torch

    rows_a, rows_b = (_drawn(len(run.dataset), run_a.seed) for run in (run_a, run_b))
    both = np.concatenate(
        [np.asarray(run_a.vectors[rows_a]), np.asarray(run_b.vectors[rows_b], np.float32)]
    )
    graph = neighbours(both, N_NEIGHBOURS, progress=run_a.tick(STAGE))
    points = project(both, graph, seed=run_a.seed, progress=run_a.tick(STAGE))
    return MapOfBoth(rows_a, rows_b, points)


def _drawn(count: int, seed: int) -> np.ndarray:
    if count <= MOST:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).permutation(count)[:MOST])


def _read(
    run_a: Run, run_b: Run, arrays: dict[str, np.ndarray], info: dict[str, Any]
) -> StoredComparison:
    sizes = (len(run_b.dataset), len(run_a.dataset))
    leaks = [_leak(arrays, side, info["threshold"], n) for side, n in zip("ba", sizes, strict=True)]
    shared_regions = _regions(arrays)
    test = None if info["test"] is None else TwoSample(**info["test"])
    compared = SourceComparison(
        run_a.dataset.spec,
        run_b.dataset.spec,
        run_a.dataset.ids,
        run_b.dataset.ids,
        leaks[0],
        leaks[1],
        shared_regions,
        test,
        warnings_of(run_a, run_b, shared_regions),
    )
    drawn = MapOfBoth(arrays["rows_a"], arrays["rows_b"], arrays["points"])
    return StoredComparison(compared, drawn)


def _leak(arrays: dict[str, np.ndarray], side: str, threshold: float, n: int) -> Leakage:
    here, there, codes = np.asarray(arrays[f"leak_{side}"])
    kinds = np.array(KINDS)[codes]
    return Leakage(here, there, kinds, np.asarray(arrays[f"distances_{side}"]), threshold, n)


def _regions(arrays: dict[str, np.ndarray]) -> Regions | None:
    if "label_a" not in arrays:
        return None
    label_a = np.asarray(arrays["label_a"])
    label_b = np.asarray(arrays["label_b"])
    p_values = np.asarray(arrays["p_values"])
    share_a, share_b = (
        np.bincount(labels, minlength=len(p_values)) / len(labels) for labels in (label_a, label_b)
    )
    return Regions(label_a, label_b, share_a, share_b, p_values)
