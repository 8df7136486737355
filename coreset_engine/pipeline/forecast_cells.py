"""The cells of a forecast: rank a candidate, judge its coreset, store the result.

A cell is one candidate at one number of images. It is found again by what it is made from: the
surrogate tasks, the candidate, the number kept, and the keys of the stages that its method needs.
It holds the coreset too, so that labels that come in later can judge it without another ranking.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.config import make
from coreset_engine.core.forecast import Forecast, ForecastRow, candidate_name
from coreset_engine.core.registry import BASELINE, METHODS, MethodRow, load
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.forecasting import calibration
from coreset_engine.forecasting.config import ForecastConfig
from coreset_engine.forecasting.judge import Judge, accuracies, make_judge
from coreset_engine.forecasting.surrogates import (
    Features,
    SurrogateTasks,
    make_features,
    make_tasks,
)
from coreset_engine.pipeline.forecast_labels import LabelTask
from coreset_engine.selection.budget import kept_count, largest_beta
from coreset_engine.selection.keyed_random import random_order

VERSION = 3
_FIRST_RANDOM = 7919  # seeds of the random coresets that candidates are compared with


@dataclass(frozen=True)
class Candidate:
    """A method with parameters that differ from its defaults."""

    method: str
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def row(self) -> MethodRow:
        return METHODS[self.method]

    @property
    def name(self) -> str:
        """As `candidate_name` writes it."""
        return candidate_name(self.method, dict(self.params))


@dataclass(frozen=True)
class Cell:
    """What was judged of a candidate at one rate: accuracies by task, in [0, 1].

    by_labels: (accuracy, mean over classes) in the task of given labels; None without such.
    """

    candidate: Candidate
    prune_rate: float
    n_kept: int
    micro: tuple[float, ...]
    macro: tuple[float, ...]
    by_labels: tuple[float, float] | None = None


class ForecastCells:
    """The cells of one run's forecast, and what they are judged on; computed when first needed.

    Parameters
    ----------
    run
        The images. With a store, every cell is kept there.
    seed : int
        Of the surrogate tasks and the methods.
    labels : LabelTask, optional
        Labels from people, which judge as well.
    """

    def __init__(self, run: Artefacts, seed: int, labels: LabelTask | None = None) -> None:
        self.run = run
        self.seed = seed
        self._labels = labels
        self.config = ForecastConfig()
        self.n = len(run.dataset)
        self._rankings: dict[Candidate, Ranking] = {}

    # -- what is judged on

    @cached_property
    def _surrogates(self) -> tuple[Features, SurrogateTasks]:
        arrays, info = self._kept("surrogates", self._surrogates_key, self._make_surrogates)
        tasks = SurrogateTasks(arrays["labels"], tuple(info["n_classes"]))
        return Features(arrays["inputs"], arrays["directions"]), tasks

    def _make_surrogates(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        features = make_features(self.run.vectors, self.config, self._order)
        tasks = make_tasks(features, self.config, self.seed, self._order)
        arrays = dict(inputs=features.inputs, directions=features.directions, labels=tasks.labels)
        return arrays, dict(n_classes=tasks.n_classes)

    @cached_property
    def _order(self) -> np.ndarray:
        """A random order that belongs to the ids, not to how the source lists them."""
        return random_order(self.run.dataset.ids, self.seed)

    @cached_property
    def _judge(self) -> Judge:
        features, tasks = self._surrogates
        return make_judge(features, tasks, self.config, self._order)

    @cached_property
    def _reduced(self) -> ReducedRun:
        """The run as methods see it here: by the leading axes of its unit vectors."""
        return ReducedRun(self.run, np.asarray(self._surrogates[0].directions))

    @property
    def _surrogates_key(self) -> str:
        key_of = getattr(self.run, "key_of", None)
        made_from = key_of("embeddings") if key_of else self.run.dataset.fingerprint
        return digest(["surrogates", VERSION, made_from, vars(self.config), self.seed])

    def _kept(self, stage: str, key: str, make_it: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        store = getattr(self.run, "store", None)
        if store is None:
            return make_it()  # type: ignore[no-any-return]
        about: dict[str, Any] = self.run.about()  # type: ignore[attr-defined]
        return store.get(stage, key, make_it, about=about)  # type: ignore[no-any-return]

    # -- cells

    def fits(self, candidate: Candidate, rate: float) -> bool:
        """Whether the candidate's hard cut leaves as many images as the rate keeps."""
        beta = dict(candidate.params).get("beta")
        return beta is None or beta <= largest_beta(self.n, kept_count(self.n, rate))

    def has(self, candidate: Candidate, rate: float) -> bool:
        """Whether the cell and its baseline are in the store."""
        store = getattr(self.run, "store", None)
        if store is None:
            return False
        keys = [self._cell_key(one, rate) for one in (Candidate(BASELINE), candidate)]
        if self._labels is not None:
            keys += [self._by_labels_key(key) for key in keys]
        return all(store.has("forecast", key) for key in keys)

    @property
    def has_all(self) -> bool:
        """Whether the accuracy of all images is in the store."""
        store = getattr(self.run, "store", None)
        return store is not None and store.has("forecast", self._all_key)

    def cell(self, candidate: Candidate, rate: float, rates: Sequence[float]) -> Cell | None:
        """The cell of a candidate, from the store if it is finished.

        None where the candidate's parameters do not fit the rate.
        """
        if not self.fits(candidate, rate):
            return None
        most = kept_count(self.n, min(rates))
        k = kept_count(self.n, rate)
        made: list[np.ndarray] = []

        def judged() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            made.extend(self._coresets(candidate, k, most))
            measured = [accuracies(self._judge, kept) for kept in made]
            micro = np.mean([one.micro for one in measured], axis=0)
            macro = np.mean([one.macro for one in measured], axis=0)
            coreset = {} if candidate.method == BASELINE else {"kept": made[0].astype(np.int32)}
            return coreset, dict(micro=micro.tolist(), macro=macro.tolist())

        key = self._cell_key(candidate, rate)
        arrays, info = self._kept("forecast", key, judged)
        by_labels = self._by_labels(candidate, key, made or arrays.get("kept"), k)
        return Cell(candidate, rate, k, tuple(info["micro"]), tuple(info["macro"]), by_labels)

    def set_aside(self, candidate: Candidate, reason: str) -> str:
        """Keep why a candidate cannot be ranked, so that `known` need not try it; the reason."""
        self._kept("forecast", self._reason_key(candidate), lambda: ({}, dict(reason=reason)))
        return reason

    def why_set_aside(self, candidate: Candidate) -> str:
        """The reason kept by `set_aside`; "" without one."""
        store = getattr(self.run, "store", None)
        key = self._reason_key(candidate)
        if store is None or not store.has("forecast", key):
            return ""
        return str(store.read("forecast", key)[1]["reason"])

    def _reason_key(self, candidate: Candidate) -> str:
        return digest(["set aside", VERSION, self._surrogates_key, *self._identity(candidate)])

    @property
    def n_labels(self) -> int:
        """Given labels that judge; 0 where they are too few."""
        return 0 if self._labels is None else self._labels.n_given

    @cached_property
    def _label_judge(self) -> Judge:
        assert self._labels is not None
        own = self._judge
        codes = self._labels.fill()
        tasks = SurrogateTasks(codes[None], (int(codes.max()) + 1,))
        return Judge(own.inputs, tasks, own.judged, own.penalty)

    def _by_labels(
        self, candidate: Candidate, key: str, kept: Any, k: int
    ) -> tuple[float, float] | None:
        """(accuracy, mean over classes) of a cell's coresets in the task of given labels.

        kept: the coresets where they were just made, or the one kept in the cell, or None.
        """
        if self._labels is None:
            return None

        def judged() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            some = [kept] if isinstance(kept, np.ndarray) else kept
            some = self._coresets(candidate, k, k) if some is None else some
            judge = self._label_judge
            measured = [accuracies(judge, np.asarray(one, np.int64)) for one in some]
            micro = float(np.mean([one.micro[0] for one in measured]))
            return {}, dict(micro=micro, macro=float(np.mean([one.macro[0] for one in measured])))

        info = self._kept("forecast", self._by_labels_key(key), judged)[1]
        return info["micro"], info["macro"]

    def _by_labels_key(self, cell: str) -> str:
        assert self._labels is not None
        return digest(["by labels", cell, self._labels.key])

    def _cell_key(self, candidate: Candidate, rate: float) -> str:
        k = kept_count(self.n, rate)
        return digest(["cell", VERSION, self._surrogates_key, *self._identity(candidate), k])

    def _identity(self, candidate: Candidate) -> list[Any]:
        """What a candidate's ranking depends on, beside the number kept."""
        key_of = getattr(self.run, "key_of", None)
        stages = candidate.row.stages if key_of else ()
        keys = [key_of(stage) for stage in stages] if key_of else []
        if key_of and dict(candidate.params).get("labels") == "true":
            keys.append(key_of("dynamics", labels="true"))  # labels may change later
        return [candidate.method, list(candidate.params), keys]

    def _coresets(self, candidate: Candidate, k: int, most: int) -> Iterator[np.ndarray]:
        """Positions of the candidate's coreset of k images; of several for the baseline."""
        if candidate.method == BASELINE:
            for draw in range(self.config.n_random):
                yield random_order(self.run.dataset.ids, self.seed + _FIRST_RANDOM + draw)[:k]
            return
        known = self._rankings.get(candidate)
        if known is None or not known.serves(k):
            method = load(candidate.row.function)
            config = make(load(candidate.row.config), dict(candidate.params))
            none = np.empty(0, np.int64)
            count = max(k, most) if candidate.row.nested else k
            known = method(self._reduced, count, config, self.seed, preselected=none)
            if not known.nested and count != k:
                known = method(self._reduced, k, config, self.seed, preselected=none)
            self._rankings[candidate] = known
        yield known.order[:k]

    @cached_property
    def _all(self) -> np.ndarray:
        """(T,) accuracy by task of a judge trained on all images."""

        def judged() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            return {}, dict(micro=accuracies(self._judge, np.arange(self.n)).micro.tolist())

        return np.array(self._kept("forecast", self._all_key, judged)[1]["micro"])

    @property
    def _all_key(self) -> str:
        return digest(["all", VERSION, self._surrogates_key])

    # -- rows

    def forecast(
        self,
        cells: Sequence[Cell],
        complete: bool,
        began: float,
        set_aside: Mapping[str, str] | None = None,
    ) -> Forecast:
        """The record of these cells.

        Parameters
        ----------
        cells
            Judged cells; every rate among them has one of the baseline.
        complete
            Whether no other cell will follow.
        began
            `time.monotonic()` at the start, in seconds.
        set_aside
            Candidate -> why it was not judged.
        """
        base = {cell.prune_rate: cell for cell in cells if cell.candidate.method == BASELINE}
        rows = tuple(self._row(cell, base[cell.prune_rate]) for cell in cells)
        seconds = round(time.monotonic() - began, 3)
        return Forecast(
            rows,
            self.n,
            self.seed,
            complete,
            calibration.SAFEST,
            seconds,
            n_labels=self.n_labels,
            set_aside=dict(set_aside or {}),
        )

    def _row(self, cell: Cell, base: Cell) -> ForecastRow:
        judged = 100 * float(np.mean(np.subtract(cell.micro, base.micro)))
        balanced = 100 * float(np.mean(np.subtract(cell.macro, base.macro)))
        share = calibration.expected_share(
            float(np.mean(cell.micro) / max(self._all.mean(), 1e-9)), cell.prune_rate
        )
        by_labels: tuple[float, float] | tuple[None, None] = (None, None)
        if cell.by_labels is not None and base.by_labels is not None:
            micro, macro = 100 * np.subtract(cell.by_labels, base.by_labels)
            by_labels = (float(micro), float(macro))
        own = calibration.expected_gain(judged, cell.prune_rate, by_labels=by_labels[0])
        even = calibration.expected_gain(
            balanced, cell.prune_rate, balanced=True, by_labels=by_labels[1]
        )
        if cell.candidate.method == BASELINE:
            own = even = calibration.NO_GAIN
        return ForecastRow(
            cell.candidate.method,
            dict(cell.candidate.params),
            cell.prune_rate,
            cell.n_kept,
            *(own.gain, own.low, own.high),
            *(even.gain, even.low, even.high),
            *(share.gain, share.low, share.high),
            judged=judged,
            judged_balanced=balanced,
            judged_by_labels=by_labels[0],
            judged_by_labels_balanced=by_labels[1],
        )


class ReducedRun:
    """A run whose vectors are replaced by fewer dimensions; all else is the run's own."""

    def __init__(self, run: Artefacts, vectors: np.ndarray) -> None:
        self._run = run
        self.vectors = vectors
        self.dataset = run.dataset
        self.seed = run.seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)
