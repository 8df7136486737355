"""Content addresses of a run's artefacts: which settings and inputs enter the key of a stage.

A key is a digest of the stage, its version, the settings that bear on it as they take effect on
this dataset, and the keys of the stages it is made from. Fields of `RunConfig` say themselves which
stages they enter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.types import Dataset
from coreset_engine.pipeline import neighbour_search
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.stages import DEFAULT_ALPHA, STAGES
from coreset_engine.sources.predictions import Predictions


class KeyedRun(Protocol):
    """What keys are made from; `pipeline.run.Run` is one."""

    dataset: Dataset
    config: RunConfig

    @property
    def wanted_clusters(self) -> int: ...
    @property
    def weights_key(self) -> str | None: ...
    @property
    def labels_key(self) -> str: ...
    @property
    def corrected(self) -> str | None: ...
    @property
    def predictions(self) -> Predictions: ...
    def key_of(self, stage: str, **params: Any) -> str: ...
    def stored_as(self, stage: str, **params: Any) -> str: ...


def stage_key(run: KeyedRun, stage: str, params: Mapping[str, Any]) -> str:
    """The content address of a stage's artefact.

    Parameters
    ----------
    run
        Asked for the keys of the stage's inputs.
    stage
        A row of STAGES.
    params
        Over the run's settings, such as labels="true"; raw=True leaves corrections out of the
        pseudo-labels.
    """
    version, inputs = STAGES[stage]
    params = dict(params)
    if stage == "pseudo_labels" and not params.pop("raw", False) and run.corrected:
        params["corrections"] = run.corrected
    key_of = run.key_of
    if params.get("labels") == "true":  # labels may change after the images were seen
        params["truth"] = run.labels_key
        key_of = run.stored_as
    return digest(
        dict(
            stage=stage,
            version=version,
            params=settings_of(run, stage) | params,
            inputs=[key_of(other) for other in inputs],
        )
    )


def settings_of(run: KeyedRun, stage: str) -> dict[str, Any]:
    """The settings in a stage's key: the stage's fields as they take effect on this dataset."""
    settings: dict[str, Any] = {}
    if stage == "embeddings":
        settings["source"] = run.dataset.fingerprint
    if stage == "dynamics":
        settings["labels"] = "pseudo"
    if stage == "coverage":
        settings["n_neighbours"] = DEFAULT_ALPHA
    for about in fields(run.config):
        if stage in about.metadata.get("stages", ()):
            settings |= _entries(run, about.name, about.metadata)
    return settings


def _entries(run: KeyedRun, name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What one field of the config adds to a key."""
    config = run.config
    if "settings_of" in metadata:
        changed = config.effective(name)
        under = metadata["key_name"]
        return {under: changed} if under and changed else changed
    if name == "search":
        return neighbour_search.params(config.search, len(run.dataset))
    if name == "predictions":  # no entry without any: keys stay those of earlier versions
        return {name: run.predictions.key} if config.predictions else {}
    if name in ("encoder", "weights") and run.dataset.vectors is not None:
        return dict(encoder="given")
    resolved: dict[str, Any] = dict(
        weights=run.weights_key, n_samples=config.n_samples, n_clusters=run.wanted_clusters
    )
    value = resolved[name] if name in resolved else getattr(config, name)
    return {metadata.get("key_name") or name: value}


def array_key(values: np.ndarray | None) -> str:
    """What identifies an array's bytes; "" for none."""
    return "" if values is None else hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
