"""Which part of SemiPrune decides: labels, network, pixels or judge; Fashion-MNIST.

    python benchmarks/semiprune.py measure FOLDER [--raw semiprune.jsonl] [--seeds 4]
    python benchmarks/semiprune.py tables [--raw semiprune.jsonl]

FOLDER holds fashion.npz, as benchmarks/methods.py takes it, and pixels.npz with `vectors`
(N, 28, 28) uint8: the same pictures in the same order. Pools, test images, seeds and the two judges
are those of benchmarks/methods.py.

SemiPrune spreads the labels of a tenth of the images, trains a network on the labels that come out,
and keeps by AUM after a hard cut. Here each part is exchanged alone: true labels for spread ones,
an MLP on the vectors or a convolutional network on pixels for the linear proxy. beta is the same
throughout: ELFS' table 7 on average.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.method_tables import tests_of  # noqa: E402
from benchmarks.methods import BASELINE, Pool, cell, read  # noqa: E402

RATES = (0.3, 0.5, 0.7, 0.9)
JUDGES = ("linear", "knn")
LABELS = ("spread", "true")
PROXIES = ("linear", "mlp", "convnet")


def main() -> None:
    """Measure what is not in the raw file yet, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--seeds", type=int, default=4)
    tables = commands.add_parser("tables")
    for part in (measuring, tables):
        part.add_argument("--raw", type=Path, default=Path("semiprune.jsonl"))
    options = parser.parse_args()
    if options.command == "tables":
        print("\n".join(report(read(options.raw))))
        return
    done = {row["seed"] for row in read(options.raw)}
    for seed in sorted(set(range(options.seeds)) - done):
        with tempfile.TemporaryDirectory() as folder:
            rows = list(measured(Pictures(options.folder, "fashion", seed, Path(folder))))
        with open(options.raw, "a", encoding="utf-8") as out:
            out.write("".join(json.dumps(row) + "\n" for row in rows))
        print(f"seed {seed}: {len(rows)} rows", flush=True)


class Pictures(Pool):
    """A pool of benchmarks/methods.py with its pixels."""

    def __init__(self, folder: Path, name: str, seed: int, target: Path) -> None:
        super().__init__(folder, name, seed, target)
        pool, _ = positions(len(np.load(folder / "fashion.npz")["labels"]), seed)
        pixels = np.load(folder / "pixels.npz")["vectors"][:, None]
        self.pixels = pixels[pool]


def positions(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pool and test images of a seed, as `benchmarks.methods.drawn` takes them."""
    from benchmarks.methods import SIZES

    order = np.random.default_rng([seed, 0x706F6F6C]).permutation(n)
    n_pool, n_test = SIZES["fashion"]
    return order[n_test:][:n_pool], order[:n_test]


def measured(pool: Pictures) -> Iterator[dict[str, Any]]:
    """Random, then every pair of labels and proxy, at every rate."""
    from coreset_engine.core.rates import kept_count
    from coreset_engine.selection.budget import settled_beta

    rng = np.random.default_rng([pool.seed, 0x72616E64])
    order = rng.permutation(pool.n)
    for rate in RATES:
        row = dict(name=BASELINE, seed=pool.seed, prune_rate=rate)
        yield row | pool.judged(order[: kept_count(pool.n, rate)])
    for source in LABELS:
        labels = labels_of(pool, source)
        right = float((labels == pool.data["labels"]).mean())
        for proxy in PROXIES:
            aum = margins_of(pool, labels, proxy)
            for rate in RATES:
                k = kept_count(pool.n, rate)
                beta, _ = settled_beta(None, k, pool.n)
                kept = np.argsort(aum, kind="stable")[round(beta * pool.n) :][:k]  # hardest first
                row = dict(name=f"{source} labels, {proxy}", seed=pool.seed, prune_rate=rate)
                yield row | dict(right=right) | pool.judged(kept)


def labels_of(pool: Pictures, source: str) -> np.ndarray:
    """(N,) int64: the true labels, or those of a random tenth spread over the neighbours."""
    from coreset_engine.selection.kernels.label_spreading import spread_labels
    from coreset_engine.selection.methods.graphs import similarity

    truth = pool.data["labels"]
    if source == "true":
        return truth
    rng = np.random.default_rng([pool.seed, 0x70696C6F])
    known = np.sort(rng.permutation(pool.n)[: pool.n // 10])
    links = similarity(pool.runs["reduced"].neighbours)
    spread = spread_labels(links, known, truth[known], 0.9).argmax(axis=1)
    spread[known] = truth[known]
    return spread


def margins_of(pool: Pictures, labels: np.ndarray, proxy: str) -> np.ndarray:
    """(N,) AUM of the network trained on `labels`; linear: SemiPrune's own."""
    import coreset_engine as ce
    from coreset_engine.selection.kernels.linear_proxy import inputs_of
    from coreset_engine.selection.kernels.proxy_dynamics import mean_margins

    if proxy == "linear":
        rows = inputs_of(pool.runs["reduced"])
        return mean_margins(rows, labels, pool.n_classes, pool.seed)
    inputs = pool.pixels[:, 0] if proxy == "convnet" else pool.reduced.astype(np.float32)
    return ce.training_dynamics(inputs, labels, proxy=proxy, seed=pool.seed, device="cpu").aum


def report(rows: list[dict]) -> list[str]:
    """Markdown: for each judge the points over random, paired by seed."""
    out = []
    names = list(dict.fromkeys(row["name"] for row in rows if row["name"] != BASELINE))
    for judge in JUDGES:
        tests = tests_of(rows, judge)
        out += ["", f"| {judge} | {' | '.join(f'{rate:.0%}' for rate in RATES)} | n |"]
        out.append("|---" * (len(RATES) + 2) + "|")
        for name in names:
            found = [tests[name, rate] for rate in RATES]
            out.append(f"| {name} | {' | '.join(map(cell, found))} | {found[0].n} |")
    right = [row["right"] for row in rows if row["name"].startswith("spread")]
    return [*out, "", f"spread labels that are right: {np.mean(right):.1%}"]


if __name__ == "__main__":
    main()
