"""The registries: name -> (function, config, summary, what it needs).

Forms, command-line help, documentation and contract tests all read these rows. A new method is one
function and one row; nothing here imports another package before it is needed.
"""

from __future__ import annotations

from coreset_engine.core.registry.coverage_methods import COVERAGE
from coreset_engine.core.registry.dynamics_methods import DYNAMICS
from coreset_engine.core.registry.general_methods import GENERAL
from coreset_engine.core.registry.gradient_methods import GRADIENTS
from coreset_engine.core.registry.models import CLUSTERERS, ENCODERS, EXECUTORS, PROXIES
from coreset_engine.core.registry.rows import ANY_SIZE, MethodRow, Row, load, look_up

__all__ = [
    "ANY_SIZE",
    "BASELINE",
    "CLUSTERERS",
    "DEFAULT_METHOD",
    "ENCODERS",
    "EXECUTORS",
    "METHODS",
    "PROXIES",
    "MethodRow",
    "Row",
    "featured",
    "load",
    "look_up",
    "portfolio",
]

BASELINE = "random"  # the method every other one is compared with
DEFAULT_METHOD = "auto"
METHODS: dict[str, MethodRow] = GENERAL | COVERAGE | DYNAMICS | GRADIENTS


def portfolio(n_images: int) -> tuple[str, ...]:
    """Names of the methods that `auto` and the forecast consider for so many images."""
    return tuple(row.name for row in METHODS.values() if row.portfolio >= n_images)


def featured() -> list[str]:
    """Names of the methods that are offered first, the default one before the others."""
    names = [row.name for row in METHODS.values() if row.featured]
    return sorted(names, key=lambda name: name != DEFAULT_METHOD)
