"""A subset of a run with the interface that a forecast needs.

A selection among the images that pass a filter is made from these alone, so its forecast is too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.types import Artefacts
from coreset_engine.selection.candidates import Pool


class Part(Pool):
    """The images of `run` at `positions` (M,) int64, ascending, with a place in the run's store.

    Labels from people are those of the run, at these images.
    """

    def __init__(self, run: Artefacts, positions: np.ndarray) -> None:
        super().__init__(run, positions)
        self.store = getattr(run, "store", None)
        self.imported = getattr(run, "imported", None)
        self._ids_digest = digest([str(key) for key in self.dataset.ids])

    def key_of(self, stage: str, **params: Any) -> str:
        """Of the run's stage at these images."""
        key_of = getattr(self._inputs, "key_of", None)
        made_from = key_of(stage, **params) if key_of else self.dataset.fingerprint
        return digest(["part", made_from, self._ids_digest])

    def about(self) -> dict[str, Any]:
        """As the run's."""
        record: dict[str, Any] = self._inputs.about()  # type: ignore[attr-defined]
        return record
