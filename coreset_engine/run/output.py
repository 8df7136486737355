"""A selection of a run as a folder, with the manifest that reproduces it; and the check that it does."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine import __version__
from coreset_engine.errors import BadInput
from coreset_engine.export.folder import ids_digest, write_selection
from coreset_engine.registry import METHODS
from coreset_engine.run import gc
from coreset_engine.run.pipeline import Run
from coreset_engine.run.selecting import select
from coreset_engine.types import Selection

PACKAGES = ("torch", "numpy", "numba", "scikit-learn", "faiss-gpu", "timm", "umap-learn")


def manifest(run: Run, selection: Selection) -> dict[str, Any]:
    """Everything needed to make `selection` again: source, encoder, parameters, seeds, versions, artefact keys."""
    stages = [stage for stage in ("embeddings", "neighbours", "pseudo_labels", "dynamics", "coverage")
              if run.ready(stage)]
    return dict(
        source=run.dataset.spec, source_fingerprint=run.dataset.fingerprint, encoder=run.encoder,
        weights=run.weights, run=dict(seed=run.seed, n_clusters=run._n_clusters, clusterer=run.clusterer,
                                      proxy=run.proxy, n_samples=run.n_samples),
        method=selection.method, params=dict(selection.params), info=dict(selection.info),
        artefacts={stage: run.key_of(stage) for stage in stages},
        versions={"coreset-explorer": __version__, "python": platform.python_version(), **_versions()})


def write_run(out: Path | str, run: Run, selection: Selection) -> Path:
    """The selection folder of DESIGN section 4, with every score the selection's method used."""
    made = manifest(run, selection)
    folder = write_selection(out, run.dataset, selection, scores_of(run, selection), made)
    gc.remember(run.store, folder, made)
    return folder


def scores_of(run: Run, selection: Selection) -> dict[str, np.ndarray]:
    """`columns`, and how often each image was kept where that was measured for this very choice."""
    from coreset_engine.run.inclusion import of_selection

    drawn = of_selection(run, selection)
    return columns(run, selection.method) | ({} if drawn is None else dict(inclusion=drawn.share))


def columns(run: Run, method: str) -> dict[str, np.ndarray]:
    """Scores that lie finished and belong to the run: aum, forgetting, coverage, redundancy, pseudo_label, ..."""
    found: dict[str, np.ndarray] = {}
    if run.ready("pseudo_labels"):
        found |= dict(pseudo_label=run.pseudo_labels.labels, confidence=run.pseudo_labels.confidence)
    if run.ready("dynamics"):
        found |= dict(aum=run.dynamics.aum, forgetting=run.dynamics.forgetting)
    if run.ready("coverage"):
        found |= dict(coverage=run.coverage.coverage, redundancy=run.coverage.redundancy)
    return found


def verify(path: Path | str, store: Any = None) -> dict[str, Any]:
    """Recompute the selection from its manifest: {"same": bool, "differs": [what]}. Raises BadInput for a bad file."""
    from coreset_engine.sources.opening import open_source

    try:
        wanted = json.loads(Path(path).read_text(encoding="utf-8"))
        spec, settings, method = wanted["source"], wanted["run"], wanted["method"]
        params, expected = dict(wanted["params"]), wanted["ids_sha256"]
        encoder, weights = wanted["encoder"], wanted["weights"]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BadInput(f"{path} is no manifest of a selection ({fault}); give the manifest.json `run` wrote.") from None
    dataset = open_source(spec)
    run = Run(dataset, encoder, weights=weights, store=store, **settings)
    chosen = select(method, run, params.pop("prune_rate"), **params)
    differs = []
    if dataset.fingerprint != wanted["source_fingerprint"]:
        differs.append("source")
    differs += [stage for stage, key in wanted["artefacts"].items() if run.key_of(stage) != key]
    now = {"coreset-explorer": __version__, "python": platform.python_version(), **_versions()}
    differs += [f"version of {name}" for name, value in wanted.get("versions", {}).items() if now.get(name) != value]
    same = ids_digest(chosen.ids) == expected
    return dict(same=same, differs=differs, method=METHODS[chosen.method].name, k=len(chosen))


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
