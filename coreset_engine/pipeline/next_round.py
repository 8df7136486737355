"""Labelling rounds: select the next images, given those labelled or selected earlier.

Round 0 is a pilot: random images, stratified over the clusters, so that it is also a fair sample to
judge by. Each later round keeps the images of all rounds before as context and adds exactly as many
new ones as requested, by a method that sees the labels where it can.
"""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem, label_log
from coreset_engine.artifacts.selection_folder import check_destination
from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import positions_of
from coreset_engine.core.registry import BASELINE, METHODS
from coreset_engine.core.types import Selection
from coreset_engine.pipeline.imported_labels import with_stored_labels
from coreset_engine.pipeline.manifest import NEW_FILE, write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import QuotaSpec, SelectionRequest

PILOT = 100  # images of round 0 where no number is given
# What chooses the later rounds where no method is named: of five the best in the mean on two of
# three sets and second on the third, two seeds (docs/explanation/rounds-measured.md).
ROUND_METHOD = "kmedoids"


@dataclass(frozen=True, eq=False)
class LabelRound:
    """One round of labelling.

    Attributes
    ----------
    number : int
        0 = the pilot.
    ids : (count,) str
        The new images, best first.
    selection : Selection
        Images of earlier rounds and labelled ones first, then the new ones.
    run : Run
        What it was chosen on: with the labels known so far.
    labelled, pending : int
        Images labelled so far, and images of earlier rounds that have no label yet.
    reason : str
        Why these, in words.
    """

    number: int
    ids: np.ndarray
    selection: Selection
    run: Run
    labelled: int
    pending: int
    reason: str

    def __len__(self) -> int:
        return len(self.ids)

    def summary(self) -> dict[str, Any]:
        """Number, counts, method and reason, as the shell prints them and a job reports them."""
        return dict(
            round=self.number,
            new=len(self),
            labelled=self.labelled,
            pending=self.pending,
            method=self.selection.method,
            reason=self.reason,
        )

    @property
    def suggestions(self) -> list[tuple[str, float | None]]:
        """(class, confidence) of each new image by label spreading; [] before the first labels."""
        imported = self.run.imported
        if imported is None or imported.confidence is None:
            return []
        dataset = self.run.dataset
        positions = positions_of(dataset.ids, self.ids.tolist())
        names = [dataset.classes[code] for code in np.asarray(dataset.labels)[positions]]
        return list(zip(names, map(float, imported.confidence[positions]), strict=True))


def next_round(
    run: Run,
    count: int | None = None,
    *,
    method: str | None = None,
    request: SelectionRequest | None = None,
    out: Path | str | None = None,
    overwrite: bool = False,
) -> LabelRound:
    """Select the images to label next, and record the round.

    Parameters
    ----------
    run
        The images; labels kept in its workspace (`label_log`) are taken.
    count
        New images; None: PILOT for round 0, later as many as the round before.
    method
        Row of METHODS; None: ROUND_METHOD. Round 0 is always stratified random.
    request
        Instead of `method`: also constraints, seed, parameters and images never taken.
    out
        Folder for the selection, with `new.csv`, the images to label; None writes nothing.
    overwrite
        Replace a selection that is in `out`.

    Returns
    -------
    LabelRound

    Raises
    ------
    BadInput
        When fewer than `count` images are neither labelled nor requested.
    """
    if out is not None:
        check_destination(out, overwrite=overwrite)
    fingerprint = run.dataset.fingerprint
    state = label_log.read(fingerprint, run.store.home)
    context = _present(run, state.context())
    count = _checked_count(run, count, state, context, request)
    labelled_run = with_stored_labels(run)
    wanted = _request(labelled_run, count, context, method, request)
    chosen = select(wanted, labelled_run)
    before = set(context)
    fresh = np.array([key for key in chosen.ids if str(key) not in before], object)
    if len(fresh) != count:
        raise BadInput(
            f"{count:,} new images were requested and the constraints leave only "
            f"{len(fresh):,}; request fewer, or loosen quotas, groups, costs or near-duplicates."
        )
    labelled = sum(key in state.labels for key in context)
    made = LabelRound(
        len(state.rounds),
        fresh,
        chosen,
        labelled_run,
        labelled,
        len(context) - labelled,
        _reason(chosen, context),
    )
    about = dict(method=chosen.method, labelled=labelled, out=str(out or ""))
    label_log.add_round(fingerprint, run.store.home, fresh, about)
    if out is not None:
        write_round(out, made)
    return made


def _present(run: Run, ids: list[str]) -> list[str]:
    """Those ids that the source still has, in order."""
    if not ids:
        return []
    positions = positions_of(run.dataset.ids, ids)
    return [key for key, position in zip(ids, positions.tolist(), strict=True) if position >= 0]


def _checked_count(
    run: Run,
    count: int | None,
    state: label_log.LabelState,
    context: list[str],
    request: SelectionRequest | None,
) -> int:
    stray = set(request.must_keep) - set(context) if request else set()
    if stray:
        raise BadInput(
            f"a round keeps only the images of earlier rounds, and must_keep names "
            f"{min(stray)!r}; leave must_keep out."
        )
    if count is None:
        count = len(state.rounds[-1]) if state.rounds else PILOT
    never = set(request.never) - set(context) if request else set()
    free = len(run.dataset) - len(context) - len(never)
    if count < 1:
        raise BadInput(f"count={count} must be at least 1; say how many images to label next.")
    if count > free:
        raise BadInput(
            f"{count:,} new images were requested and only {free:,} of {len(run.dataset):,} are "
            "neither labelled nor selected in an earlier round; request at most"
            f" {free:,}."
        )
    return count


def _request(
    run: Run,
    count: int,
    context: list[str],
    method: str | None,
    request: SelectionRequest | None,
) -> SelectionRequest:
    """What to select: the context, and `count` more."""
    wanted = request or SelectionRequest.of(method or ROUND_METHOD, count=1)
    never = set(wanted.never) - set(context)
    shared: dict[str, Any] = dict(
        budget=Budget(count=len(context) + count),
        must_keep=tuple(context),
        never=tuple(key for key in wanted.never if key in never),
    )
    if not context:
        by_cluster = (QuotaSpec("cluster", spread="proportional"),)
        return dataclasses.replace(
            wanted, method=BASELINE, params=(), quotas=wanted.quotas or by_cluster, **shared
        )
    params = dict(wanted.params)
    if run.imported and METHODS[wanted.method].labels:
        params.setdefault("labels", "true")
    return dataclasses.replace(wanted, params=tuple(params.items()), **shared)


def _reason(chosen: Selection, context: list[str]) -> str:
    if not context and chosen.method == BASELINE:
        return "pilot: random images, stratified by cluster"
    return f"{chosen.info.get('reason', '')} ({len(context):,} earlier images as context)"


def write_round(out: Path | str, made: LabelRound) -> Path:
    """Write the selection folder and `new.csv`, the images to label, into `out`.

    Returns
    -------
    Path
        Of new.csv: id, path, round, suggested_label, suggested_confidence, label (empty).

    Raises
    ------
    BadInput
        When it cannot be written.
    """
    about = dict(
        round=dict(number=made.number, new=len(made), labelled=made.labelled, pending=made.pending)
    )
    folder = write_run(out, made.run, made.selection, about)
    path = Path(folder) / NEW_FILE
    with filesystem.writing(path):
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["id", "path", "round", "suggested_label", "suggested_confidence", "label"]
            )
            writer.writerows(_rows(made))
    return path


def _rows(made: LabelRound) -> list[list[Any]]:
    dataset = made.run.dataset
    positions = positions_of(dataset.ids, made.ids.tolist())
    suggested = made.suggestions or [("", None)] * len(made)
    paths = dataset.paths
    return [
        [key, "" if paths is None else paths[position], made.number, name, _share(share), ""]
        for key, position, (name, share) in zip(made.ids, positions, suggested, strict=True)
    ]


def _share(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"
