"""Compare two sets of vectors: shared images, regions one lacks, and two-sample tests.

Tests are made on random parts of at most `MOST` images a side, so that they take seconds. Both are
exact in level: the kernel test permutes, the classifier test is a binomial test on held-out images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.types import Progress, silent

MOST = 1000
PERMUTATIONS = 500
_BLOCK = 2048


@dataclass(frozen=True, eq=False)
class CrossNeighbours:
    """For each row of B the nearest rows of A, nearest first.

    nearest: (M, k) int64, rows of A. distances: (M, k) float32, cosine.
    """

    nearest: np.ndarray
    distances: np.ndarray


def cross_neighbours(
    a: np.ndarray, b: np.ndarray, progress: Progress = silent, k: int = 1
) -> CrossNeighbours:
    """The nearest rows of `a` for every row of `b`, exact, block by block.

    Parameters
    ----------
    a, b
        (N, D) and (M, D) float, any scale.
    progress
        Called with unit "images" of `a`.
    k
        How many; at most N are there.

    Returns
    -------
    CrossNeighbours
        Of equally near rows the lower one comes first.
    """
    k = min(k, len(a))
    nearest = np.zeros((len(b), k), np.int64)
    best = np.full((len(b), k), -np.inf, np.float32)
    for start in range(0, len(a), _BLOCK):
        left = unit(a[start : start + _BLOCK])
        for begin in range(0, len(b), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            at, value = _highest(unit(b[rows]) @ left.T, k)
            at = np.concatenate([nearest[rows], start + at], axis=1)
            value = np.concatenate([best[rows], value], axis=1)
            order = np.argsort(-value, axis=1, kind="stable")[:, :k]
            nearest[rows] = np.take_along_axis(at, order, axis=1)
            best[rows] = np.take_along_axis(value, order, axis=1)
        progress(min(start + _BLOCK, len(a)), len(a), "images")
    return CrossNeighbours(nearest, np.clip(1 - best, 0, 2).astype(np.float32))


def _highest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(columns, values) of the k highest of each row, in the order of the columns."""
    k = min(k, values.shape[1])
    if k == 1:
        at = values.argmax(axis=1)[:, None]
    else:
        at = np.sort(np.argpartition(-values, k - 1, axis=1)[:, :k], axis=1)
    return at, np.take_along_axis(values, at, axis=1)


def unit(rows: np.ndarray) -> np.ndarray:
    """(B, D) float32 at unit length."""
    block = np.asarray(rows, np.float32)
    length = np.linalg.norm(block, axis=1, keepdims=True)
    return block / np.maximum(length, 1e-12)


# -- regions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Regions:
    """Clusters of both sets together.

    label_a: (N,), label_b: (M,) int64 in [0, C). share_a, share_b: (C,) float64. p_values: (C,),
    of the difference of the two shares, corrected for C comparisons (Holm 1979).
    """

    label_a: np.ndarray
    label_b: np.ndarray
    share_a: np.ndarray
    share_b: np.ndarray
    p_values: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """(C,) float64: share in B over share in A, with half an image added to both."""
        half_a = 0.5 / len(self.label_a)
        half_b = 0.5 / len(self.label_b)
        values: np.ndarray = (self.share_b + half_b) / (self.share_a + half_a)
        return values

    def lacking_in_a(self, level: float = 0.01) -> np.ndarray:
        """Clusters that are more frequent in B, surest first."""
        regions = np.flatnonzero((self.p_values < level) & (self.share_b > self.share_a))
        return regions[np.argsort(-self.ratio[regions], kind="stable")]

    def lacking_in_b(self, level: float = 0.01) -> np.ndarray:
        """Clusters that are more frequent in A, surest first."""
        regions = np.flatnonzero((self.p_values < level) & (self.share_a > self.share_b))
        return regions[np.argsort(self.ratio[regions], kind="stable")]


def regions(a: np.ndarray, b: np.ndarray, n_clusters: int, seed: int = 0) -> Regions:
    """k-means of both sets together, and the share of each in every cluster.

    Parameters
    ----------
    a, b
        (N, D) and (M, D) vectors of one encoder, any scale.
    n_clusters
        Wanted; at least 2, at most half as many as there are vectors.
    seed
        Of k-means.

    Returns
    -------
    Regions
        Cluster of every vector, the two shares per cluster, and p-values of equal shares, corrected
        by Holm's method.
    """
    from sklearn.cluster import MiniBatchKMeans

    both = np.concatenate([unit(a), unit(b)])
    count = max(2, min(n_clusters, len(both) // 2))
    model = MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=2048)
    labels = model.fit_predict(both).astype(np.int64)
    label_a = labels[: len(a)]
    label_b = labels[len(a) :]
    count_a = np.bincount(label_a, minlength=count)
    count_b = np.bincount(label_b, minlength=count)
    p_values = _holm(np.array([_fisher(x, y, len(a), len(b)) for x, y in zip(count_a, count_b)]))
    return Regions(label_a, label_b, count_a / len(a), count_b / len(b), p_values)


def _fisher(x: int, y: int, n: int, m: int) -> float:
    """p-value of equal shares (chi-squared with continuity, or Fisher's for few)."""
    from scipy.stats import chi2_contingency, fisher_exact

    table = np.array([[x, n - x], [y, m - y]])
    if x + y == 0 or x + y == n + m:
        return 1.0
    few = np.outer(table.sum(1), table.sum(0)).min() / (n + m) < 5
    return float(fisher_exact(table)[1] if few else chi2_contingency(table)[1])


def _holm(p: np.ndarray) -> np.ndarray:
    """Step-down correction (Holm 1979)."""
    order = np.argsort(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


# -- two-sample tests ------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoSample:
    """Tests of whether two sets follow the same distribution.

    mmd2: squared maximum mean discrepancy; mmd_p: its permutation p-value. accuracy: of a
    classifier that tells the two sets apart on held-out images; accuracy_p: its binomial p-value.
    n: images used of each set.
    """

    mmd2: float
    mmd_p: float
    accuracy: float
    accuracy_p: float
    n: int

    def sentence(self) -> str:
        """What the tests say."""
        smallest = min(self.mmd_p, self.accuracy_p)
        numbers = (
            f"a classifier separates them with accuracy {self.accuracy:.1%} of {self.n:,} + "
            f"{self.n:,} "
            f"images (50% = chance level, p =  {self.accuracy_p:.2g}); kernel test p = "
            f"{self.mmd_p:.2g}"
        )
        if smallest < 0.01:
            return f"The two sets differ: {numbers}."
        return f"No difference in distribution was found: {numbers}."


def two_sample(a: np.ndarray, b: np.ndarray, seed: int = 0) -> TwoSample:
    """Whether two sets of vectors are samples of one distribution.

    a: (N, D), b: (M, D). Kernel: Gaussian, median heuristic (Gretton et al. 2012, section 8).
    Classifier: nearest neighbours on half the images (Lopez-Paz and Oquab 2017).
    """
    rng = np.random.default_rng([seed, 71])
    n = min(len(a), len(b), MOST)
    left = unit(a[np.sort(rng.choice(len(a), n, replace=False))])
    right = unit(b[np.sort(rng.choice(len(b), n, replace=False))])
    both = np.concatenate([left, right])
    squared = np.maximum(2 - 2 * both @ both.T, 0.0)
    mmd2, mmd_p = _mmd(squared, n, rng)
    accuracy, accuracy_p = _classifier(squared, n, rng)
    return TwoSample(mmd2, mmd_p, accuracy, accuracy_p, n)


def _mmd(squared: np.ndarray, n: int, rng: np.random.Generator) -> tuple[float, float]:
    """(unbiased MMD^2 (Gretton et al. 2012, eq. 3), permutation p-value)."""
    positive = squared[np.triu_indices(2 * n, 1)]
    scale = float(np.median(positive)) or 1.0
    kernel = np.exp(-squared / scale)
    np.fill_diagonal(kernel, 0.0)
    signs = np.repeat([1.0, -1.0], n)
    table = np.stack([signs, *(rng.permutation(signs) for _ in range(PERMUTATIONS))])
    total = kernel.sum()
    between = (total - np.einsum("pi,pi->p", table @ kernel, table)) / 2
    within = total - between
    values = within / (n * max(n - 1, 1)) - between / (n * n)
    p = (1 + int((values[1:] >= values[0] - 1e-12).sum())) / (PERMUTATIONS + 1)
    return float(values[0]), float(p)


def _classifier(squared: np.ndarray, n: int, rng: np.random.Generator) -> tuple[float, float]:
    """(accuracy on held-out images, binomial p-value) of 5 nearest neighbours."""
    from scipy.stats import binomtest

    if n < 4:
        return 0.5, 1.0
    labels = np.repeat([0, 1], n)
    halves = [rng.permutation(n) + offset for offset in (0, n)]
    train = np.concatenate([half[: n // 2] for half in halves])
    test = np.concatenate([half[n // 2 :] for half in halves])
    nearest = np.argsort(squared[np.ix_(test, train)], axis=1, kind="stable")[:, :5]
    votes = labels[train][nearest].mean(axis=1) > 0.5
    right = int((votes == labels[test]).sum())
    p = binomtest(right, len(test), 0.5, alternative="greater").pvalue
    return right / len(test), float(p)
