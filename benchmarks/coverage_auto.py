"""Small coresets: the automatic settings, the paper's and what else was tried, against random,
paired over seeds.

    python benchmarks/coverage_auto.py [--embeddings FOLDER] [--images 20000] [--seeds 5]

Sets: scikit-learn's digits (pixels, 1,200 to choose from); a long-tailed mixture (20 classes, 100 :
1, 8,000 images, 128 dimensions, mean accuracy over classes); and, where FOLDER holds
{train,test}_{vectors,labels}.npy, real embeddings. Accuracy is a ridge probe's on the set's own
test images. Every rule is compared with a random choice of the same size and seed; each seed draws
its own samples and 4 random choices. Prints, per set, random's accuracy and every rule's difference
in points ± its standard error. The decision from these figures is explained in
coreset_engine/coverage/auto_alpha.py.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# Instead of this folder: numba asks for a package named coverage, which must not be the script of
# that name here.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.coverage.auto_alpha import auto_neighbours, auto_score  # noqa: E402
from coreset_engine.coverage.scores import coverage_grid, coverage_scores  # noqa: E402

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
DRAWS = 4  # random choices a seed
Sets = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]


def digits() -> Sets:
    """(train vectors, train labels, test vectors, test labels, whether accuracy is the mean over
    classes)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    train = order[:1200]
    test = order[1200:]
    return found.data[train], found.target[train], found.data[test], found.target[test], False


def long_tail(n: int = 8000, classes: int = 20, width: int = 128) -> Sets:
    """A mixture with class sizes falling geometrically to 1 : 100, rectified, tested on equal
    classes."""
    rng = np.random.default_rng(2)
    share = 100.0 ** (-np.arange(classes) / (classes - 1))
    centres = 1.1 * rng.normal(size=(classes, width))
    loads = 0.35 * rng.normal(size=(classes, width, 24))

    def draw(labels: np.ndarray) -> np.ndarray:
        inner = np.einsum("ndk,nk->nd", loads[labels], rng.normal(size=(len(labels), 24)))
        spread = rng.gamma(4, 0.25, size=(len(labels), 1))
        return np.maximum(
            centres[labels] + inner * spread + 0.3 * rng.normal(size=(len(labels), width)), 0
        )

    labels = rng.choice(classes, n, p=share / share.sum())
    test = np.repeat(np.arange(classes), 200)
    return draw(labels), labels, draw(test), test, True


def embeddings(folder: Path, images: int) -> Sets:
    """The first `images` real vectors and labels, and the test ones."""
    parts = [
        np.load(folder / f"{half}_{what}.npy")
        for half in ("train", "test")
        for what in ("vectors", "labels")
    ]
    return parts[0][:images], parts[1][:images], *parts[2:], False


def features(
    train: np.ndarray, test: np.ndarray, width: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """The first principal components: the probe's inputs, float64."""
    mean = train.mean(0, dtype=np.float64)
    _, vectors = np.linalg.eigh(np.cov(train[:: max(1, len(train) // 10_000)].T.astype(np.float64)))
    basis = vectors[:, ::-1][:, :width]
    return (train - mean) @ basis, (test - mean) @ basis


def probe(
    x: np.ndarray, y: np.ndarray, test: np.ndarray, truth: np.ndarray, balanced: bool
) -> float:
    """Accuracy of a ridge classifier, in points; the penalty grows with the root of the number of
    images."""
    n = len(x)
    classes = int(truth.max()) + 1
    middle = x.mean(0)
    inner = x - middle
    target = np.eye(classes)[y]
    bias = target.mean(0)
    penalty = 1e-2 * (inner * inner).sum() / np.sqrt(n) + 1e-9
    if n < x.shape[1]:
        weights = inner.T @ np.linalg.solve(inner @ inner.T + penalty * np.eye(n), target - bias)
    else:
        weights = np.linalg.solve(
            inner.T @ inner + penalty * np.eye(x.shape[1]), inner.T @ (target - bias)
        )
    right = ((test - middle) @ weights + bias).argmax(1) == truth
    return 100 * float(
        np.mean([right[truth == c].mean() for c in range(classes)]) if balanced else right.mean()
    )


def highest(score: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-score, kind="stable")[:k]


def rules(
    vectors: np.ndarray,
    k: int,
    seed: int,
    scores: dict[str, np.ndarray],
    noise: np.ndarray,
    name: int,
) -> Iterator[tuple[str, np.ndarray]]:
    """(rule, positions of the k it keeps)."""
    yield "auto", highest(auto_score(scores["auto"], 1000 * seed + name), k)
    yield "paper: alpha = 1000, highest", highest(scores["paper"], k)
    yield "alpha = 10, highest", highest(scores["small"], k)
    yield "gaussian draws, highest", highest(scores["gaussian"], k)
    yield "T = k, random start", highest(scores[f"T={k}"] + noise, k)
    order = np.argsort(-scores["paper"], kind="stable")
    cut = int(0.1 * (len(vectors) - k))
    yield "a tenth of the pruned from the top, then highest", order[cut : cut + k]
    parts = np.array_split(order[cut:], min(50, max(1, k // 2)))
    ends = np.round(np.cumsum([len(part) for part in parts]) * (k / (len(order) - cut))).astype(int)
    yield (
        "the same, then strata by score",
        np.concatenate(
            [
                part[np.argsort(-noise[part])][:count]
                for part, count in zip(parts, np.diff(ends, prepend=0))
            ]
        ),
    )


def prepare(vectors: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Every score the rules look at, for one seed."""
    n = len(vectors)
    common = dict(seed=seed, device="cpu")
    total = int(np.clip(20 * n, 20_000, 1_000_000))
    paper = min(1000, n - 1)
    own = auto_neighbours(n)
    grid = coverage_grid(vectors, (10, own, paper), n_samples=total, **common)
    found = dict(small=grid[10].score, auto=grid[own].score, paper=grid[paper].score)
    found["gaussian"] = coverage_scores(
        vectors, total, n_neighbours=paper, distribution="gaussian", **common
    ).score
    for rate in RATES:
        k = kept(n, rate)
        found[f"T={k}"] = coverage_scores(vectors, k, n_neighbours=max(1, n // k), **common).score
    return found


def kept(n: int, rate: float) -> int:
    return max(1, int(np.floor((1 - rate) * n + 0.5)))


def measure(given: Sets, seeds: int) -> dict[str, np.ndarray]:
    """{rule: (seeds, rates) accuracy in points}, each the mean over the seed's draws."""
    train, labels, test, truth, balanced = given
    vectors = np.ascontiguousarray(train, np.float32)
    x, t = features(train, test)
    found: dict[str, np.ndarray] = {}
    for seed in range(seeds):
        scores = prepare(vectors, 100 + seed)
        for column, rate in enumerate(RATES):
            k = kept(len(x), rate)
            for draw in range(DRAWS):
                noise = np.random.default_rng([9, seed, draw]).random(len(x))
                for rule, keep in [
                    ("random", highest(noise, k)),
                    *rules(vectors, k, seed, scores, noise, draw),
                ]:
                    rows = found.setdefault(rule, np.zeros((seeds, len(RATES))))
                    rows[seed, column] += probe(x[keep], labels[keep], t, truth, balanced) / DRAWS
    return found


def table(name: str, n: int, found: dict[str, np.ndarray]) -> None:
    """Markdown: random's accuracy, then differences ± standard error."""
    print(
        f"\n**{name}**, N = {n:,}\n\n| rule | "
        + " | ".join(f"{rate:.1%}" for rate in RATES)
        + " |\n|---|"
        + "---|" * len(RATES)
    )
    base = found.pop("random")
    print("| random, accuracy | " + " | ".join(f"{value:.2f}" for value in base.mean(0)) + " |")
    for rule, rows in found.items():
        apart = rows - base
        error = (
            apart.std(0, ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.zeros(len(RATES))
        )
        print(
            f"| {rule} | "
            + " | ".join(f"{d:+.2f} ± {e:.2f}" for d, e in zip(apart.mean(0), error))
            + " |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embeddings", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    machine = f"{platform.processor() or platform.machine()}, {cpu_count()} cores"
    print(
        f"{machine}; {given.seeds} seeds, {DRAWS} draws each; "
        "points of accuracy against random, mean ± standard error over seeds, by pruning rate"
    )
    sets = [("digits", digits), ("long tail", long_tail)]
    if given.embeddings:
        sets.append(
            (
                f"embeddings ({given.embeddings.name})",
                lambda: embeddings(given.embeddings, given.images),
            )
        )
    for name, make in sets:
        found = make()
        table(name, len(found[0]), measure(found, given.seeds))


if __name__ == "__main__":
    main()
