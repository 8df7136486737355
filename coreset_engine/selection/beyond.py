"""Choosing from one source what another one lacks: the other's images count as kept already.

A method that places images relative to each other sees both sets together, with the other's images
as preselected; they take no place in the budget and never appear in the answer.
"""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Artefacts, Dataset, Ranking
from coreset_engine.selection.contract import SelectionMethod


class Beyond:
    """`inputs` together with the vectors (M, D) of another source, which are not part of it.

    Everything but `other` is that of `inputs`.
    """

    def __init__(self, inputs: Artefacts, other: np.ndarray) -> None:
        width = inputs.vectors.shape[1]
        if other.shape[1] != width:
            raise BadInput(
                f"the other source's vectors have {other.shape[1]} dimensions and this one's "
                f"{width}; give sources that were embedded by the same encoder."
            )
        self.inputs = inputs
        self.other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inputs, name)

    def pool(self, positions: np.ndarray) -> Both:
        """The images at `positions` (P,) int64, followed by the other source's."""
        return Both(self.inputs, self.other, positions)


class Both:
    """What a method may ask for of P images of a source and M of another: ids, vectors, seed."""

    def __init__(self, inputs: Artefacts, other: np.ndarray, positions: np.ndarray) -> None:
        self.seed = inputs.seed
        self.n_own = len(positions)
        self.n_other = len(other)
        own = np.asarray(inputs.vectors[positions])
        self.vectors = np.concatenate([own, np.asarray(other, own.dtype)])
        ids = [str(key) for key in inputs.dataset.ids[positions]]
        ids += [f"\0other {row}" for row in range(len(other))]
        self.dataset = Dataset(
            inputs.dataset.spec, np.array(ids), f"{inputs.dataset.fingerprint} beyond"
        )


def rank_beyond(
    method: SelectionMethod,
    both: Both,
    k: int,
    config: Any,
    seed: int,
    preselected: np.ndarray,
) -> Ranking:
    """The method's ranking of the P own images alone, the other source's being kept already.

    Parameters
    ----------
    method
        Called as `method(inputs, k, config, seed, preselected)`.
    both
        P own images followed by those of the other source.
    k
        Own images to keep, 1 <= k <= P.
    config, seed
        Of the method.
    preselected
        (Q,) int64 own positions that are kept too, Q <= k.

    Returns
    -------
    Ranking
        Order, scores (P,) and weights (P,) or None, of own images only.
    """
    kept = np.concatenate([preselected, both.n_own + np.arange(both.n_other)]).astype(np.int64)
    inputs = cast(Artefacts, both)  # such a method reads ids, vectors and seed alone
    ranked = method(inputs, k + both.n_other, config, seed, preselected=kept)
    order = np.concatenate([preselected, ranked.order]).astype(np.int64)
    order = order[order < both.n_own]
    order = order[np.sort(np.unique(order, return_index=True)[1])]
    weights = None if ranked.weights is None else ranked.weights[: both.n_own]
    return dataclasses.replace(
        ranked, order=order, scores=ranked.scores[: both.n_own], weights=weights
    )
