"""Update a source: find new, gone and changed images, and continue a selection from there.

Only new pictures are embedded; the others keep their positions on the map, their labels, tags and
exclusions; earlier picks stay, and the next ones are chosen given all that. The certificate is
measured three times: of the earlier picks on the source as it was, of the same picks on the source
as it is, and with the next ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import source_states
from coreset_engine.artifacts.carried_history import carry_over
from coreset_engine.artifacts.selection_folder import check_destination, read_selection
from coreset_engine.artifacts.source_states import SourceChange, SourceState
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Selection
from coreset_engine.evaluation.certificate import Certificate, certify
from coreset_engine.pipeline.manifest import run_of_manifest, write_run
from coreset_engine.pipeline.run import Report, Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.sources.open import open_source

MORE = 200
_EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class Update:
    """The result of updating a source: its changes and the continued selection.

    Parameters
    ----------
    run : Run
        On the source as it is now.
    change : SourceChange
        Since the earlier state.
    embedded : int
        Images that were embedded for it.
    kept, lost : tuple of str
        Earlier picks that are still there (ids now), and those that are gone or changed (ids then).
    selection : Selection or None
        The earlier picks that are there, then the next ones.
    certificates : mapping of str to Certificate
        "before", "now" and "next"; empty without an earlier selection.
    out : Path or None
        Folder the selection was written to.
    """

    run: Run
    change: SourceChange
    embedded: int
    kept: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    selection: Selection | None = None
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    out: Path | None = None

    @property
    def next_ids(self) -> tuple[str, ...]:
        """Ids that were chosen in this update, best first."""
        if self.selection is None:
            return ()
        earlier = set(self.kept)
        return tuple(name for name in map(str, self.selection.ids) if name not in earlier)

    def record(self) -> dict[str, Any]:
        """Everything as plain values."""
        change = self.change
        fields: dict[str, Any] = dict(
            images=len(self.run.dataset),
            before=len(change.former),
            new=len(change.new),
            gone=len(change.gone),
            changed=len(change.changed),
            renamed=len(change.renamed),
            embedded=self.embedded,
            examples=dict(
                new=list(change.new[:_EXAMPLES]),
                gone=list(change.gone[:_EXAMPLES]),
                changed=list(change.changed[:_EXAMPLES]),
                renamed=[list(pair) for pair in change.renamed[:_EXAMPLES]],
            ),
        )
        if self.selection is not None:
            fields |= dict(
                kept=len(self.kept),
                lost=list(self.lost),
                next=len(self.next_ids),
                certificate={
                    name: dataclasses.asdict(one) for name, one in self.certificates.items()
                },
            )
        return fields | (dict(out=str(self.out)) if self.out else {})


def update(  # noqa: PLR0913
    source: str | Path | Run,
    selection: str | Path | None = None,
    *,
    more: int = MORE,
    out: str | Path | None = None,
    overwrite: bool = False,
    store: Store | None = None,
    progress: Report | None = None,
    **settings: Any,
) -> Update:
    """Reopen a source and continue an earlier selection.

    Parameters
    ----------
    source
        As `open_source` takes it, or the run of an earlier state.
    selection
        Folder of the selection to continue from; its method, settings and picks are taken.
    more
        Images to choose beside the earlier picks, 0 = none.
    out
        Folder for the selection with the next images.
    overwrite
        Replace a selection that is in `out`.
    store, progress
        Of the run.
    settings
        Fields of `RunConfig`, where no selection says them.

    Returns
    -------
    Update

    Raises
    ------
    BadInput
        For a source of which no earlier state is known, or a selection of another source.
    """
    if isinstance(source, Run):
        source_states.remember(source.dataset, source.store.home)
        run = source.with_dataset(open_source(source.dataset.spec))
    else:
        run = Run(open_source(source), store=store, progress=progress, **settings)
    return update_run(run, selection, more=more, out=out, overwrite=overwrite)


def update_run(
    run: Run,
    selection: str | Path | None = None,
    *,
    more: int = MORE,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Update:
    """`update` of a run on the source as it is now.

    Parameters
    ----------
    run : Run
        On the grown source.
    selection : path, optional
        Folder of the selection to continue from.
    more : int
        New images to choose.
    out : path, optional
        Folder for the new selection.
    overwrite : bool
        Replace a selection in `out`.
    """
    _check(more, selection, out)
    if out is not None:
        check_destination(out, overwrite=overwrite)
    if selection is None:
        former = former_state(run.dataset, run.store)
        if former is None:
            raise BadInput(
                f"no earlier state of {run.dataset.spec[:120]!r} is known in this workspace; embed "
                "it once (`embed`), then update it after images were added."
            )
        return _grown(run, former)
    table, manifest = read_selection(selection)
    run = run_of_manifest(manifest, run.dataset, store=run.store, progress=run.progress)
    former = _state_of_selection(run, table, manifest)
    grown = _next(_grown(run, former), table, manifest, more)
    if out is None or grown.selection is None:
        return grown
    return dataclasses.replace(grown, out=write_run(out, grown.run, grown.selection))


def _check(more: int, selection: object, out: object) -> None:
    if isinstance(more, bool) or not isinstance(more, int) or more < 0:
        raise BadInput(f"more={more!r} (--more) must be an integer of at least 0.")
    if out is not None and selection is None:
        raise BadInput(
            f"out={str(out)!r} (--out) belongs to the selection to continue from; give its folder "
            "with --selection, or make the first selection with `run`."
        )


# -- the source ------------------------------------------------------------------------------------


def former_state(dataset: Dataset, store: Store) -> SourceState | None:
    """The latest known state of the source that differs from the dataset, else the same one."""
    known = source_states.states(dataset.spec, store.home)
    others = [state for state in known if state.fingerprint != dataset.fingerprint]
    return next(iter(others or known), None)


def _state_of_selection(run: Run, table: Any, manifest: Mapping[str, Any]) -> SourceState:
    """The state that a selection was made from."""
    fingerprint = str(manifest.get("source_fingerprint", ""))
    spec = str(manifest["source"])
    if fingerprint == run.dataset.fingerprint:
        source_states.remember(run.dataset, run.store.home)
    for name in dict.fromkeys((run.dataset.spec, spec)):
        former = source_states.state_of(name, fingerprint, run.store.home)
        if former is not None:
            return former
    ids = table["id"].to_numpy(object)  # made in another workspace: its table has the names
    if not set(map(str, ids)) & set(map(str, run.dataset.ids)):
        raise BadInput(
            f"the selection was made from {spec[:120]!r}, of which {run.dataset.spec[:120]!r} has "
            "no image; name the folder that its images are in now."
        )
    return SourceState(spec, fingerprint, ids, None)


def _grown(run: Run, former: SourceState) -> Update:
    """The change, with the new images embedded and placed on the earlier map."""
    change = source_states.compare(former, run.dataset)
    ready = run.ready("embeddings")
    run.vectors  # noqa: B018 - computed here, so that it can be counted
    run.continue_map_of(former_run(run, former), former)
    run.map  # noqa: B018 - placed while the earlier map is there
    carry_over(
        former.fingerprint,
        run.dataset.fingerprint,
        ids_now(change, run.dataset),
        run.store.home,
    )
    return Update(run, change, 0 if ready else _embedded(run))


def former_run(run: Run, former: SourceState) -> Run:
    """A run that finds the artefacts of an earlier state; it can compute none."""
    vectors = None if run.dataset.vectors is None else np.empty((len(former), 0), np.float32)
    dataset = Dataset(
        former.spec,
        former.ids,
        former.fingerprint,
        digests=former.digests,
        vectors=vectors,
        reopenable=False,
    )
    return run.with_dataset(dataset)


def _embedded(run: Run) -> int:
    if run.dataset.vectors is not None:
        return 0
    info = run.store.manifest("embeddings", run.key_of("embeddings"))["info"]
    return int(info.get("embedded", len(run.dataset)))


# -- the selection ---------------------------------------------------------------------------------


def _next(grown: Update, table: Any, manifest: Mapping[str, Any], more: int) -> Update:
    """Select with the same method, given the earlier images that still exist."""
    run = grown.run
    chosen = table[table["selected"]].sort_values("rank")
    picked = [str(name) for name in chosen["id"]]
    now_of = ids_now(grown.change, run.dataset)
    kept = [now_of[name] for name in picked if name in now_of]
    lost = tuple(name for name in picked if name not in now_of)
    count = min(len(kept) + more, len(run.dataset))
    if not count:
        raise BadInput(
            f"none of the {len(picked):,} earlier picks is in the source any more; select again "
            "with `run`, or give --more."
        )
    options = {
        name: value for name, value in manifest["params"].items() if name not in _OF_THE_EARLIER
    }
    request = SelectionRequest.from_manifest(manifest["method"], options | dict(prune_rate=0.5))
    request = dataclasses.replace(request, budget=Budget(count=count), must_keep=tuple(kept))
    made = select(request, run)
    certificates = _certificates(grown, picked, kept, made)
    return dataclasses.replace(
        grown, kept=tuple(kept), lost=lost, selection=made, certificates=certificates
    )


_OF_THE_EARLIER = ("must_keep", "prune_rate", "count", "beta")


def ids_now(change: SourceChange, dataset: Dataset) -> dict[str, str]:
    """Id in the earlier state -> id now, for images that are still there."""
    former = [str(name) for name in change.former.ids]
    return {
        former[at]: str(name) for name, at in zip(dataset.ids, change.row, strict=True) if at >= 0
    }


def _certificates(
    grown: Update, picked: list[str], kept: list[str], made: Selection
) -> dict[str, Certificate]:
    """Of the earlier picks before and now, and with the next ones."""
    run = grown.run
    clusters = run.pseudo_labels.labels if run.ready("pseudo_labels") else None
    row_of = {str(name): row for row, name in enumerate(run.dataset.ids)}
    earlier = np.array([row_of[name] for name in kept], np.int64)
    certificates = {}
    before = _before(grown, picked)
    if before is not None:
        certificates["before"] = before
    if len(earlier):
        certificates["now"] = certify(
            run.vectors, earlier, clusters=clusters, neighbours=run.neighbours
        )
    certificates["next"] = certify(
        run.vectors, made.indices, clusters=clusters, neighbours=run.neighbours
    )
    return certificates


def _before(grown: Update, picked: list[str]) -> Certificate | None:
    """Of the earlier picks on the source as it was, None where its vectors are gone."""
    run = former_run(grown.run, grown.change.former)
    if not run.ready("embeddings"):
        return None
    row_of = {str(name): row for row, name in enumerate(run.dataset.ids)}
    rows = np.array([row_of[name] for name in picked if name in row_of], np.int64)
    if not len(rows):
        return None
    neighbours = run.neighbours if run.ready("neighbours") else None
    return certify(run.vectors, rows, neighbours=neighbours)
