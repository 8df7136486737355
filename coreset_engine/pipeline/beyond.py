"""The vectors of another source for a selection that goes beyond it, by the run's own encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.run import Run


def other_vectors(spec: str, run: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """(vectors (M, D) of the source `spec`, what a manifest says of it).

    Raises
    ------
    BadInput
        When it cannot be opened, or only one of the two sources brings vectors of its own.
    """
    own = getattr(run, "whole", run)
    dataset = own.executor.open_source(spec, own.tick("opening"))
    if (dataset.vectors is None) != (own.dataset.vectors is None):
        brings = "the other source" if dataset.vectors is not None else "this source"
        raise BadInput(
            f"{brings} brings vectors of its own and the other of the two does not, so their "
            "distances mean different things; give two sources of images, or two of vectors."
        )
    other = Run(dataset, own.config, own.executor, store=own.store, progress=own.progress)
    about = dict(source=dataset.spec, fingerprint=dataset.fingerprint, images=len(dataset))
    return np.asarray(other.vectors), about
