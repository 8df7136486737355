"""Exact counts and histograms of all images: DuckDB over a Parquet file sorted by rank.

DuckDB and not Polars: its queries respect a memory limit and skip row groups.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import digest
from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits
from coreset_engine.core.registry import METHODS, load
from coreset_engine.pipeline.run import Run
from coreset_engine.selection.budget import (
    cut_count,
    kept_count,
    pinned_window,
    rank_of_free,
    settled_beta,
)
from coreset_engine.selection.select import check_pins

MEMORY = "1GB"
# Methods that keep a window of one order of all images, which is ranked in a moment.
RANKED = tuple(name for name, row in METHODS.items() if row.live and row.nested)


def totals(run: Run, method: str, params: dict[str, Any] | None = None) -> Totals:
    """The table of all images in the method's order, written once per set of artefacts and knobs.

    Raises BadInput where `why_not` has a reason.
    """
    reason = why_not(run, method, params)
    if reason:
        raise BadInput(reason)
    path = path_of(run, method, params)
    config = _config(method, params)
    if not path.is_file():
        # Asked for all images, ELFS gives the order of beta = 0: hardest first.
        order = load(METHODS[method].function)(run, len(run.dataset), config, run.seed).order
        write_totals(path, _columns(run, method, config), order)
    return Totals(path, method, ids=run.dataset.ids)


def why_not(run: Run, method: str, params: dict[str, Any] | None = None) -> str | None:
    """Why all images cannot be counted for this method and knobs, in a sentence, or None.

    Computes nothing.
    """
    if method not in RANKED:
        return (
            f"{method!r} selects anew for each pruning rate, so totals over all images are known "
            f"only after it has run; totals are available for {', '.join(RANKED)}."
        )
    config = _config(method, params)
    for stage, knobs in _ranked_by(run, method, config):
        if not finished(run, stage, **knobs):
            named = [name for name in ("labels", "n_neighbours") if name in knobs]
            settings = ", ".join(f"{name} = {knobs[name]}" for name in named)
            where = f" ({settings})" if settings else ""
            return (
                f"{method!r} has no finished {stage.replace('_', '-')}{where} for these settings; "
                "prepare them first."
            )
    if getattr(config, "labels", "") == "true" and run.dataset.labels is None:
        return f"{method!r} needs true labels and this source has none; use labels=pseudo."
    return None


def finished(run: Run, stage: str, **knobs: Any) -> bool:
    """Whether the stage is computed with these knobs. Computes nothing."""
    key = run.stored_as(stage, **knobs)
    return run.ready(stage) if key == run.stored_as(stage) else run.store.has(stage, key)


def path_of(run: Run, method: str, params: dict[str, Any] | None = None) -> Path:
    """Path of the table once it is written; a hash of keys, which costs nothing."""
    config = _config(method, params)
    knobs = {name: value for name, value in dataclasses.asdict(config).items() if name != "beta"}
    made_of = [run.key_of(stage, **own) for stage, own in _ranked_by(run, method, config)]
    truth = run.key_of("dynamics", labels="true") if knobs.get("labels") == "true" else None
    counted = run.key_of("pseudo_labels") if run.ready("pseudo_labels") else None
    key = digest(
        [
            method,
            knobs,
            run.seed,
            run.dataset.fingerprint,
            made_of,
            truth,
            counted,
            _score(run, method, config),
            3,  # format of the table
        ]
    )
    return run.store.home / "totals" / f"{key}.parquet"


def _config(method: str, params: dict[str, Any] | None) -> Any:
    return make(
        load(METHODS[method].config),
        {name: value for name, value in (params or {}).items() if name != "beta"},
    )


def _ranked_by(run: Run, method: str, config: Any) -> list[tuple[str, dict[str, Any]]]:
    """The stages, with their knobs, that the method's order rests on."""
    needs = METHODS[method].needs
    if "coverage" in needs:
        alpha = config.n_neighbours or "auto"
        return [("coverage", dict(n_samples=run.n_samples, seed=run.seed, n_neighbours=alpha))]
    if "dynamics" in needs:
        return [("dynamics", dict(labels=config.labels))]
    return [("pseudo_labels", {})] if needs and config.labels == "pseudo" else []


def _score(run: Run, method: str, config: Any) -> str | None:
    """The score whose histogram belongs to the method: its own, else a computed one."""
    own = getattr(config, "score", METHODS[method].score)
    if own:
        return own
    if run.ready("dynamics"):
        return "aum"
    return "score" if run.ready("coverage") else None


def _columns(run: Run, method: str, config: Any) -> dict[str, np.ndarray]:
    """name -> (N,): labels, and last the method's score."""
    columns: dict[str, np.ndarray] = {}
    if run.dataset.labels is not None:
        columns["true_label"] = run.dataset.labels
    if run.ready("pseudo_labels"):
        columns["pseudo_label"] = run.pseudo_labels.labels
    score = _score(run, method, config)
    if score == "score":
        knobs = dict(n_neighbours=config.n_neighbours or "auto") if METHODS[method].alpha else {}
        columns[score] = run.coverage_at(**knobs).score
    elif score:
        knobs = dict(labels=config.labels) if METHODS[method].score else {}
        columns[score] = getattr(run.dynamics_at(**knobs), score)
    return columns


def write_totals(path: Path, columns: dict[str, np.ndarray], order: np.ndarray) -> None:
    """Write one Parquet file, complete or not at all.

    `columns` (each (N,)) are sorted by `order`; `rank` is the position in it and `row` the position
    in the source.

    Sorted by rank, so that a window of ranks is a few whole row groups and two in part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"f": pa.float32(), "i": pa.int32(), "u": pa.uint32()}
    schema = pa.schema(
        [
            ("rank", pa.uint32()),
            ("row", pa.uint32()),
            *((name, kinds[values.dtype.kind]) for name, values in columns.items()),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(3).hex()}.tmp")
    try:
        with pq.ParquetWriter(temporary, schema, compression="snappy", use_dictionary=False) as out:
            for start in range(0, len(order), limits().count_rows):
                rows = order[start : start + limits().count_rows]
                part = dict(rank=np.arange(start, start + len(rows)), row=rows) | {
                    name: np.asarray(values[rows]) for name, values in columns.items()
                }
                out.write_table(
                    pa.table(
                        {
                            name: pa.array(part[name]).cast(schema.field(name).type, safe=False)
                            for name in schema.names
                        }
                    ),
                    row_group_size=limits().count_rows,
                )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Window(NamedTuple):
    """Ranks [lo, hi) are kept, without those in `out` (inside it) and with those in `forced`."""

    lo: int
    hi: int
    out: tuple[int, ...] = ()
    forced: tuple[int, ...] = ()

    @property
    def kept(self) -> int:
        return self.hi - self.lo - len(self.out) + len(self.forced)


class Totals:
    """Counts and histograms of all images and of the kept ones, from the file at `path`.

    Memory is bounded by MEMORY.

    Whole row groups are counted once and remembered; a window then costs a look at the two groups
    it cuts.
    """

    def __init__(self, path: Path, method: str, ids: Any = None) -> None:
        self.path = path
        self.method = method
        self.ids = ids
        self.n = int(_ask(str(path), "SELECT count(*) FROM {table}")[0][0])
        self.columns = [row[0] for row in _ask(str(path), "DESCRIBE SELECT * FROM {table}")]
        self.score = (
            self.columns[-1]
            if self.columns[-1] not in ("row", "true_label", "pseudo_label")
            else None
        )

    def window(
        self,
        prune_rate: float,
        beta: float | None = None,
        must_keep: Iterable[int] = (),
        never: Iterable[int] = (),
    ) -> Window:
        """The ranks that the method keeps of all images, as `select` would.

        Pinned rows enter or leave, and the window grows by what it lost.

        Parameters
        ----------
        prune_rate
            Share removed, in [0, 1).
        beta
            Share of the whole set that is cut first as hardest, in [0, 1); None = the default for
            the rate. Without effect for methods that do not prune at both ends.
        must_keep, never
            Rows of the source.

        Raises
        ------
        BadInput
            Where `select` does, or where the method's order depends on pinned images.
        """
        forced, banned = (np.array(list(rows), np.int64) for rows in (must_keep, never))
        kept = kept_count(self.n, prune_rate)
        check_pins(self.ids if self.ids is not None else np.arange(self.n), forced, banned, kept)
        row = METHODS[self.method]
        if row.counts_preselected and len(forced):
            raise BadInput(
                f"{self.method!r} counts pinned images towards each class before it draws, so "
                "totals with pinned images are known only after it has run; unpin them, or export "
                "to see the result."
            )
        cut = cut_count(self.n, settled_beta(beta, kept, self.n)[0]) if row.double_end else 0
        entering = _ranks(str(self.path), tuple(forced.tolist()))
        pinned = sorted(entering + _ranks(str(self.path), tuple(banned.tolist())))
        first, last = pinned_window(self.n, kept, cut, len(entering), pinned)
        if first == last:
            return Window(cut, cut, (), tuple(sorted(entering)))
        lo = rank_of_free(pinned, first)
        hi = rank_of_free(pinned, last - 1) + 1
        inside = tuple(rank for rank in pinned if lo <= rank < hi)
        return Window(lo, hi, inside, tuple(sorted(entering)))

    def counts(self, by: str, window: Window) -> dict[int, tuple[int, int]]:
        """value of `by` -> (images, kept images)."""
        return self._counted(f"{self._known(by)}", f"{self._known(by)} IS NOT NULL", window)

    def histogram(
        self, column: str, window: Window, bins: int = 60
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(edges (bins + 1,), images (bins,), kept images (bins,)).

        NaN is left out; infinity counts in the end bins.
        """
        name = self._known(column)
        low, high = _ends(str(self.path), name)
        width = (high - low) / bins or 1.0
        step = f"floor(({name}::DOUBLE - {low!r}::DOUBLE) / {width!r}::DOUBLE)"
        bin_of_row = f"least(greatest({step}, 0), {bins - 1})::INTEGER"
        counts = np.zeros((2, bins), np.int64)
        for at, (images, kept) in self._counted(bin_of_row, f"NOT isnan({name})", window).items():
            counts[:, at] = images, kept
        return low + width * np.arange(bins + 1), counts[0], counts[1]

    def _known(self, name: str) -> str:
        if name not in self.columns:
            raise BadInput(
                f"the table of totals has no column {name!r}; it has {', '.join(self.columns)}."
            )
        return f'"{name}"'

    def _counted(self, value: str, where: str, window: Window) -> dict[int, tuple[int, int]]:
        """value -> (all, those with a rank in the window).

        Whole row groups are counted from memory, the two cut ones by a query.
        """
        values, groups = _cube(str(self.path), value, where)
        lo = window.lo
        hi = window.hi
        first = -(-lo // limits().count_rows)
        last = hi // limits().count_rows
        kept = groups[first:last].sum(axis=0) if first < last else np.zeros(len(values), np.int64)
        cuts = (
            [(lo, min(hi, first * limits().count_rows)), (max(lo, last * limits().count_rows), hi)]
            if first <= last
            else [(lo, hi)]
        )
        for low, high in cuts:
            if low < high:
                for one, count in _ask(
                    str(self.path),
                    f"SELECT {value}, count(*) FROM {{table}} WHERE {where} AND "
                    f"rank >= {low} AND rank < {high} GROUP BY 1",
                ):
                    kept[np.searchsorted(values, one)] += count
        for ranks, sign in ((window.out, -1), (window.forced, 1)):
            for one, count in _at(str(self.path), value, where, ranks) if ranks else ():
                kept[np.searchsorted(values, one)] += sign * count
        return {
            int(one): (int(images), int(inside))
            for one, images, inside in zip(values, groups.sum(axis=0), kept, strict=True)
        }


@lru_cache(maxsize=256)
def _cube(path: str, value: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(values (V,), images (G, V) with each value in each row group), in one pass, then cached."""
    kept = Path(path).with_suffix(f".{digest([value, where])}.npz")
    if kept.is_file():
        with np.load(kept) as cube:
            return cube["values"], cube["groups"]
    rows = np.array(
        _ask(
            path,
            f"SELECT rank // {limits().count_rows}, {value}, count(*) FROM {{table}} WHERE {where} "
            "GROUP BY 1, 2",
        ),
        np.int64,
    ).reshape(-1, 3)
    values = np.unique(rows[:, 1])
    cube = np.zeros((int(rows[:, 0].max(initial=-1)) + 1, len(values)), np.int64)
    cube[rows[:, 0], np.searchsorted(values, rows[:, 1])] = rows[:, 2]
    out = io.BytesIO()
    np.savez(out, values=values, groups=cube)
    try:
        filesystem.write_atomic(kept, out.getvalue())
    except OSError:
        pass  # a read-only workspace: counted again by the next process
    return values, cube


@lru_cache(maxsize=64)
def _ranks(path: str, positions: tuple[int, ...]) -> list[int]:
    """The ranks of these rows of the source."""
    ranks = (
        _ask(path, f"SELECT rank FROM {{table}} WHERE row IN {_listed(positions)}")
        if positions
        else []
    )
    return [row[0] for row in ranks]


@lru_cache(maxsize=64)
def _at(path: str, value: str, where: str, ranks: tuple[int, ...]) -> list[tuple[int, int]]:
    """(value, how many) of the rows with these ranks."""
    return _ask(
        path,
        f"SELECT {value}, count(*) FROM {{table}} WHERE {where} AND rank IN {_listed(ranks)} GROUP "
        "BY 1",
    )


def _listed(numbers: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, numbers))})"


@lru_cache(maxsize=256)
def _ends(path: str, column: str) -> tuple[float, float]:
    """The least and largest finite value."""
    low, high = _ask(
        path, f"SELECT min({column}), max({column}) FROM {{table}} WHERE isfinite({column})"
    )[0]
    return (0.0, 1.0) if low is None else (float(low), float(high))


def _ask(path: str, sql: str) -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect(config={"memory_limit": MEMORY, "preserve_insertion_order": False}) as base:
        quoted = path.replace("'", "''")
        return base.execute(sql.format(table=f"read_parquet('{quoted}')")).fetchall()
