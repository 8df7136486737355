"""The public `select`: a method by name on a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coreset_engine.core.types import Artefacts, Selection
from coreset_engine.selection.select import choose


def select(
    method: str,
    run: Artefacts,
    prune_rate: float = 0.9,
    must_keep: Iterable[str] = (),
    never: Iterable[str] = (),
    **params: Any,
) -> Selection:
    """The coreset of `method` ("elfs", "blindcs", ...) at `prune_rate`; computes what the method
    needs, once."""
    return choose(
        method,
        run,
        prune_rate=prune_rate,
        must_keep=must_keep,
        never=never,
        **{"seed": run.seed} | params,
    )
