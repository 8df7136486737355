"""How settled coverage scores are after T samples, for independent, Sobol and stratified draws
(BlindCS figure 4).

    python benchmarks/coverage_stability.py [--vectors FILE.npy] [--images 20000] [--seeds 3]
    [--most 64]

Every scheme is compared with one long reference run of independent samples under another seed: rank
correlation of the scores, and Jaccard of what would be kept, at 50, 90 and 98 % pruned. Mean over
seeds. "halves" is the convergence figure a run reports about itself (two halves of its samples
against each other), which should not be the rosier one. "gain" is how many times fewer samples the
scheme needs for the rank correlation of independent samples at this T, interpolated along its own
curve.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import numpy as np

# Instead of this folder: numba asks for a package named coverage, which must not be the script of
# that name here.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.coverage.config import SAMPLERS  # noqa: E402
from coreset_engine.coverage.scores import coverage_scores  # noqa: E402

RATES = (0.5, 0.9, 0.98)


def agreement(score: np.ndarray, truth: np.ndarray) -> list[float]:
    """Spearman's rank correlation and the Jaccard of the kept, per rate."""
    from scipy.stats import spearmanr

    found = [float(spearmanr(score, truth).statistic)]
    for rate in RATES:
        k = round((1 - rate) * len(score))
        a, b = (set(np.argsort(-s, kind="stable")[:k].tolist()) for s in (score, truth))
        found.append(len(a & b) / len(a | b))
    return found


def curves(vectors: np.ndarray, alpha: int, counts: list[int], seeds: int) -> dict[str, np.ndarray]:
    """{sampler: (len(counts), 1 + len(RATES) + 1)}: agreement with the reference, and the halves'
    rank correlation."""
    truth = coverage_scores(
        vectors, 4 * counts[-1], n_neighbours=alpha, seed=10_000, device="cpu"
    ).score
    found = {}
    for sampler in SAMPLERS:
        rows = np.zeros((len(counts), 2 + len(RATES)))
        for seed in range(seeds):
            for i, count in enumerate(counts):
                run = coverage_scores(
                    vectors, count, n_neighbours=alpha, seed=seed, sampler=sampler, device="cpu"
                )
                rows[i] += [*agreement(run.score, truth), run.info["curve"][-1]["spearman"]]
        found[sampler] = rows / seeds
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--alpha", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=64, help="largest T, in samples per image")
    given = parser.parse_args()
    if given.vectors:
        vectors = np.load(given.vectors, mmap_mode="r")[: given.images]
        what = "real embeddings"
    else:
        rng = np.random.default_rng(0)
        what = "a clustered mixture"
        centres = rng.gamma(1.0, size=(40, 256))
        vectors = np.abs(
            centres[rng.integers(40, size=given.images)]
            + 0.4 * rng.normal(size=(given.images, 256))
        )
        vectors = vectors.astype(np.float32)
    counts = [
        int(2.0**power * len(vectors)) for power in range(-1, int(np.log2(given.most)) + 1, 1)
    ]
    print(
        f"{platform.processor() or platform.machine()}, {cpu_count()} cores; N = {len(vectors):,}, "
        f"D = {vectors.shape[1]} ({what}), alpha = {given.alpha}, {given.seeds} seeds, reference T "
        "= "
        f"{4 * counts[-1]:,}\n"
    )
    print(
        "| T | T / N | draws | rank correlation | "
        + " | ".join(f"Jaccard, {rate:.0%} pruned" for rate in RATES)
        + " | halves | gain |\n|---|---|---|---|"
        + "---|" * (len(RATES) + 2)
    )
    found = curves(vectors, given.alpha, counts, given.seeds)
    for i, count in enumerate(counts):
        for sampler, rows in found.items():
            need = np.exp(np.interp(found["random"][i, 0], rows[:, 0], np.log(counts)))
            print(
                f"| {count:,} | {count / len(vectors):g} | {sampler} | "
                + " | ".join(f"{v:.3f}" for v in rows[i])
                + f" | {count / need:.2f} x |"
            )


if __name__ == "__main__":
    main()
