"""Clusters against classes, and clusterings against each other: matching and agreement.

Cluster numbers mean nothing by themselves; the Hungarian algorithm (Kuhn 1955) finds the one-to-one
naming that agrees most. Accuracy, NMI and ARI as in ELFS' tables 2 and 10, the class-wise errors of
its figure 7.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.core.errors import BadInput


def contingency(
    rows: np.ndarray, columns: np.ndarray, n_rows: int | None = None, n_columns: int | None = None
) -> np.ndarray:
    """Count how often each row number meets each column number.

    Parameters
    ----------
    rows, columns
        (N,) int; pairs with a negative entry are left out.
    n_rows, n_columns
        Least size of the table: numbers that do not occur keep a row or column of zeros, which
        scikit-learn's `contingency_matrix` has no way to ask for.

    Returns
    -------
    np.ndarray
        (R, C) int64.
    """
    rows, columns = _known(rows, columns)
    n_rows = max(n_rows or 0, int(rows.max(initial=-1)) + 1)
    n_columns = max(n_columns or 0, int(columns.max(initial=-1)) + 1)
    counts = np.bincount(rows * n_columns + columns, minlength=n_rows * n_columns)
    return counts.reshape(n_rows, n_columns)


def hungarian(gain: np.ndarray) -> np.ndarray:
    """(R,) int64: the column matched to each row, maximising the sum; -1 = unmatched (R > C)."""
    from scipy.optimize import linear_sum_assignment

    matched = np.full(len(gain), -1, np.int64)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    matched[rows] = columns
    return matched


def match_clusters(
    pseudo: np.ndarray,
    truth: np.ndarray,
    n_clusters: int | None = None,
    n_classes: int | None = None,
) -> np.ndarray:
    """One class for each cluster, one to one, by the Hungarian algorithm on the counts.

    Parameters
    ----------
    pseudo, truth : (N,) int
        Cluster and class of each image; pairs with a negative entry are left out.
    n_clusters, n_classes : int, optional
        Default: the largest number that occurs, plus one.

    Returns
    -------
    (C,) int64
        Class of each cluster; -1 where there are more clusters than classes.
    """
    return hungarian(contingency(pseudo, truth, n_clusters, n_classes))


def majority_classes(
    pseudo: np.ndarray,
    truth: np.ndarray,
    n_clusters: int | None = None,
    n_classes: int | None = None,
) -> np.ndarray:
    """The most frequent class of each cluster (many to one).

    Parameters
    ----------
    pseudo, truth : (N,) int
        Cluster and class of each image; pairs with a negative entry are left out.
    n_clusters, n_classes : int, optional
        Default: the largest number that occurs, plus one.

    Returns
    -------
    (C,) int64
        Class of each cluster; -1 = empty cluster.
    """
    counts = contingency(pseudo, truth, n_clusters, n_classes)
    return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)


def accuracy(pseudo: np.ndarray, truth: np.ndarray) -> float:
    """Share of images whose cluster is matched to their class.

    1 - misclassification of ELFS' table 2.
    """
    counts = contingency(pseudo, truth)
    named = hungarian(counts)
    right = sum(int(counts[row, column]) for row, column in enumerate(named) if column >= 0)
    return right / max(1, int(counts.sum()))


def nmi(first: np.ndarray, second: np.ndarray) -> float:
    """Normalised mutual information, by the arithmetic mean of the two entropies.

    Parameters
    ----------
    first, second
        (N,) int group of each image; pairs with a negative entry are left out.

    Returns
    -------
    float
        In [0, 1]; 1 also where both put everything into one group.
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(*_known(first, second)))


def ari(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index.

    Parameters
    ----------
    first, second
        (N,) int group of each image; pairs with a negative entry are left out.

    Returns
    -------
    float
        1 for the same partition, about 0 by chance, at least -0.5.

    References
    ----------
    Hubert and Arabie 1985, "Comparing partitions", eq. 5.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*_known(first, second)))


def label_quality(
    pseudo: np.ndarray,
    truth: np.ndarray,
    n_clusters: int | None = None,
    n_classes: int | None = None,
) -> dict:
    """Quality of pseudo-labels where classes are known.

    Parameters
    ----------
    pseudo : (N,) int64
        Cluster of each image.
    truth : (N,) int64
        Class of each image; -1 = unknown, left out.
    n_clusters, n_classes : int, optional
        Default: the largest number that occurs, plus one.

    Returns
    -------
    dict
        accuracy, misclassification, nmi, purity in [0, 1], ari in [-0.5, 1]; mapping: (C,) class of
        each cluster, or -1; named: (N,) int64 pseudo-labels as class numbers (unmatched clusters
        take their majority class); confusion: (classes, classes) counts, truth x named;
        class_errors: (classes,) share of each class misnamed, NaN for an absent class.
    """
    pseudo = np.asarray(pseudo, np.int64)
    truth = np.asarray(truth, np.int64)
    mapping = match_clusters(pseudo, truth, n_clusters, n_classes)
    majority = majority_classes(pseudo, truth, n_clusters, n_classes)
    named = np.where(mapping >= 0, mapping, majority)[pseudo]
    n_classes = max(
        n_classes or 0, int(truth.max(initial=-1)) + 1
    )  # square even when no cluster took the last class
    confusion = contingency(truth, named, n_classes, n_classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        class_errors = 1 - np.diag(confusion) / confusion.sum(axis=1)
    known = truth >= 0
    right = accuracy(pseudo, truth)
    purity = float((majority[pseudo[known]] == truth[known]).mean()) if known.any() else 0.0
    return {
        "accuracy": right,
        "misclassification": 1 - right,
        "nmi": nmi(pseudo, truth),
        "ari": ari(pseudo, truth),
        "purity": purity,
        "mapping": mapping,
        "named": named,
        "confusion": confusion,
        "class_errors": class_errors,
    }


def _known(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs in which neither entry is negative. Raises BadInput for unequal lengths."""
    first = np.asarray(first, np.int64)
    second = np.asarray(second, np.int64)
    if first.shape != second.shape or first.ndim != 1:
        raise BadInput(
            f"labels of shapes {first.shape} and {second.shape} cannot be compared; "
            "give two of one length."
        )
    known = (first >= 0) & (second >= 0)
    return first[known], second[known]
