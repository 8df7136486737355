"""Every column of a run under one name: metadata, file facts, EXIF, tags, clusters and scores.

Asking for a column computes what it rests on, like everything else of a run; `describe` says what
there is and what is finished, and computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from coreset_engine.artifacts import history
from coreset_engine.artifacts.store import digest
from coreset_engine.core.errors import CoresetError
from coreset_engine.core.filter_columns import Column, encode, unknown_column
from coreset_engine.core.filters import TAG
from coreset_engine.core.ids import positions_of
from coreset_engine.curation import file_facts, tags
from coreset_engine.curation.run_protocol import ColumnInfo, CuratedRun
from coreset_engine.selection.columns import CLASS, CLUSTER, dataset_column, dataset_names

SOURCE_TAGS = ("tags", "tag")
DYNAMICS = ("aum", "forgetting", "el2n", "entropy", "loss", "grand", "dyn_unc", "tdds")
# name -> (stage, field of its record)
COMPUTED: dict[str, tuple[str, str]] = {
    "cluster": ("pseudo_labels", "labels"),
    "confidence": ("pseudo_labels", "confidence"),
    **{name: ("dynamics", name) for name in DYNAMICS},
    "coverage": ("coverage", "coverage"),
    "redundancy": ("coverage", "redundancy"),
    "score": ("coverage", "score"),
}
# name -> attribute of a model's predictions
PREDICTED = {
    "predicted_label": "names",
    "predicted_confidence": "confidence",
    "predicted_entropy": "entropy",
    "predicted_margin": "margin",
}
EXCLUDED = "excluded"
ALIASES = {CLUSTER[1]: CLUSTER[0], CLASS[1]: CLASS[0], "file_size": "size", "filepath": "path"}


class RunColumns:
    """The columns of a run, encoded once and kept while the run lives."""

    def __init__(self, run: CuratedRun, full: tuple[CuratedRun, np.ndarray] | None = None) -> None:
        self._run = run
        self._full = full
        self._kept: dict[str, Column] = {}
        self._tags: tuple[Any, Column] | None = None
        self.extra: dict[str, Callable[[], Any]] = {}

    def column(self, name: str) -> Column:
        """The column of that name.

        A metadata column comes before a computed one of the same name; "file.width" and
        "run.cluster" mean the computed one in any case.

        Raises
        ------
        BadInput
            With the nearest names, for a column that does not exist.
        """
        name = ALIASES.get(name, name) if name not in self._run.dataset.columns else name
        if name == TAG:
            return self._tag_column()
        if name == EXCLUDED and name not in self._run.dataset.columns:
            return self._excluded()
        if name in self.extra:  # may change from call to call
            return encode(name, self.extra[name]())
        if name not in self._kept:
            self._kept[name] = self._made(name)
        return self._kept[name]

    def __getitem__(self, name: str) -> Column:
        return self.column(name)

    def __contains__(self, name: object) -> bool:
        return name in self.names() or ALIASES.get(str(name)) in self.names()

    def names(self) -> list[str]:
        """Every name that `column` knows, metadata first."""
        return [info.name for info in self.describe()]

    def describe(self) -> list[ColumnInfo]:
        """What can be requested. Computes nothing."""
        run = self._run
        columns = [ColumnInfo(name, "metadata") for name in dataset_names(run.dataset)]
        columns.append(ColumnInfo(TAG, "tags"))
        if run.dataset.paths is not None or run.dataset.reader is not None:
            here = run.store.has(file_facts.STAGE, self._facts_key())
            columns += [
                ColumnInfo(name, "file", here, file_facts.STAGE) for name in file_facts.FILE
            ]
        if run.dataset.paths is not None:
            columns += [
                ColumnInfo(name, "exif", here, file_facts.STAGE) for name in file_facts.EXIF
            ]
        columns += [
            ColumnInfo(name, "computed", run.ready(stage), stage)
            for name, (stage, _) in COMPUTED.items()
        ]
        predicted = PREDICTED if self._has_predictions else ()
        columns += [ColumnInfo(name, "computed") for name in (*predicted, EXCLUDED, *self.extra)]
        return list({info.name: info for info in reversed(columns)}.values())[::-1]

    # -- the kinds of columns

    def _made(self, name: str) -> Column:
        run = self._run
        known = dataset_column(run.dataset, name)
        if known is not None:
            return known
        plain = name.removeprefix("file.").removeprefix("run.")
        if plain in file_facts.NAMES:
            return self._fact(plain)
        if plain in COMPUTED:
            stage, part = COMPUTED[plain]
            return encode(name, getattr(getattr(run, stage), part))
        if plain in PREDICTED and self._has_predictions:
            values = getattr(run.predictions, PREDICTED[plain])
            return encode(name, values() if callable(values) else values)
        raise unknown_column(name, self.names())

    @property
    def _has_predictions(self) -> bool:
        return bool(self._run.config.predictions)

    def _fact(self, name: str) -> Column:
        if self._full is not None:
            full, rows = self._full
            return full.columns.column(f"file.{name}").take(rows)
        values = np.asarray(self._facts()[name])
        kind = "time" if name in ("modified", "exif_time") else "number"
        if name == "exif_camera":
            return encode(name, values)
        if name == "exif_gps":
            return encode(
                name, np.where(np.isnan(values), "", np.where(values > 0, "true", "false"))
            )
        return Column(name, kind, values.astype(np.float64))

    def _facts(self) -> Mapping[str, np.ndarray]:
        run = self._run

        def make() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            return file_facts.read_facts(run.dataset, run.tick(file_facts.STAGE)), {}

        return run.store.get(file_facts.STAGE, self._facts_key(), make, about=run.about())[0]

    def _facts_key(self) -> str:
        return digest([file_facts.STAGE, file_facts.VERSION, self._run.dataset.fingerprint])

    def _tag_column(self) -> Column:
        if self._full is not None:
            full, rows = self._full
            return full.columns.column(TAG).take(rows)
        stamp = history.stamp(tags.KIND, self._run.dataset.fingerprint, self._run.store.home)
        if self._tags is None or self._tags[0] != (stamp, self._run.tagged_by is None):
            column = tags.tag_column(self._run.dataset.ids, self._run.tags, self._source_tags())
            self._tags = ((stamp, self._run.tagged_by is None), column)
        return self._tags[1]

    def _source_tags(self) -> Column | None:
        for name in SOURCE_TAGS:
            if name in self._run.dataset.columns:
                return tags.source_tags(self._run.dataset.columns[name])
        return None

    def _excluded(self) -> Column:
        """Whether the user excluded an image from every selection; may change at any time."""
        ids = self._run.dataset.ids
        positions = positions_of(ids, self._run.excluded_ids)
        mask = np.zeros(len(ids), bool)
        mask[positions[positions >= 0]] = True
        return encode(EXCLUDED, mask)

    def set_column(self, name: str, values: Any) -> None:
        """Add a column of your own, (N,) values in source order, for as long as the run lives.

        Raises
        ------
        CoresetError
            Where there are not N values.
        """
        values = np.asarray(values)
        n = len(self._run.dataset)
        if values.shape != (n,):
            raise CoresetError(f"column {name!r} has shape {values.shape}; give {n:,} values.")
        self._kept[name] = encode(name, values)
