"""Finished inclusion probabilities in the store: how often draws kept each image.

They are computed by `evaluation.inclusion`; read here, because a selection folder has them as a
column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import digest
from coreset_engine.core.types import Selection
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.sampled_run import Sampled, full_run_of

STAGE = "inclusion"
STABLE = 0.95


@dataclass(frozen=True, eq=False)
class Inclusion:
    """How often each image was kept.

    share: (N,) float32 in [0, 1], the draws that kept an image. draws: how many. agreement: mean
    Jaccard index of two draws (1 = always the same images).
    """

    share: np.ndarray
    draws: int
    method: str
    prune_rate: float
    encoders: tuple[str, ...]
    agreement: float

    @property
    def core(self) -> int:
        """Images kept in at least 95 % of the draws."""
        return int((self.share >= STABLE).sum())

    @property
    def never(self) -> int:
        """Images that no draw kept."""
        return int((self.share == 0).sum())


def finished(run: Run | Sampled) -> list[Inclusion]:
    """Every finished inclusion of this run's images, newest first.

    Of a sampled run, at its sample. Computes nothing.
    """
    return [record for _, record in stored(run)]


def of_selection(run: Run | Sampled, selection: Selection) -> Inclusion | None:
    """The finished inclusion of this method, rate and parameters with the most draws; or None."""
    base = base_of(run, selection)
    fitting = [record for about, record in stored(run) if about["base"] == base]
    return max(fitting, key=lambda record: record.draws, default=None)


def base_of(run: Run | Sampled, selection: Selection) -> str:
    """Key of repeated draws: images, method and parameters, without the seed."""
    params = {name: value for name, value in selection.params.items() if name != "seed"}
    return digest([full_run_of(run).dataset.fingerprint, selection.method, params])


def stored(run: Run | Sampled) -> list[tuple[dict[str, Any], Inclusion]]:
    folder = run.store.home / "artefacts" / STAGE
    records = []
    full_run = full_run_of(run)
    for path in sorted(folder.glob("[!.]*/manifest.json"), key=lambda p: -p.stat().st_mtime):
        about = filesystem.read_json(path) or {}
        if (about.get("about") or {}).get("source") == full_run.dataset.fingerprint:
            arrays, info = run.store.read(STAGE, path.parent.name)
            if isinstance(run, Sampled):
                arrays = dict(share=arrays["share"][run.rows])
            records.append((info, record(arrays, info)))
    return records


def record(arrays: dict[str, np.ndarray], info: dict[str, Any]) -> Inclusion:
    return Inclusion(
        arrays["share"],
        info["draws"],
        info["method"],
        info["prune_rate"],
        tuple(info["encoders"]),
        info["agreement"],
    )
