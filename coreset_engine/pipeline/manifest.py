"""Write a run's selection as a folder with its manifest, and verify that it reproduces."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine import __version__
from coreset_engine.artifacts import label_log, source_states
from coreset_engine.artifacts.selection_folder import ids_digest, write_selection
from coreset_engine.artifacts.selection_notes import remember
from coreset_engine.artifacts.store import Store, digest
from coreset_engine.core.errors import BadInput, Corrupt
from coreset_engine.core.filters import TAG, filter_of
from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Dataset, Selection
from coreset_engine.curation.tagging import recorded_tags, tag_texts
from coreset_engine.pipeline import exclusions
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.imported_labels import with_labels
from coreset_engine.pipeline.inclusion_records import of_selection
from coreset_engine.pipeline.reopen import reopen_source
from coreset_engine.pipeline.run import STAGES, Report, Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.request import SelectionRequest

NEW_FILE = "new.csv"  # the images that a round of labelling asks for
PACKAGES = ("torch", "numpy", "numba", "scikit-learn", "faiss-gpu", "timm", "umap-learn")


def manifest(run: Run, selection: Selection) -> dict[str, Any]:
    """Everything needed to reproduce `selection`: source, encoder, parameters, seeds, keys."""
    stages = [
        stage
        for stage in ("embeddings", "neighbours", "pseudo_labels", "dynamics", "coverage")
        if run.ready(stage)
    ]
    settings = run.config.to_record(results_only=True)
    return dict(
        source=run.dataset.spec,
        source_fingerprint=run.dataset.fingerprint,
        encoder=settings.pop("encoder"),
        weights=settings.pop("weights"),
        weights_sha256=_info(run, "embeddings").get("weights"),
        run=settings,
        **({"recipe": run.config.recipe} if run.config.recipe else {}),
        method=selection.method,
        params=dict(selection.params),
        info=dict(selection.info),
        artefacts={stage: run.key_of(stage) for stage in stages},
        contents={stage: _content(run, stage) for stage in stages},
        **_labels_record(run),
        **({"corrections": run.corrections} if run.corrections else {}),
        **({"exclusions": run.exclusions} if run.excluded_ids else {}),
        **_tags(run, selection),
        versions={
            "coreset-explorer": __version__,
            "python": platform.python_version(),
            **_versions(),
        },
    )


def _labels_record(run: Run) -> dict[str, Any]:
    """The labels that people gave, and how those of the other images were filled in."""
    if not run.imported:
        return {}
    return dict(given_labels=dict(run.imported.labels), label_spreading=run.imported.how)


def _tags(run: Run, selection: Selection) -> dict[str, Any]:
    """The tags that the selection's filter asks for, with their images."""
    where = filter_of(selection.params.get("where"))
    tags = recorded_tags(run, where)
    return {"tags": dict(tags)} if where is not None and TAG in where.columns else {}


def write_run(
    out: Path | str, run: Run, selection: Selection, about: Mapping[str, Any] | None = None
) -> Path:
    """Write a selection folder with every score the selection's method used.

    Parameters
    ----------
    out : path
    run : Run
    selection : Selection
    about : mapping, optional
        Further entries of the manifest.

    Returns
    -------
    Path
        The folder: selection.parquet, ids.txt, manifest.json.

    Raises
    ------
    BadInput
        When `out` cannot be written or holds something else.
    """
    made = manifest(run, selection) | dict(about or {})
    (Path(out) / NEW_FILE).unlink(missing_ok=True)  # lists the images of one round alone
    folder = write_selection(out, run.dataset, selection, scores_of(run, selection), made)
    source_states.remember(run.dataset, run.store.home)
    remember(run.store, folder, made)
    return folder


def scores_of(run: Run, selection: Selection) -> dict[str, np.ndarray]:
    """Every column of a selection's table: scores, labels, rounds, tags, terms of the method.

    With how often each image was kept, where inclusion was measured for this selection.
    """
    drawn = of_selection(run, selection)
    tagged = tag_texts(run)
    scores = columns(run, selection.method) | label_columns(run) | dict(selection.columns)
    scores |= {} if tagged is None else dict(tags=tagged)
    return scores | ({} if drawn is None else dict(inclusion=drawn.share))


def prediction_columns(run: Run) -> dict[str, np.ndarray]:
    """What the user's own model says of each image.

    Returns
    -------
    dict
        Of (N,) columns. predicted_label: class, "" = no prediction. predicted_confidence,
        predicted_entropy, predicted_margin: NaN where not known. disagrees_with_label,
        disagrees_with_cluster: 1 where the prediction is another class than the image's label, or
        than the one that is predicted for most images of its cluster; 0, or NaN = not known.
    """
    made = run.predictions
    columns_of = dict(
        predicted_label=made.names(),
        predicted_confidence=made.confidence,
        predicted_entropy=made.entropy,
        predicted_margin=made.margin,
    )
    if run.dataset.labels is not None:
        names = np.array([*run.dataset.classes, ""], object)
        own = names[np.asarray(run.dataset.labels)]
        if run.imported:  # filled-in labels are not given ones
            labels = run.imported.labels
            own = np.where([str(key) in labels for key in run.dataset.ids], own, "")
        columns_of["disagrees_with_label"] = _differs(made.names(), own)
    if run.ready("pseudo_labels"):
        clusters = run.pseudo_labels.labels
        common = _commonest(clusters, made.predicted)
        names = np.array([*made.classes, ""], object)
        columns_of["disagrees_with_cluster"] = _differs(made.names(), names[common[clusters]])
    return columns_of


def _differs(predicted: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N,) float32: 1 where two class names differ, NaN where one of them is unknown ("")."""
    unknown = (predicted == "") | (other == "")
    return np.where(unknown, np.nan, predicted != other).astype(np.float32)


def _commonest(clusters: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(C,) int64: the class predicted for most images of each cluster, -1 without any."""
    count = np.zeros((int(clusters.max()) + 1, int(predicted.max(initial=0)) + 1), np.int64)
    known = predicted >= 0
    np.add.at(count, (clusters[known], predicted[known]), 1)
    return np.where(count.any(axis=1), count.argmax(axis=1), -1)


def label_columns(run: Run) -> dict[str, np.ndarray]:
    """Label columns: given labels, and inferred ones for the other images.

    Returns
    -------
    dict
        Of (N,) columns, each only where there is something to say. given_label: class, "" = not
        labelled. round: number of the round that proposed it, -1 = none. label_error: how probably
        the label is wrong, NaN = not suspected; label_decision: confirm, correct, ignore or "".
        suggested_label, suggested_confidence: the class of label spreading and how sure it is.
    """
    state = label_log.read(run.dataset.fingerprint, run.store.home)
    labels = state.labels | (dict(run.imported.labels) if run.imported else {})
    ids = run.dataset.ids
    columns_of: dict[str, np.ndarray] = {}
    if labels:
        columns_of["given_label"] = np.array([labels.get(str(key), "") for key in ids], object)
    if state.rounds:
        number = state.round_of
        columns_of["round"] = np.array([number.get(str(key), -1) for key in ids], np.int64)
    decided = label_log.decisions(run.dataset.fingerprint, run.store.home)
    suspects = label_log.suspects(run.dataset.fingerprint, run.store.home)
    if suspects:
        scores = [suspects.get(str(key), np.nan) for key in ids]
        columns_of["label_error"] = np.array(scores, np.float64)
    if decided:
        decisions = {key: str(entry["decision"]) for key, entry in decided.items()}
        columns_of["label_decision"] = np.array(
            [decisions.get(str(key), "") for key in ids], object
        )
    filled = None if run.imported is None else run.imported.confidence
    if filled is not None and len(filled) == len(ids):
        names = np.array(run.dataset.classes, object)
        columns_of["suggested_label"] = names[np.asarray(run.dataset.labels)]
        columns_of["suggested_confidence"] = filled
    return columns_of


def columns(run: Run, method: str) -> dict[str, np.ndarray]:
    """Finished scores of the run: aum, forgetting, coverage, redundancy, pseudo_label, ..."""
    scores: dict[str, np.ndarray] = {}
    if run.ready("pseudo_labels"):
        scores |= dict(
            pseudo_label=run.pseudo_labels.labels, confidence=run.pseudo_labels.confidence
        )
    if run.ready("dynamics"):
        scores |= {
            name: getattr(run.dynamics, name)
            for name in ("aum", "forgetting")
            if not np.isnan(getattr(run.dynamics, name)).all()
        }
    if run.config.predictions:
        scores |= prediction_columns(run)
    if run.ready("coverage"):
        scores |= dict(coverage=run.coverage.coverage, redundancy=run.coverage.redundancy)
    return scores


def run_of_manifest(
    manifest: Mapping[str, Any],
    dataset: Dataset,
    *,
    store: Store | None = None,
    progress: Report | None = None,
    config_type: type[RunConfig] = RunConfig,
) -> Run:
    """The run that a manifest describes, without labels imported since.

    Parameters
    ----------
    manifest : mapping
        As read from manifest.json.
    dataset : Dataset
        The source as it is now.
    store : Store, optional
        Default: the workspace's.
    progress : callable, optional
        Of the run.
    config_type : type
        The record of settings.

    Returns
    -------
    Run

    Raises
    ------
    BadInput
        For settings that are unknown or out of bounds.
    """
    own = dict(encoder=manifest["encoder"], weights=manifest.get("weights"))
    return Run(
        dataset,
        config_type.from_record(own | dict(manifest["run"])),
        store=store,
        progress=progress,
        corrected_by=manifest.get("corrections", []),
        excluded_by=exclusions.checked(manifest.get("exclusions", [])),
    )


def verify(
    path: Path | str,
    store: Store | None = None,
    *,
    images: str = "",
    config_type: type[RunConfig] = RunConfig,
) -> dict[str, Any]:
    """Recompute a selection from its manifest and compare.

    Parameters
    ----------
    path
        The manifest, or the folder of the selection.
    images
        Folder the source's images are in now, if it was moved.

    Returns
    -------
    dict
        same (bool), differs (what, first causes first), method, k.

    Raises
    ------
    BadInput
        For a file that is not a manifest, or one with values of a wrong type.
    """
    wanted = read_manifest(path)
    differs = []
    dataset = reopen_source(wanted, images)
    if dataset.fingerprint != wanted["source_fingerprint"]:
        differs.append(
            f"source ({len(dataset):,} images now, {wanted.get('n', 'an unknown number')} then)"
            if len(dataset) != wanted.get("n")
            else "source (same number of images, other content)"
        )
    try:
        run = run_of_manifest(wanted, dataset, store=store, config_type=config_type)
        if wanted.get("given_labels"):
            how = str(wanted.get("label_spreading") or "clusters")  # not said by older versions
            run = with_labels(run, dict(wanted["given_labels"]), how)
        if isinstance(wanted.get("tags"), dict):
            run.tagged_by = wanted["tags"]
        chosen = select(SelectionRequest.from_manifest(wanted["method"], wanted["params"]), run)
    except (ValueError, TypeError, KeyError) as error:  # BadInput is a ValueError
        if not differs:
            raise BadInput(f"{path} cannot be recomputed: {error}") from None
        return dict(
            same=False,
            differs=[*differs, f"so much that it cannot be selected again: {error}"],
            method=wanted["method"],
            k=0,
        )
    counts = _counts(chosen, wanted)
    differs += counts + _filtered(chosen, wanted) + _differing(run, wanted)
    return dict(
        same=ids_digest(chosen.ids) == wanted["ids_sha256"] and not counts,
        differs=differs,
        method=METHODS[chosen.method].name,
        k=len(chosen),
    )


_SHAPE = dict(
    source=str,
    source_fingerprint=str,
    encoder=str,
    run=dict,
    method=str,
    params=dict,
    ids_sha256=str,
    artefacts=dict,
)


def read_manifest(path: Path | str) -> dict[str, Any]:
    """The manifest in `path` (a file or its folder), with the fields that `verify` needs."""
    path = Path(path) / "manifest.json" if Path(path).is_dir() else Path(path)
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        content = json.loads(path.read_text(encoding="utf-8"))
        wrong = [name for name, kind in _SHAPE.items() if not isinstance(content[name], kind)]
        if not isinstance(content.setdefault("weights", None), str | None):
            wrong.append("weights")
        if wrong or "prune_rate" not in content["params"]:
            raise ValueError(f"invalid or missing: {', '.join(wrong) or 'prune_rate'}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{path} is not a manifest of a selection ({error}); give the manifest.json `run` "
            "wrote."
        ) from None
    manifest: dict[str, Any] = content
    return manifest


def _counts(chosen: Selection, wanted: Mapping[str, Any]) -> list[str]:
    """The number of kept images, where the manifest says another one than its ids give."""
    k = wanted.get("k", len(chosen))
    return [] if k == len(chosen) else [f"k ({k} in the manifest, {len(chosen)} recomputed)"]


def _filtered(chosen: Selection, wanted: dict[str, Any]) -> list[str]:
    """Whether the filter of the selection leaves other images now."""
    then = wanted.get("info")
    then = then if isinstance(then, dict) else {}
    now = chosen.info
    if then.get("where_ids_sha256") == now.get("where_ids_sha256"):
        return []
    return [
        f"filter {now.get('where')!r} ({now.get('where_matched', 0):,} images pass now, "
        f"{then.get('where_matched', 'an unknown number')} then)"
    ]


def _differing(run: Run, wanted: dict[str, Any]) -> list[str]:
    """Stages whose key or content is another now, in pipeline order, then versions."""
    differs = []
    for stage, key in wanted["artefacts"].items():
        if stage not in STAGES or run.key_of(stage) != key:
            differs.append(f"{stage} (made from other inputs or parameters)")
        elif run.ready(stage) and wanted.get("contents", {}).get(stage) not in (
            None,
            _content(run, stage),
        ):
            differs.append(
                f"{stage} (same inputs, different numbers: another machine or library version)"
            )
    weights = wanted.get("weights_sha256")
    if weights and run.ready("embeddings") and _info(run, "embeddings").get("weights") != weights:
        differs.insert(0, "encoder weights")
    now = {"coreset-explorer": __version__, "python": platform.python_version(), **_versions()}
    then = wanted.get("versions")
    then = then if isinstance(then, dict) else {}
    return differs + [
        f"version of {name} ({value} then, {now.get(name)} now)"
        for name, value in then.items()
        if now.get(name) != value
    ]


def _content(run: Run, stage: str) -> str | None:
    """What the artefact holds, by the sums in its manifest; None where there is none."""
    files = _manifest_of(run, stage).get("files")
    return digest({name: about["sha256"] for name, about in files.items()}) if files else None


def _info(run: Run, stage: str) -> dict[str, Any]:
    info: dict[str, Any] = _manifest_of(run, stage).get("info", {})
    return info


def _manifest_of(run: Run, stage: str) -> dict[str, Any]:
    try:
        return run.store.manifest(stage, run.stored_as(stage)) if run.ready(stage) else {}
    except (
        Corrupt
    ):  # damaged since it was used: it will be computed again, here there is nothing to tell
        return {}


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
