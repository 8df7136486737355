"""Settings of the forecast without heavy imports, for forms and the command line."""

from __future__ import annotations

from dataclasses import dataclass

from coreset_engine.core.config import knob


@dataclass(frozen=True)
class ForecastConfig:
    """How surrogate tasks are made and how candidates are judged."""

    coarsest: int = knob(10, "number of clusters of the coarsest surrogate task", low=2, high=1000)
    n_tasks: int = knob(
        4,
        "number of surrogate tasks, each with twice the clusters of the previous one",
        low=1,
        high=8,
    )
    n_components: int = knob(
        128, "number of principal components used by the judge", low=2, high=1024
    )
    n_judged: int = knob(
        2000, "maximum number of images the judge is tested on", low=100, high=1_000_000
    )
    penalty: float = knob(
        0.3, "ridge penalty: share of a component's mean square", low=1e-6, high=10.0
    )
    n_random: int = knob(
        5, "number of random coresets of the same size to compare with", low=2, high=100
    )
