"""Coreset Explorer's engine: choose the images of an unlabelled set worth labelling.

Public names (DESIGN section 4) are loaded on first use, so that `import coreset_engine` costs
nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from coreset_engine.core.module_aliases import ENGINE, install

__version__ = "0.1.0"

_PUBLIC = {
    "open_source": "coreset_engine.sources.open",
    "embed": "coreset_engine.pipeline.run",
    "neighbours": "coreset_engine.embedding.neighbours.search",
    "coverage_scores": "coreset_engine.coverage.scores",
    "pseudo_labels": "coreset_engine.clustering.pseudo_labels",
    "training_dynamics": "coreset_engine.training.dynamics",
    "double_end": "coreset_engine.selection.budget",
    "loss_weights": "coreset_engine.selection.budget",
    "Run": "coreset_engine.pipeline.run",
    "select": "coreset_engine.pipeline.select",
    "clean": "coreset_engine.pipeline.clean",
    "compare_sources": "coreset_engine.pipeline.compare_sources",
    "next_round": "coreset_engine.pipeline.next_round",
    "keep_labels": "coreset_engine.pipeline.label_rounds",
    "label_errors": "coreset_engine.evaluation.label_errors",
    "estimate_rounds": "coreset_engine.evaluation.round_estimate",
    "forecast": "coreset_engine.pipeline.forecast_stage",
    "find": "coreset_engine.curation.search",
    "tag": "coreset_engine.curation.tagging",
    "Filter": "coreset_engine.core.filters",
    "update": "coreset_engine.evaluation.update",
    "METHODS": "coreset_engine.core.registry",
    "ENCODERS": "coreset_engine.core.registry",
    "CoresetError": "coreset_engine.core.errors",
    "BadInput": "coreset_engine.core.errors",
}
__all__ = ["__version__", *_PUBLIC]
install("coreset_engine", ENGINE)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'coreset_engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
