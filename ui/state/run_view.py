"""An opened dataset and its run, as pages see them: finished stages only, nothing is computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.types import Dataset, Dynamics
from coreset_engine.pipeline.config import RunConfig

if TYPE_CHECKING:
    from coreset_engine.pipeline.run import Run
    from coreset_engine.pipeline.sampled_run import Sampled

STAGES = ("embeddings", "neighbours", "pseudo_labels", "dynamics", "coverage", "map")


@dataclass(frozen=True, eq=False)
class RunView:
    """An opened dataset and its Run for pages: `run.<artefact>` only after `ready(<artefact>)`."""

    spec: str
    dataset: Dataset
    run: Run | Sampled
    config: RunConfig
    full: RunView | None = None  # of a set too large to draw, whose sample this is
    outdated: bool = False  # results of earlier settings or corrections, shown until the new ones

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def encoder(self) -> str:
        return self.config.encoder

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def n_clusters(self) -> int | None:
        return self.config.n_clusters

    @property
    def full_run(self) -> Run:
        """The run over all images, also where this view shows a sample."""
        return cast("Run", (self.full or self).run)

    @property
    def job_params(self) -> dict[str, Any]:
        """What a job needs, besides the spec, to work on this very run."""
        return {"run": self.config.to_record()}

    def ready(self, *stages: str) -> bool:
        """True when every named stage (see STAGES) is in the store. Never computes."""
        return all(_ready(self.run, stage) for stage in stages)

    def key_of(self, stage: str) -> str:
        """The key of the stage's artefact; changes when anything it was made from changes."""
        return str(self.run.key_of(stage))

    def size(self, stage: str) -> int:
        """Bytes on disk of a finished stage."""
        return int(self.run.size_of(stage))

    def true_dynamics(self) -> Dynamics | None:
        """Dynamics trained on true labels when they are in the store, else None.

        Never computes.
        """
        return self.run.dynamics_at(labels="true") if self.ready("true_dynamics") else None

    def missing(self, stages: Iterable[str] = STAGES) -> list[str]:
        return [stage for stage in stages if not self.ready(stage)]


def _ready(run: Run | Sampled, stage: str) -> bool:
    try:
        return bool(run.ready(stage))
    except CoresetError:
        return False
