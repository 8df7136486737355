"""The judge: how well a coreset's surrogate labels predict those of other images.

Ridge regression on one-hot labels, all tasks at once: one factorisation of a d x d matrix judges a
candidate, so that hundreds of candidates take seconds. What counts are images outside the coreset.
Where the coreset holds nearly all of those judged, images inside it are predicted as if they had
been left out, which for ridge regression has a closed form (Allen 1974, PRESS).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.forecasting.config import ForecastConfig
from coreset_engine.forecasting.surrogates import Features, SurrogateTasks

_FEWEST_OUTSIDE = 50  # judged images outside the coreset below which those inside count as well


@dataclass(frozen=True, eq=False)
class Judge:
    """Inputs and targets of the ridge regression.

    Attributes
    ----------
    inputs : ndarray, (N, d + 1) float32
        Features and a last column of ones.
    tasks
        The surrogate tasks.
    judged : ndarray, (M,) int64
        Ascending positions of the images accuracies are taken over.
    penalty : float
        Ridge penalty as a share of the mean square of a component over the coreset; the intercept
        is free.
    """

    inputs: np.ndarray
    tasks: SurrogateTasks
    judged: np.ndarray
    penalty: float


@dataclass(frozen=True, eq=False)
class Accuracies:
    """Accuracies of one candidate in each of T tasks, in [0, 1].

    Attributes
    ----------
    micro : ndarray, (T,) float64
        Share of judged images predicted right.
    macro : ndarray, (T,) float64
        Mean over classes of the share of each class's images predicted right.
    outside : bool
        Whether they are over images outside the coreset alone.
    """

    micro: np.ndarray
    macro: np.ndarray
    outside: bool = True


def make_judge(
    features: Features,
    tasks: SurrogateTasks,
    config: ForecastConfig,
    order: np.ndarray | None = None,
) -> Judge:
    """Prepare the judge: a ridge classifier of the surrogate tasks, tested on a sample of images.

    Parameters
    ----------
    features
        (N, d) inputs, from `make_features`.
    tasks
        Surrogate labels of the same N images.
    config
        `n_judged`, how many images are tested on, and `penalty` of the ridge.
    order
        (N,) int64, a permutation whose first `n_judged` images are judged; None = source order.
    """
    n = len(features.inputs)
    inputs = np.concatenate([features.inputs, np.ones((n, 1), np.float32)], axis=1)
    judged = np.arange(n) if order is None else order
    return Judge(inputs, tasks, np.sort(judged[: config.n_judged]), config.penalty)


def accuracies(judge: Judge, positions: np.ndarray) -> Accuracies:
    """Train on the images at `positions` and test on the judged images.

    Parameters
    ----------
    judge
        From `make_judge`.
    positions : ndarray, (k,) int64, distinct
        The candidate coreset.
    """
    chosen = judge.inputs[positions]
    inverse = _inverse_gram(chosen, judge.penalty)
    inside = np.isin(judge.judged, positions)
    outside = (~inside).sum() >= _FEWEST_OUTSIDE
    judged = judge.judged[~inside] if outside else judge.judged
    rows = judge.inputs[judged].astype(np.float64)
    leverage = np.zeros(len(rows))
    if not outside:
        own = rows[inside]
        leverage[inside] = np.einsum("ij,ij->i", own @ inverse, own)
    micro = []
    macro = []
    tasks = judge.tasks
    sums = _class_sums(chosen, tasks.labels[:, positions], tasks.n_classes)
    for labels, n_classes, moments in zip(tasks.labels, tasks.n_classes, sums, strict=True):
        truth = labels[judged]
        right = _left_out_argmax(rows @ (inverse @ moments), truth, leverage) == truth
        micro.append(right.mean())
        macro.append(_mean_over_classes(right, truth, n_classes))
    return Accuracies(np.array(micro), np.array(macro), bool(outside))


def _left_out_argmax(predicted: np.ndarray, truth: np.ndarray, leverage: np.ndarray) -> np.ndarray:
    """(M,) class predicted without the image itself.

    Left out, the prediction is (y_hat - h y) / (1 - h), which has the order of y_hat - h y, as
    h < 1.
    """
    predicted[np.arange(len(truth)), truth] -= np.minimum(leverage, 1 - 1e-6)
    predicted_class: np.ndarray = predicted.argmax(axis=1)
    return predicted_class


def _inverse_gram(inputs: np.ndarray, penalty: float) -> np.ndarray:
    """(d + 1, d + 1) float64: (A'A + ridge I)^-1, the intercept without penalty."""
    gram = (inputs.T @ inputs).astype(np.float64)
    d = len(gram) - 1
    ridge = np.full(d + 1, max(penalty * float(np.trace(gram) - gram[d, d]) / max(d, 1), 1e-9))
    ridge[-1] = 1e-9 * len(inputs)
    return np.linalg.inv(gram + np.diag(ridge))


def _class_sums(
    inputs: np.ndarray, labels: np.ndarray, n_classes: tuple[int, ...]
) -> list[np.ndarray]:
    """For each task (d + 1, C) float64: A'Y for one-hot Y, the sums of the rows of each class.

    labels: (T, k). One sparse product sums for all tasks: row i counts in T of sum(C) columns.
    """
    from scipy.sparse import csr_matrix

    ends = np.cumsum(n_classes)
    n_tasks, k = labels.shape
    columns = (labels + (ends - n_classes)[:, None]).T.ravel()
    starts = np.arange(k + 1) * n_tasks
    one_hot = csr_matrix((np.ones(len(columns)), columns, starts), shape=(k, int(ends[-1])))
    sums = one_hot.T @ inputs.astype(np.float64)
    return [part.T for part in np.split(sums, ends[:-1])]


def _mean_over_classes(right: np.ndarray, truth: np.ndarray, n_classes: int) -> float:
    total = np.bincount(truth, minlength=n_classes)
    hits = np.bincount(truth, weights=right, minlength=n_classes)
    return float((hits[total > 0] / total[total > 0]).mean())
