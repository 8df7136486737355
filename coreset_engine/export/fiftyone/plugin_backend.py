"""The FiftyOne plugin's engine: compute, select, preview, compare by dataset name; installation.

A run is kept per dataset while its number of samples stays the same, so that a slider answers at
once.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.registry import DEFAULT_METHOD, METHODS
from coreset_engine.core.types import Selection
from coreset_engine.core.user_paths import user_path
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.imported_labels import with_labels
from coreset_engine.pipeline.run import STAGES, Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.sources.label_import import import_labels

PLUGIN = "coreset-explorer"
BINS = 40
# What `open_run` takes. settings: GROUP.NAME=VALUE, comma-separated, as `--set` takes them.
SETTINGS = ("embeddings", "encoder", "seed", "n_clusters", "recipe", "settings")
Report = Callable[..., None]
_LOCK = threading.Lock()
_runs: dict[tuple, Run] = {}


def open_run(name: str, *, view: str = "", progress: Report | None = None, **settings: Any) -> Run:
    """The run on the dataset `name`, or on one of its saved views, reopened when samples were
    added or removed.

    settings: see SETTINGS; those not given (None), and every other setting of the run, are the ones
        the dataset's latest scores were computed with.

    Raises
    ------
    BadInput
        For a setting that does not exist or refuses its value.
    """
    import fiftyone as fo

    from coreset_engine.sources.fiftyone import spec_of
    from coreset_engine.sources.open import open_source

    dataset = fo.load_dataset(name)
    earlier = remembered(dataset)
    chosen = {key: value for key, value in settings.items() if value is not None}
    embeddings = chosen.pop("embeddings", earlier.pop("embeddings", None))
    config = _configured(earlier, chosen)
    inside = dataset.load_saved_view(view).values("id") if view else ()
    key = (name, *_sample_fingerprint(dataset), hash(tuple(inside)), embeddings, config)
    with _LOCK:
        if key not in _runs:
            _runs.clear()  # one at a time: vectors are large
            source = open_source(spec_of(name, view=view or None, embeddings=embeddings))
            _runs[key] = Run(source, config)
        _runs[key].progress = progress
        return _runs[key]


def _configured(earlier: dict[str, Any], chosen: dict[str, Any]) -> RunConfig:
    """The settings of the newest run with those given; a recipe starts from the defaults."""
    items = [item.strip() for item in str(chosen.pop("settings", "")).split(",")]
    if "recipe" in chosen:
        earlier = {}
    config = RunConfig.from_record({**earlier, **chosen})
    return config.with_set(item for item in items if item)


def _sample_fingerprint(dataset: Any) -> tuple[int, str]:
    """What changes when samples come or go: their number in every slice, and the newest id."""
    samples = dataset._sample_collection
    newest = samples.find_one({}, {"_id": 1}, sort=[("_id", -1)])
    return samples.count_documents({}), str(newest and newest["_id"])


def remembered(dataset: Any) -> dict[str, Any]:
    """The settings in the manifest of our newest run on this dataset; {} when there is none."""
    dataset.reload()
    infos = [dataset.get_run_info(key) for key in dataset.list_runs() if key.startswith("coreset_")]
    for info in sorted(infos, key=lambda info: info.timestamp, reverse=True):
        manifest = getattr(info.config, "manifest", None) or {}
        source = str(manifest.get("source", ""))
        if (
            source.partition(":")[0] != "fiftyone"
        ):  # exported from elsewhere: its vectors belong to another source
            continue
        options = json.loads(source.partition(":")[2]) if source.startswith("fiftyone:{") else {}
        encoder = manifest.get("encoder") or RunConfig().encoder
        return dict(
            embeddings=options.get("embeddings"), encoder=encoder, **manifest.get("run", {})
        )
    return {}


def compute(name: str, *, progress: Report | None = None, **settings: Any) -> dict[str, Any]:
    """Every stage, then the scores as fields of the dataset; tags and views are left alone."""
    from coreset_engine.export.fiftyone import live

    run = open_run(name, progress=progress, **settings)
    for stage in STAGES:
        getattr(run, stage)
    every = np.arange(len(run.dataset))
    everything = Selection(
        run.dataset.ids,
        every,
        np.ones(len(every)),
        run.coverage.score,
        "scores",
        {},
        run.dataset.fingerprint,
    )
    return live.write_scores(_packed(run, everything), name)


def choose(
    name: str,
    *,
    method: str = DEFAULT_METHOD,
    prune_rate: float = 0.9,
    selection: str = "main",
    samples: Sequence[str] | None = None,
    progress: Report | None = None,
    **params: Any,
) -> dict[str, Any]:
    """Select and write: fields, tags, views and the manifest, under the name `selection`.

    Parameters
    ----------
    name : str
        A dataset of FiftyOne.
    method : str
        A row of METHODS.
    prune_rate : float
        Share removed, 0 <= p < 1.
    selection : str
        Name of the selection.
    samples : sequence of str, optional
        Ids of the samples to select among, None = the whole dataset; they are kept as a saved view
        of ours, which is the selection's source.
    progress : callable, optional
        As in `Run`.
    **params
        The run's settings (see SETTINGS), constraints, and parameters of the method.
    """
    from coreset_engine.export.fiftyone.layers import Names
    from coreset_engine.export.targets import export

    settings = {key: params.pop(key) for key in SETTINGS if key in params}
    request = SelectionRequest.of(method, prune_rate, **params)
    with _scope(name, samples, selection) as view:
        run = open_run(name, view=view, progress=progress, **settings)
        summary = export(
            run,
            target="fiftyone",
            request=request,
            name=name,
            options={"selection": selection},
        )
    if view:
        message = f"Selected from {len(run.dataset):,} samples, the saved view {view!r}."
        summary["said"] = f"{message} {summary['said']}"
    return summary | {"view": Names(selection).view("kept")}


_SCOPE = "The samples that a coreset selection was made from."


@contextmanager
def _scope(name: str, samples: Sequence[str] | None, selection: str) -> Iterator[str]:
    """The saved view that holds `samples`, "" for the whole dataset; a new one goes on failure."""
    import fiftyone as fo

    from coreset_engine.export.fiftyone.bulk_writes import every_sample

    dataset = fo.load_dataset(name)
    title = f"coreset scope: {selection}"
    there = title in dataset.list_saved_views()
    if there and dataset.get_saved_view_info(title).get("description") != _SCOPE:
        raise BadInput(
            f"the saved view {title!r} of dataset {name!r} was not made by Coreset Explorer; "
            "rename "
            "it, or give the selection another name."
        )
    if samples is None:
        if there:
            dataset.delete_saved_view(title)
        yield ""
        return
    all_samples = every_sample(dataset)
    unknown = set(samples) - set(all_samples.values("id"))
    if unknown or not samples:
        raise BadInput(
            f"{len(unknown):,} of {len(samples):,} samples to select among are not in dataset "
            f"{name!r}; select whole samples, not patches, clips or frames."
        )
    earlier = dataset.load_saved_view(title) if there else None
    dataset.save_view(title, all_samples.select(list(samples)), description=_SCOPE, overwrite=True)
    try:
        yield title
    except BaseException:
        dataset.delete_saved_view(title)
        if earlier is not None:
            dataset.save_view(title, earlier, description=_SCOPE)
        raise


def take_labels(
    name: str,
    *,
    field: str = "",
    method: str = DEFAULT_METHOD,
    prune_rate: float = 0.9,
    selection: str = "labelled",
    progress: Report | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Recompute the scores with the dataset's labels, and write the next selection.

    Labelled samples of every group slice stay in; the method sees the labels where it can.

    Parameters
    ----------
    name
        The dataset.
    field
        The field with the labels; "" = the only one that people filled in.
    method, prune_rate, selection
        As for `choose`.
    settings
        See SETTINGS.
    """
    from coreset_engine.export.fiftyone.layers import Names
    from coreset_engine.export.targets import export

    run = open_run(name, progress=progress, **settings)
    dataset = run.dataset
    match = import_labels(f"fiftyone:{name}", label_column=field).match(
        dataset.ids, dataset.paths, classes=dataset.classes, fingerprint=dataset.fingerprint
    )
    labelled = with_labels(run, match.labels)
    params = {"labels": "true"} if METHODS[method].labels else {}
    request = SelectionRequest.of(method, prune_rate, must_keep=tuple(match.labels), **params)
    summary = export(
        labelled, target="fiftyone", request=request, name=name, options={"selection": selection}
    )
    message = f"{' '.join(match.sentences())} {summary['said']}"
    return summary | dict(
        said=message, labelled=len(match.labels), view=Names(selection).view("kept")
    )


def label_fields(dataset: Any) -> list[str]:
    """Fields that hold classes and are not ours."""
    from coreset_engine.sources.fiftyone_labels import label_field_names

    return [name for name in label_field_names(dataset) if not name.startswith("coreset_")]


def preview(name: str, *, method: str, prune_rate: float, **params: Any) -> dict[str, Any]:
    """The same selection, not written: a sentence and two histogram traces.

    Computes nothing that takes long.
    """
    import fiftyone as fo

    request = SelectionRequest.of(method, prune_rate, **params)
    row = METHODS[request.method]
    run = open_run(name) if remembered(fo.load_dataset(name)) else None
    if run is None or not all(run.ready(stage) for stage in ("embeddings", *row.stages)):
        raise Missing(f"{row.title} needs scores that are not there yet: press *Compute scores*.")
    chosen = select(request, run)
    values = np.asarray(run.dynamics.aum if row.double_end else chosen.scores, np.float64)
    kept = np.zeros(len(values), bool)
    kept[chosen.indices] = True
    finite = np.isfinite(values)
    edges = np.histogram_bin_edges(values[finite], BINS)
    middle = ((edges[1:] + edges[:-1]) / 2).tolist()
    traces = [
        dict(
            type="bar",
            name=title,
            x=middle,
            y=np.histogram(values[finite & part], edges)[0].tolist(),
        )
        for title, part in (("kept", kept), ("dropped", ~kept))
    ]
    message = f"**{len(chosen):,}** of {len(values):,} images kept."
    if "recommended" in chosen.info:
        message += f" {row.title}: {chosen.info['reason']}."
    return dict(said=message, kept=len(chosen), traces=traces)


def compare(dataset: Any, one: str, other: str) -> dict[str, Any]:
    """Overlap of two selections by their tags; `differ`: the sample ids only one of them keeps."""
    from coreset_engine.export.fiftyone.bulk_writes import every_sample
    from coreset_engine.export.fiftyone.layers import Names

    samples = every_sample(dataset)
    first, second = (set(samples.match_tags(Names(name).tag).values("id")) for name in (one, other))
    if not first or not second:
        raise BadInput(
            f"the dataset has no selection {(one if not first else other)!r}; it has "
            f"{', '.join(selections(dataset)) or 'none'}."
        )
    both = len(first & second)
    either = len(first | second)
    message = (
        f"{one}: {len(first):,} images, {other}: {len(second):,}. Both keep {both:,} "
        f"({both / either:.0%} of the images in either);"
        f" only {one}: {len(first - second):,}, only {other}: "
        f"{len(second - first):,}."
    )
    return dict(
        said=message,
        both=both,
        only_one=len(first - second),
        only_other=len(second - first),
        differ=sorted(first ^ second),
    )


def selections(dataset: Any) -> list[str]:
    """Names of the selections a dataset carries."""
    from coreset_engine.export.fiftyone.bulk_writes import every_sample

    return sorted(
        tag.removeprefix("coreset:")
        for tag in every_sample(dataset).distinct("tags")
        if tag.startswith("coreset:")
    )


def vector_sources(dataset: Any) -> list[str]:
    """Vector fields and similarity runs whose vectors can be reused; not our own shortened ones."""
    import fiftyone as fo

    fields = list(dataset.get_field_schema(ftype=fo.VectorField))
    return [
        name
        for name in fields + dataset.list_brain_runs(type="similarity")
        if not name.startswith("coreset_")
    ]


def _packed(run: Run, chosen: Selection) -> Any:
    import tempfile

    from coreset_engine.export.targets import pack
    from coreset_engine.pipeline.manifest import write_run

    with tempfile.TemporaryDirectory(prefix="coreset-") as folder:
        return pack(write_run(Path(folder) / "scores", run, chosen), run)


# -- installing ------------------------------------------------------------------------------------


def install(folder: Path | str | None = None) -> Path:
    """Link the plugin into FiftyOne's plugins folder, beside the user's own; the link's path."""
    link = plugin_folder(folder)
    source = Path(__file__).resolve().parent / "plugin"
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        raise BadInput(
            f"{str(link)!r} exists and was not created by this program; move it and install again."
        )
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source, target_is_directory=True)
    except OSError as error:
        raise BadInput(
            f"{str(link)!r} cannot be made ({error.strerror}); check the folder's permissions."
        ) from None
    return link


def uninstall(folder: Path | str | None = None) -> bool:
    """Remove the link; whether there was one."""
    link = plugin_folder(folder)
    if not link.is_symlink():
        return False
    link.unlink()
    return True


def plugin_folder(folder: Path | str | None = None) -> Path:
    """Where the link belongs: FiftyOne's own plugins folder, or `folder`."""
    if folder is None:
        try:
            os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "1")
            import fiftyone as fo
        except ImportError:
            raise Missing("FiftyOne is not installed; `pip install fiftyone` first.") from None
        folder = fo.config.plugins_dir
    return user_path(folder) / PLUGIN
