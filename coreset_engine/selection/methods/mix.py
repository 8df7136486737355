"""`mix`: several aims in one selection, each with a weight, by greedy choice of the largest sum.

Each term lies in [0, 1], so that weights compare. Typicality, difficulty, similarity and an own
score are ranks among all images (0 = lowest, 1 = highest, ties share their mean rank). Diversity
and balance depend on what is kept already and fall as more is kept. What each term added when an
image was kept is a column of the selection: mix_diversity, mix_typicality, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from coreset_engine.core.config import knob
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Artefacts, Neighbours, Ranking
from coreset_engine.selection.canonical_order import by_key
from coreset_engine.selection.columns import columns_of
from coreset_engine.selection.constraints import column
from coreset_engine.selection.kernels.greedy import Links
from coreset_engine.selection.kernels.weighted_greedy import Coupled, weighted_greedy
from coreset_engine.selection.methods.baselines import LABELS, rank_scores
from coreset_engine.selection.methods.scored import hardness
from coreset_engine.selection.queries import similarity_to

TERMS = ("diversity", "typicality", "difficulty", "balance", "similarity", "own")
TYPICAL = 20  # neighbours over which typicality is averaged (Hacohen et al. 2022)
_EQUAL = 1e-6  # cosine distance within which float32 vectors are the same


@dataclass(frozen=True)
class MixConfig:
    """Weights of the terms, 0 = left out; and what the terms look at."""

    diversity: float = knob(1.0, "far from what is kept", low=0.0, high=100.0, step=0.1)
    typicality: float = knob(0.5, "in a dense neighbourhood", low=0.0, high=100.0, step=0.1)
    difficulty: float = knob(0.0, "hard by training dynamics", low=0.0, high=100.0, step=0.1)
    balance: float = knob(
        0.0, "of an underrepresented value of the column `by`", low=0.0, high=100.0, step=0.1
    )
    similarity: float = knob(0.0, "similar to the query", low=0.0, high=100.0, step=0.1)
    own: float = knob(0.0, "high in the column `column`", low=0.0, high=100.0, step=0.1)
    by: str = knob("cluster", "column that is balanced: cluster, class, folder or metadata")
    query: str = knob("", 'similarity to: comma-separated ids, or "text: ..."')
    column: str = knob("", "column of numbers for `own`, high = better")
    score: str = knob(
        "aum",
        "difficulty: aum (low = hard) or another score of the dynamics",
        choices=("aum", "forgetting", "el2n", "entropy", "dyn_unc"),
    )
    labels: str = knob("pseudo", "labels of the training dynamics", choices=LABELS)


@by_key
def mix(
    inputs: Artefacts,
    k: int,
    config: MixConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Greedy on the weighted sum of the terms.

    diversity: distance to the nearest kept image among its neighbours in the graph, over the median
    distance of a 50th neighbour, at most 1; 1 where none of its neighbours is kept.
    balance: 1 - c / (k / V), at least 0, where c images of its value are kept and there are V
    values.
    typicality: rank of the mean similarity to its 20 nearest neighbours.
    similarity, own, difficulty: ranks of the cosine to the query, the column, the score.

    The sum of what is gained is not submodular in general, but every term falls as more is kept, so
    that the largest gain is found lazily (Minoux 1978) and is exact at each step.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; neighbours are read.
    config : MixConfig
        Weights >= 0 of the terms, and the column, query or score that a term looks at.

    Returns
    -------
    Ranking
        Nested where no term depends on k; columns: what each term adds, by image.

    Raises
    ------
    BadInput
        Where all weights are 0, or a term lacks its query or column.
    """
    weights = {name: float(getattr(config, name)) for name in TERMS}
    if not any(weights.values()):
        raise BadInput(
            f"every weight of mix is 0; set one of {', '.join(TERMS)} above 0, for example "
            "diversity=1."
        )
    static = _static_terms(inputs, config, weights)
    coupled = Coupled(
        weights["diversity"],
        *_links(inputs.neighbours),
        weights["balance"],
        *_groups(inputs, config, weights, k),
    )
    total = np.zeros(len(inputs.dataset))
    for name, values in static.items():
        total += weights[name] * values
    first = np.empty(0, np.int64) if preselected is None else preselected
    order, diversity, balance = weighted_greedy(total, coupled, first, max(k, len(first)))
    terms = {name: weights[name] * values for name, values in static.items()}
    terms |= {"diversity": diversity, "balance": balance}
    columns = {f"mix_{name}": terms[name] for name in TERMS if weights[name] > 0}
    summary = ", ".join(f"{name} x {weights[name]:g}" for name in TERMS if weights[name] > 0)
    info = {"reason": f"largest sum of {summary}", "terms": _shares(columns, order)}
    nested = not weights["balance"]
    return Ranking(order, rank_scores(order, len(total)), nested=nested, info=info, columns=columns)


def _static_terms(
    inputs: Artefacts, config: MixConfig, weights: dict[str, float]
) -> dict[str, np.ndarray]:
    """name -> (N,) float64 in [0, 1] of the terms that do not depend on what is kept."""
    terms = {}
    if weights["typicality"]:
        terms["typicality"] = percentile(_typicality(inputs.neighbours))
    if weights["difficulty"]:
        dynamics = inputs.dynamics_at(labels=config.labels)
        terms["difficulty"] = percentile(hardness(dynamics, config.score))
    if weights["similarity"]:
        if not config.query.strip():
            raise BadInput(
                "mix: similarity needs a query; give query=ID (or several, comma-separated), or "
                "similarity=0."
            )
        terms["similarity"] = percentile(similarity_to(inputs, config.query))
    if weights["own"]:
        if not config.column:
            raise BadInput("mix: own needs a column of numbers; give column=NAME, or own=0.")
        terms["own"] = percentile(columns_of(inputs).column(config.column).numbers())
    return terms


def percentile(values: np.ndarray) -> np.ndarray:
    """(N,) float64 in [0, 1]: ranks, ties sharing their mean; NaN (missing) counts as 0.

    A constant column is 0.5 for all.
    """
    values = np.asarray(values, np.float64)
    percentiles = np.zeros(len(values))
    there = np.flatnonzero(~np.isnan(values))
    if len(there) == 1:
        percentiles[there] = 1.0
    elif len(there):
        percentiles[there] = (rankdata(values[there]) - 1) / (len(there) - 1)
    return percentiles


def _typicality(neighbours: Neighbours) -> np.ndarray:
    """(N,) float64: minus the mean distance to the nearest neighbours that are there."""
    distances = np.asarray(neighbours.distances[:, :TYPICAL], np.float64)
    there = np.isfinite(distances)
    counts = there.sum(axis=1)
    sums = np.where(there, distances, 0.0).sum(axis=1)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    mean = np.where(np.isinf(mean), mean[np.isfinite(mean)].max(initial=0.0) + 1, mean)
    return -mean.round(9)


def _links(neighbours: Neighbours) -> tuple[Links, float]:
    """(symmetric graph with distances, the distance that counts as far)."""
    from scipy.sparse import coo_matrix

    there = (neighbours.indices >= 0) & np.isfinite(neighbours.distances)
    rows, columns = np.nonzero(there)
    n = len(neighbours.indices)
    farthest = np.where(there, neighbours.distances, -1.0).max(axis=1, initial=-1.0)
    far = farthest[farthest >= 0]
    to = neighbours.indices[rows, columns]
    # stored one higher: a sparse matrix adds what stands twice and drops zeros
    weight = np.asarray(neighbours.distances[rows, columns], np.float64) + 1
    graph = coo_matrix((weight, (rows, to)), shape=(n, n)).tocsr()
    both = graph.maximum(graph.T).tocsr()
    links = Links(both.indptr.astype(np.int64), both.indices.astype(np.int64), both.data - 1)
    return links, max(float(np.median(far)) if len(far) else 1.0, _EQUAL)


def _groups(
    inputs: Artefacts, config: MixConfig, weights: dict[str, float], k: int
) -> tuple[np.ndarray, float]:
    """((N,) int64 group of each image, images of each group that are wanted)."""
    if not weights["balance"]:
        return np.zeros(len(inputs.dataset), np.int64), float(max(k, 1))
    values = column(inputs, config.by, "balance")
    names, group = np.unique(values, return_inverse=True)
    return group.astype(np.int64), max(k / len(names), 1.0)


def _shares(columns: dict[str, np.ndarray], order: np.ndarray) -> dict[str, float]:
    """Mean of each term over the images kept: what the choice was made of."""
    return {name.removeprefix("mix_"): float(part[order].mean()) for name, part in columns.items()}
