"""The contract of every selection method: its parameters, its answer, its errors.

A method is a function of this signature with a row in `core.registry`. The docstrings of the
methods refer to this one and say only what is their own: which artefacts they read, their config,
and what in their answer is special.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from coreset_engine.core.types import Artefacts, Ranking


class SelectionMethod(Protocol):
    """A function that ranks the images of a source."""

    def __call__(
        self,
        inputs: Artefacts,
        k: int,
        config: Any,
        seed: int,
        *,
        preselected: np.ndarray | None = None,
    ) -> Ranking:
        """Rank the images.

        Parameters
        ----------
        inputs : Artefacts
            N images with their artefacts: ids (N,) str; vectors (N, D) float32 or float16, finite;
            neighbours (N, n) int64 with distances float32; pseudo-labels (N,) int64; dynamics and
            coverage scores (N,) each. A method reads those that its row names in `needs`.
        k : int
            Images to keep, 1 <= k <= N. The order of a nested method does not depend on it.
        config : dataclass
            An instance of the row's config class, its fields converted and within their bounds
            (`core.config.make`).
        seed : int
            Of what the row names in `random`; ties are broken by a key of seed and image id, so
            that the order in which a source lists its images changes nothing.
        preselected : ndarray, (P,) int64, optional
            Distinct positions in [0, N) that are kept already, P <= k; None = none. A method that
            places images relative to each other places the others as if these were kept. The order
            may hold them or not: `select` puts them first and fills up to k from the order.

        Returns
        -------
        Ranking
            `order`: (M,) int64 distinct positions, k <= M <= N, best first, or
            hard to easy where the method prunes at both ends. `scores`: (N,) float64. `weights`:
            (N,) float64 >= 0, or None = all 1. `nested`: whether the first k' of the order are the
            choice for every k'. `info`: JSON-able, with a `reason` in words where there is one.

        Raises
        ------
        BadInput
            For a config that does not fit the data; says the remedy.
        Missing
            For an artefact that cannot exist, such as true labels of an unlabelled source.
        """
