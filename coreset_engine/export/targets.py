"""Export a selection to a target: the table of targets, and the one code path of app and shell.

Every export starts from a selection folder: written by this call for a run, or named by the user. A
target gets it as an `ExportBundle`, together with what of its source can still be opened.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import history
from coreset_engine.artifacts.selection_folder import (
    FILES,
    check_destination,
    ids_digest,
    read_selection,
)
from coreset_engine.artifacts.selection_notes import remember
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.registry import load
from coreset_engine.core.types import Progress, silent
from coreset_engine.core.user_paths import user_path
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.staging import MARK, named_finally, staged
from coreset_engine.pipeline import corrections
from coreset_engine.pipeline.manifest import NEW_FILE, run_of_manifest, write_run
from coreset_engine.pipeline.reopen import try_reopen
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.sources.specs import folder_of, refuse_inside


@dataclass(frozen=True)
class Target:
    """writer: "module:function", called as (bundle, destination, progress, **options) -> dict.

    destination: "folder" or "name".
    """

    writer: str
    destination: str
    summary: str


_E = "coreset_engine.export."
TARGETS: dict[str, Target] = {
    "csv": Target(
        _E + "formats.csv_table:write_csv", "folder", "every image with all scores, one row each"
    ),
    "fiftyone": Target(
        _E + "fiftyone.live:write_fiftyone_dataset",
        "name",
        "a dataset in FiftyOne's database: fields, tags, saved views, map, similarity, manifest",
    ),
    "fiftyone-disk": Target(
        _E + "fiftyone.disk:write_fiftyone_folder",
        "folder",
        "the same as a folder in FiftyOne's format; needs neither FiftyOne nor MongoDB",
    ),
    "imagefolder": Target(
        _E + "formats.imagefolder:write_imagefolder",
        "folder",
        "train/CLASS and val/CLASS with hard links or copies",
    ),
    "coco": Target(
        _E + "formats.coco:write_coco", "folder", "coco.json and the images, for a labelling tool"
    ),
    "label-studio": Target(
        _E + "formats.label_studio:write_label_studio",
        "folder",
        "tasks.json with predictions, config.xml, images",
    ),
    "pytorch": Target(
        _E + "formats.pytorch:write_pytorch",
        "folder",
        "a module with the Subset, sampler and loss weights",
    ),
    "huggingface": Target(
        _E + "formats.huggingface:write_huggingface",
        "folder",
        "Parquet with embedded images, for `datasets`",
    ),
    "webdataset": Target(
        _E + "formats.webdataset:write_webdataset", "folder", "tar shards for streaming"
    ),
}


def export(  # noqa: PLR0913
    run: Run,
    *,
    target: str,
    request: SelectionRequest | None = None,
    out: str = "",
    name: str = "",
    options: dict[str, Any] | None = None,
    fingerprint: str = "",
    overwrite: bool = True,
    progress: Progress = silent,
    **selection: Any,
) -> dict[str, Any]:
    """Select on `run` and export the selection to `target`.

    Parameters
    ----------
    run
        The source and its stages.
    target
        A key of TARGETS.
    request
        What to select; without it, `selection` holds its fields as `SelectionRequest.as_json`
        writes them (method, prune_rate or count, params, must_keep, ...), as jobs do.
    out, name
        Where to: a folder or a dataset's name, as the target wants.
    options
        Of the target.
    fingerprint
        Of the source as the caller saw it; a source that has changed since is refused.
    overwrite
        Replace the export of another selection in `out`.
    progress
        Whom to tell.

    Returns
    -------
    dict
        What was written where, JSON-able.
    """
    if request is None:
        request = SelectionRequest.from_json(selection)
    row, destination = _destination(target, out, name)
    if fingerprint and run.dataset.fingerprint != fingerprint:
        raise BadInput(
            f"{run.dataset.spec!r} has changed since it was opened (it now has {len(run.dataset)} "
            "usable "
            "images), so the selection would differ; open it again and select again."
        )
    if row.destination == "folder":
        check_destination(destination)
    chosen = select(request, run)
    if row.destination == "folder" and not overwrite:
        _refuse_another(Path(destination), ids_digest(chosen.ids))
    with tempfile.TemporaryDirectory(prefix="coreset-") as temporary:
        folder = write_run(Path(temporary) / "selection", run, chosen)
        bundle = pack(folder, run)

        def write(into: str) -> dict[str, Any]:
            return _send(row, target, bundle, into, progress, options)

        if row.destination != "folder":
            return write(destination)
        sent = _write_folder(write, bundle, destination, folder)
        (Path(destination) / NEW_FILE).unlink(
            missing_ok=True
        )  # lists the images of one round alone
        remember(run.store, Path(destination), dict(bundle.manifest))
        return sent


def export_folder(  # noqa: PLR0913
    folder: Path | str,
    *,
    target: str,
    out: str = "",
    name: str = "",
    options: dict[str, Any] | None = None,
    images: str = "",
    overwrite: bool = True,
    store: Store | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Send the selection in `folder` (written by `run --out`) to `target`.

    The source is opened again for pictures, labels, map and vectors; where it cannot be, what the
    folder holds is sent.

    Parameters
    ----------
    folder
        A selection folder.
    target
        A key of TARGETS.
    out, name
        Where to: a folder or a dataset's name, as the target wants.
    options
        Of the target.
    images
        The folder the source's images are in now, if they were moved.
    overwrite
        Replace the export of another selection in `out`.
    store, progress
        The workspace, and whom to tell.

    Raises
    ------
    BadInput, Missing
        With one sentence, before anything is written where that can be known.
    """
    row, destination = _destination(target, out, name)
    table, manifest = read_selection(folder)
    run, trouble = _reopened(manifest, store, images)
    if row.destination == "folder" and Path(destination).resolve() != Path(folder).resolve():
        check_destination(destination)
        if not overwrite:
            _refuse_another(Path(destination), str(manifest.get("ids_sha256")))
    bundle = _bundle(table, manifest, run, store or Store())

    def write(into: str) -> dict[str, Any]:
        return _send(row, target, bundle, into, progress, options)

    to_folder = row.destination == "folder"
    sent = (
        _write_folder(write, bundle, destination, Path(folder)) if to_folder else write(destination)
    )
    notes = [note for note in (sent.pop("note", ""), trouble) if note]
    return sent | ({"note": " ".join(notes)} if notes else {})


def pack(folder: Path | str, run: Run | None, store: Store | None = None) -> ExportBundle:
    """A selection folder and its run as an ExportBundle; reads finished artefacts alone."""
    table, manifest = read_selection(folder)
    return _bundle(table, manifest, run, run.store if run is not None else store or Store())


def database_state() -> tuple[bool, str]:
    """Whether FiftyOne's database can be used, and one sentence for the user. Starts nothing."""
    from coreset_engine.core.fiftyone_database import find

    database = find()
    return database.usable, database.sentence


def _destination(target: str, out: str, name: str) -> tuple[Target, str]:
    if target not in TARGETS:
        raise BadInput(f"target {target!r} is unknown; known: {', '.join(TARGETS)}.")
    row = TARGETS[target]
    destination = (out if row.destination == "folder" else name).strip()
    if not destination:
        raise BadInput(
            f"target {target!r} needs a folder; name one (--out)."
            if row.destination == "folder"
            else f"target {target!r} needs a dataset name; give one (--name)."
        )
    return row, str(user_path(destination)) if row.destination == "folder" else destination


def _send(
    row: Target,
    target: str,
    bundle: ExportBundle,
    destination: str,
    progress: Progress,
    options: dict[str, Any] | None,
) -> dict[str, Any]:
    try:
        summary = load(row.writer)(bundle, destination, progress, **(options or {}))
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise BadInput(f"target {target!r} has no option {str(error).split()[-1]}.") from error
    shared = dict(target=target, kept=int(bundle.selected.sum()))
    return shared | ({"out": destination} if row.destination == "folder" else {}) | summary


def _bundle(table: Any, manifest: dict[str, Any], run: Run | None, store: Store) -> ExportBundle:
    fingerprint = str(manifest.get("source_fingerprint", ""))
    media = store.home / "media" / fingerprint[:24]
    names = {}
    if "pseudo_label" in table and len(table):
        entries = [*manifest.get("corrections", ()), *history.corrections(fingerprint, store.home)]
        if run is not None:
            entries = corrections.of_clustering(entries, run.stored_as("pseudo_labels"))
        names = corrections.names(int(table["pseudo_label"].max()) + 1, entries)
    if run is None:
        return ExportBundle(table, manifest, media, cluster_names=names)
    same = run.dataset.fingerprint == fingerprint
    ready = {stage: same and run.ready(stage) for stage in ("map", "embeddings", "neighbours")}
    return ExportBundle(
        table,
        manifest,
        media,
        run.dataset,
        run.map if ready["map"] else None,
        run.vectors if ready["embeddings"] else None,
        run.neighbours if ready["neighbours"] else None,
        names,
    )


def _reopened(manifest: dict[str, Any], store: Store | None, images: str) -> tuple[Run | None, str]:
    """The run the manifest describes, or None and why not."""
    dataset, problem = try_reopen(manifest, images)
    if dataset is None:
        return None, f"the source could not be opened again ({problem[:400]}); exported without it."
    try:
        run = run_of_manifest(manifest, dataset, store=store)
    except (CoresetError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        return None, f"the source could not be opened again ({reason}); exported without it."
    if dataset.fingerprint != manifest.get("source_fingerprint"):
        return (
            run,
            "the source has changed since the selection was made; only images still in it were "
            "looked up.",
        )
    return run, ""


def _refuse_another(destination: Path, ids_sha256: str) -> None:
    """Refuse to replace the export of another selection."""
    try:
        there = json.loads((destination / "manifest.json").read_text(encoding="utf-8"))
        same = there["ids_sha256"] == ids_sha256
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    check_destination(destination, overwrite=same)


def _write_folder(
    write: Callable[[str], dict[str, Any]], bundle: ExportBundle, destination: str, selection: Path
) -> dict[str, Any]:
    """Write a target of files, with the selection's own three files, all or nothing.

    write: the target, called with the folder to write into.
    """
    _refuse_source(bundle, Path(destination))
    with staged(Path(destination)) as stage:
        if selection.resolve() != Path(destination).resolve():
            for name in FILES:
                shutil.copyfile(selection / name, stage / name)
        sent: dict[str, Any] = named_finally(write(str(stage)), stage)
    return sent | {"out": destination}


def _refuse_source(bundle: ExportBundle, destination: Path) -> None:
    """Raise BadInput when `destination` lies in the source's folder, or holds it."""
    spec = str(bundle.manifest.get("source", ""))
    refuse_inside(spec, destination)
    folder = folder_of(spec)
    if folder is None or bundle.dataset is None:
        return
    real = Path(os.path.realpath(folder))
    if Path(os.path.realpath(destination)) in real.parents and any(
        _is_ours(one) for one in (real, *real.parents)
    ):
        raise BadInput(
            f"--out {str(destination)!r} holds the source {str(folder)!r}, an earlier export, "
            "which this "
            "one would replace; choose another folder."
        )


def _is_ours(folder: Path) -> bool:
    return (folder / MARK).is_file()
