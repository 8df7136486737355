"""Counts and histograms of all images, of the kept and of the rest, however many there are: DuckDB over one Parquet
file of scores, sorted by rank. (DuckDB and not Polars: its queries keep to a set memory limit, and skip row groups.)
"""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from coreset_engine.errors import BadInput
from coreset_engine.run import disk
from coreset_engine.run.pipeline import Run
from coreset_engine.run.store import digest
from coreset_engine.selection.arithmetic import cut_count, hardness_order, kept_count

GROUP = 1 << 18  # rows of a Parquet row group
MEMORY = "1GB"
RANKED = {"elfs": "dynamics", "blindcs": "coverage"}  # methods that keep a window of ranks, and the stage they rank by


def totals(run: Run, method: str) -> Totals:
    """The table of all images in the order of `method`'s ranks, written once per set of artefacts. Raises BadInput for
    a method that keeps no window of ranks."""
    if method not in RANKED:
        raise BadInput(f"{method!r} keeps no window of ranks; totals are known of {', '.join(RANKED)}.")
    stages = [stage for stage in ("pseudo_labels", "dynamics", "coverage") if run.ready(stage)]
    if RANKED[method] not in stages:
        raise BadInput(f"{method!r} has no finished {RANKED[method]} for these settings; prepare them first.")
    mark = digest([method, [run.key_of(stage) for stage in stages], 1])
    path = run.store.home / "totals" / f"{mark}.parquet"
    if not path.is_file():
        order = hardness_order(run.dynamics.aum) if method == "elfs" else \
            np.argsort(-np.asarray(run.coverage.score), kind="stable")
        write_totals(path, columns_of(run, stages), order)
    return Totals(path, method)


def columns_of(run: Run, stages: list[str]) -> dict[str, np.ndarray]:
    """name -> (N,) labels and scores as they lie in the store."""
    found: dict[str, np.ndarray] = {}
    if run.dataset.labels is not None:
        found["true_label"] = run.dataset.labels
    if "pseudo_labels" in stages:
        found |= dict(pseudo_label=run.pseudo_labels.labels, confidence=run.pseudo_labels.confidence)
    if "dynamics" in stages:
        found |= {name: getattr(run.dynamics, name) for name in ("aum", "forgetting", "el2n", "entropy")}
    if "coverage" in stages:
        found |= {name: getattr(run.coverage, name) for name in ("score", "coverage", "redundancy")}
    return found


def write_totals(path: Path, columns: dict[str, np.ndarray], order: np.ndarray) -> None:
    """One Parquet file: `columns` (each (N,)) in `order`, and `rank`, the place in it; whole or not at all.

    Sorted by rank, so that a window of ranks is a few whole row groups and two in part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"f": pa.float32(), "i": pa.int32(), "u": pa.uint32()}
    schema = pa.schema([("rank", pa.uint32()), *((name, kinds[values.dtype.kind]) for name, values in columns.items())])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(3).hex()}.tmp")
    try:
        with pq.ParquetWriter(temporary, schema, compression="snappy", use_dictionary=False) as out:
            for start in range(0, len(order), GROUP):
                rows = order[start:start + GROUP]
                part = dict(rank=np.arange(start, start + len(rows))) | {
                    name: np.asarray(values[rows]) for name, values in columns.items()}
                out.write_table(pa.table({name: pa.array(part[name]).cast(schema.field(name).type, safe=False)
                                          for name in schema.names}), row_group_size=GROUP)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Totals:
    """Counts and histograms of all images, and of the kept ones, in the file at `path`; memory bounded by MEMORY.

    Whole row groups are counted once and remembered; a window then costs a look at the two groups it cuts.
    """

    def __init__(self, path: Path, method: str) -> None:
        self.path, self.method = path, method
        self.n = int(_ask(str(path), "SELECT count(*) FROM {table}")[0][0])
        self.columns = [row[0] for row in _ask(str(path), "DESCRIBE SELECT * FROM {table}")]

    def window(self, prune_rate: float, beta: float = 0.0) -> tuple[int, int]:
        """[lo, hi): the ranks that the method keeps of all images (ELFS 3.4; BlindCS eq. 9)."""
        kept = kept_count(self.n, prune_rate)
        lo = min(cut_count(self.n, beta), self.n - kept) if self.method == "elfs" else 0
        return lo, lo + kept

    def counts(self, by: str, window: tuple[int, int]) -> dict[int, tuple[int, int]]:
        """value of `by` -> (images, kept images)."""
        return self._counted(f"{self._known(by)}", f"{self._known(by)} IS NOT NULL", window)

    def histogram(self, column: str, window: tuple[int, int], bins: int = 60) -> tuple[np.ndarray, np.ndarray,
                                                                                      np.ndarray]:
        """(edges (bins + 1,), images (bins,), kept images (bins,)); NaN is left out, infinity lies in the end bins."""
        name = self._known(column)
        low, high = _ends(str(self.path), name)
        width = (high - low) / bins or 1.0
        step = f"floor(({name}::DOUBLE - {low!r}::DOUBLE) / {width!r}::DOUBLE)"
        place = f"least(greatest({step}, 0), {bins - 1})::INTEGER"
        found = np.zeros((2, bins), np.int64)
        for at, (images, kept) in self._counted(place, f"NOT isnan({name})", window).items():
            found[:, at] = images, kept
        return low + width * np.arange(bins + 1), found[0], found[1]

    def _known(self, name: str) -> str:
        if name not in self.columns:
            raise BadInput(f"the table of totals has no column {name!r}; it has {', '.join(self.columns)}.")
        return f'"{name}"'

    def _counted(self, value: str, where: str, window: tuple[int, int]) -> dict[int, tuple[int, int]]:
        """value -> (all, those with a rank in the window): whole groups from memory, the two cut ones by a query."""
        values, groups = _cube(str(self.path), value, where)
        lo, hi = window
        first, last = -(-lo // GROUP), hi // GROUP
        kept = groups[first:last].sum(axis=0) if first < last else np.zeros(len(values), np.int64)
        cuts = [(lo, min(hi, first * GROUP)), (max(lo, last * GROUP), hi)] if first <= last else [(lo, hi)]
        for low, high in cuts:
            if low < high:
                for one, count in _ask(str(self.path), f"SELECT {value}, count(*) FROM {{table}} WHERE {where} AND "
                                       f"rank >= {low} AND rank < {high} GROUP BY 1"):
                    kept[np.searchsorted(values, one)] += count
        return {int(one): (int(images), int(inside)) for one, images, inside in
                zip(values, groups.sum(axis=0), kept, strict=True)}


@lru_cache(maxsize=256)
def _cube(path: str, value: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(values (V,), images (G, V) with each value in each row group), by one pass over the file, kept beside it."""
    kept = Path(path).with_suffix(f".{digest([value, where])}.npz")
    if kept.is_file():
        with np.load(kept) as found:
            return found["values"], found["groups"]
    rows = np.array(_ask(path, f"SELECT rank // {GROUP}, {value}, count(*) FROM {{table}} WHERE {where} GROUP BY 1, 2"),
                    np.int64).reshape(-1, 3)
    values = np.unique(rows[:, 1])
    found = np.zeros((int(rows[:, 0].max(initial=-1)) + 1, len(values)), np.int64)
    found[rows[:, 0], np.searchsorted(values, rows[:, 1])] = rows[:, 2]
    out = io.BytesIO()
    np.savez(out, values=values, groups=found)
    try:
        disk.write_whole(kept, out.getvalue())
    except OSError:
        pass  # a read-only workspace: counted again by the next process
    return values, found


@lru_cache(maxsize=256)
def _ends(path: str, column: str) -> tuple[float, float]:
    """The least and largest finite value."""
    low, high = _ask(path, f"SELECT min({column}), max({column}) FROM {{table}} WHERE isfinite({column})")[0]
    return (0.0, 1.0) if low is None else (float(low), float(high))


def _ask(path: str, sql: str) -> list[tuple]:
    import duckdb

    with duckdb.connect(config={"memory_limit": MEMORY, "preserve_insertion_order": False}) as base:
        place = path.replace("'", "''")
        return base.execute(sql.format(table=f"read_parquet('{place}')")).fetchall()
