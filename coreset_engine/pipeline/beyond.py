"""Another source by the run's own encoder: to compare with, or to select beyond."""

from __future__ import annotations

from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.sampled_run import Sampled, full_run_of


def run_of(spec: str, run: Run | Sampled, dataset: Dataset | None = None) -> Run:
    """A run over the source `spec` with the settings and the workspace of `run`.

    Parameters
    ----------
    spec
        Any source.
    run
        A run, or a sampled one.
    dataset
        The source where it is open already.

    Raises
    ------
    BadInput
        When it cannot be opened, or only one of the two sources brings vectors of its own.
    """
    own = full_run_of(run)
    other = own.opened.get(spec)
    dataset = dataset or other or own.executor.open_source(spec, own.tick("opening"))
    if (dataset.vectors is None) != (own.dataset.vectors is None):
        both = ("the other source", "this source")
        with_vectors, without = both if dataset.vectors is not None else reversed(both)
        raise BadInput(
            f"{with_vectors} has its own vectors and {without} does not, so their distances are "
            "not comparable; give two sources of images, or two of vectors."
        )
    return Run(dataset, own.config, own.executor, store=own.store, progress=own.progress)


def other_vectors(spec: str, run: Run | Sampled) -> tuple[np.ndarray, dict[str, Any]]:
    """(vectors (M, D) of the source `spec`, what a manifest says of it).

    Raises
    ------
    BadInput
        As `run_of`.
    """
    other = run_of(spec, run)
    dataset = other.dataset
    about = dict(source=dataset.spec, fingerprint=dataset.fingerprint, images=len(dataset))
    return np.asarray(other.vectors), about
