"""Coreset Explorer's engine: choose the part of an unlabelled image set worth labelling and training on.

Public names (DESIGN section 4) are loaded on first use, so that `import coreset_engine` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "open_source": "coreset_engine.sources.opening",
    "embed": "coreset_engine.run.pipeline",
    "neighbours": "coreset_engine.embedding.neighbourhood",
    "coverage_scores": "coreset_engine.coverage.scores",
    "pseudo_labels": "coreset_engine.difficulty.clustering",
    "training_dynamics": "coreset_engine.difficulty.dynamics",
    "double_end": "coreset_engine.selection.arithmetic",
    "loss_weights": "coreset_engine.selection.arithmetic",
    "Run": "coreset_engine.run.pipeline",
    "select": "coreset_engine.run.selecting",
    "METHODS": "coreset_engine.registry",
    "ENCODERS": "coreset_engine.registry",
    "CoresetError": "coreset_engine.errors",
    "BadInput": "coreset_engine.errors",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'coreset_engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
