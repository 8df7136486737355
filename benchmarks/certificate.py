"""The certificate of a coreset against comparing every image with every kept one (faiss, exact),
side by side.

    python benchmarks/certificate.py VECTORS.npy [--keep 6000] [--neighbours FOLDER]

Prints machine, n, wall and processor time of both, the ratio, and how far the filter's numbers are
from the exact ones. Neighbour lists (made by every run before) are computed here too, unless given
as FOLDER/{indices,distances}.npy.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(
    Path(__file__).resolve().parent.parent
)  # benchmarks/coverage.py hides a package of that name

from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.core.types import Neighbours  # noqa: E402
from coreset_engine.embedding.neighbours.search import neighbours  # noqa: E402
from coreset_engine.evaluation.certificate import certify  # noqa: E402


def timed(work):
    """(result, wall seconds, processor seconds)."""
    wall = time.perf_counter()
    processor = time.process_time()
    return work(), time.perf_counter() - wall, time.process_time() - processor


def exact(vectors: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The baseline: faiss' flat index over the kept images."""
    import faiss

    unit = np.array(vectors, np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit[kept])
    return 1 - index.search(unit, 1)[0][:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--keep", type=int, default=6000)
    parser.add_argument("--neighbours", type=Path)
    given = parser.parse_args()
    vectors = np.load(given.vectors, mmap_mode="r")
    n = len(vectors)
    lists = (
        neighbours(vectors, k=50)
        if given.neighbours is None
        else Neighbours(
            np.load(given.neighbours / "indices.npy"), np.load(given.neighbours / "distances.npy")
        )
    )
    print(
        f"{platform.machine()}, {cpu_count()} cores; n = {n:,}, D = {vectors.shape[1]:,}, kept "
        f"{given.keep:,}\n"
    )
    certify(vectors[:500], np.arange(50))  # first-call costs of the libraries
    bunched = np.sort(np.argsort(vectors[:, 0], kind="stable")[: given.keep])
    spread = np.sort(np.random.default_rng(0).permutation(n)[: given.keep])
    print(
        "| kept | way | wall | processor | ratio | mean distance off by | p95 off by | proven |\n"
        + "|---" * 8
        + "|"
    )
    for name, kept in (("at random", spread), ("bunched in one corner", bunched)):
        truth, base_wall, base_cpu = timed(lambda kept=kept: exact(vectors, kept))
        print(
            f"| {name} | all pairs, faiss | {base_wall:.2f} s | {base_cpu:.2f} s | 1x | 0 | 0 | "
            "100 % |"
        )
        for way, given_lists in (
            ("certificate, with neighbour lists", lists),
            ("certificate, without", None),
        ):
            found, wall, cpu = timed(
                lambda kept=kept, g=given_lists: certify(vectors, kept, neighbours=g)
            )
            print(
                f"| {name} | {way} | {wall:.2f} s | {cpu:.2f} s | {base_wall / wall:.0f}x | "
                f"{found.mean_distance / truth.mean() - 1:+.4%} | "
                f"{found.p95_distance / np.quantile(truth, 0.95) - 1:+.4%} | {found.proven:.0%} |"
            )


if __name__ == "__main__":
    main()
