"""SemiPrune: difficulty on labels spread from a pilot (Cho et al. 2026, arXiv 2605.23198).

Labels of a small random pilot are propagated to all images; training dynamics on them give the
difficulty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.budget import cut_count, settled_beta
from coreset_engine.selection.canonical_order import NONE_PRESELECTED, by_key
from coreset_engine.selection.methods.baselines import rank_scores
from coreset_engine.selection.methods.graphs import similarity


@dataclass(frozen=True)
class SemipruneConfig:
    """Cho et al. 2026, with embeddings instead of pixels."""

    pilot: float = knob(
        0.1,
        "share of the images, drawn at random, whose true label is read; where some labels are "
        "unknown, the known ones are the pilot",
        low=0.0001,
        high=1.0,
    )
    keep: float = knob(
        0.9, "share of its neighbours' labels that an image adopts in a step", low=0.0, high=0.999
    )
    beta: float | None = knob(
        None,
        "hard cut: share of the whole set dropped first as hardest; none = by the pruning "
        "rate, as ELFS' table 7 on average",
        low=0.0,
        high=1.0,
        step=0.01,
    )


@by_key
def semiprune(
    inputs: Artefacts,
    k: int,
    config: SemipruneConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Double-end pruning by AUM under semi-supervised labels.

    The labels of a pilot, and of `preselected`, are read; no others. They are spread over the
    neighbour graph; a linear proxy is trained on the labels that come out, pilot included, and its
    AUM prunes both ends as ELFS does.

    Deviations: the paper trains a network on pixels by FixMatch and collects the dynamics of a
    ResNet; here both steps work on the vectors. info: pilot, how many labels were read.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, neighbours are read.
    config : SemipruneConfig
        Share of labels read, share kept in a spreading step, hard cut beta.

    Returns
    -------
    Ranking
        Hard to easy, nested for a given beta; info: beta, pilot.

    References
    ----------
    Cho et al. 2026: pilot, semi-supervised labels, pseudo-label-induced dynamics, then any
    supervised pruning method; the released program prunes by AUM with a hard cut.
    """
    from coreset_engine.selection.kernels.linear_proxy import inputs_of
    from coreset_engine.selection.kernels.proxy_dynamics import mean_margins

    links = similarity(inputs.neighbours)
    truth = np.asarray(inputs.labels, np.int64)
    known = pilot_of(truth, config.pilot, preselected)
    labels, n_classes = _spread_labels(inputs, links, known, truth[known], config.keep)
    n = len(truth)
    hard = np.zeros(n)
    if n_classes > 1:
        hard = -mean_margins(inputs_of(inputs), labels, n_classes, seed)
    beta, reason = settled_beta(config.beta, min(k, n), n)
    hard_first = np.argsort(-hard, kind="stable")
    cut = cut_count(n, beta)
    order = np.concatenate([hard_first[cut:], hard_first[:cut][::-1]]).astype(np.int64)
    info = {"beta": beta, "pilot": len(known), "reason": f"{reason}; {len(known)} labels read"}
    nested = config.beta is not None or k == n
    return Ranking(order, rank_scores(order, n), nested, info=info)


def pilot_of(truth: np.ndarray, share: float, preselected: np.ndarray) -> np.ndarray:
    """(M,) int64 positions whose label may be read.

    All known ones (>= 0) where some are unknown; else the first `share` of the images, which under
    `by_key` is a random sample, and `preselected`.
    """
    known = truth >= 0
    if known.any() and not known.all():
        return np.flatnonzero(known)
    size = max(2, int(share * len(truth) + 0.5))
    return np.union1d(np.arange(min(size, len(truth))), preselected).astype(np.int64)


def _spread_labels(
    inputs: Artefacts, links: csr_matrix, known: np.ndarray, labels: np.ndarray, keep: float
) -> tuple[np.ndarray, int]:
    """(N,) int64 in [0, C), and C: the classes of the pilot.

    Images that no label reaches take the class whose pilot images have the nearest mean.
    """
    from coreset_engine.selection.kernels.label_spreading import spread_labels
    from coreset_engine.selection.kernels.vectors import comparable

    names, own = np.unique(labels, return_inverse=True)
    scores = spread_labels(links, known, own, keep)
    argmax = scores.argmax(axis=1)
    lost = np.flatnonzero(scores.max(axis=1) <= 0)
    if len(lost):
        rows = comparable(inputs, "cosine", 128)
        centres = np.stack([rows[known[own == c]].mean(axis=0) for c in range(len(names))])
        square = np.einsum("cd,cd->c", centres, centres)
        argmax[lost] = (square - 2 * rows[lost] @ centres.T).argmin(axis=1)
    argmax[known] = own
    return argmax, len(names)
