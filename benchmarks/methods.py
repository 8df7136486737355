"""Every selection method against random: seven sets, seven rates, honest seeds, two judges.

    python benchmarks/methods.py measure FOLDER [--raw methods.jsonl] [--seeds 5] [--sets a,b]
    python benchmarks/methods.py tables [--raw methods.jsonl] [--docs docs/methods.md]

FOLDER holds NAME.npz with `vectors` (N, D) and `labels` (N,): features of pictures from one frozen
encoder. `tail` and `noise` are made from fashion.npz: classes that fall 100:1 in size, and a tenth
of the pool's labels moved to another class. Every seed draws again whatever is random: the split
into pool and test images, clustering, training dynamics, coverage samples, starting points, ties,
wrong labels. Methods of one seed share its clustering, dynamics and coverage.

Two judges, trained on the true (with `noise`: the noisy) labels of each coreset: multinomial
logistic regression with L2 penalty 0.03 on the 64 leading principal axes of the pool's
standardised vectors, and the vote of the 5 nearest by cosine (`evaluate`'s judge `knn`). Figures
are plain and balanced accuracy on the test images; random is one draw a seed, and differences are
paired by seed.

Beside the methods, EXPERIMENTS change one thing at a time, to decide why an order differs from its
paper's: true labels for the selection, raw pixels instead of the encoder, other settings.

One JSON line a cell; a run that was stopped goes on from the file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # benchmarks/coverage.py hides a package

from benchmarks.method_experiments import (  # noqa: E402
    EXPERIMENTS,
    ITERATIONS,
    MAIN_SETS,
    SIZES,
    TITLES,
    Experiment,
    plain,
)
from benchmarks.method_pools import Pool, drawn, read  # noqa: E402
from benchmarks.method_tables import cell, write_tables  # noqa: E402
from coreset_engine.core.registry import BASELINE, METHODS  # noqa: E402

__all__ = [
    "BASELINE",
    "ITERATIONS",
    "MAIN_SETS",
    "SIZES",
    "TITLES",
    "Pool",
    "cell",
    "drawn",
    "read",
]


def main() -> None:
    """Measure what is not in the raw file yet, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--seeds", type=int, default=5)
    measuring.add_argument("--first", type=int, default=0, help="the first seed")
    measuring.add_argument("--sets", default=",".join(MAIN_SETS))
    measuring.add_argument("--methods", default=",".join(METHODS))
    measuring.add_argument(
        "--experiments", action="store_true", help="these, of --methods, not the methods"
    )
    tables = commands.add_parser("tables")
    tables.add_argument("--docs", type=Path)
    for part in (measuring, tables):
        part.add_argument("--raw", type=Path, default=Path("methods.jsonl"))
    options = parser.parse_args()
    if options.command == "measure":
        measure(options)
    else:
        write_tables(options)


def measure(options: argparse.Namespace) -> None:
    """Seed by seed, all sets of a seed first, so that what is there at any time is a table."""
    names = [BASELINE, *(name for name in options.methods.split(",") if name != BASELINE)]
    wanted: Sequence[Experiment] = [one for one in EXPERIMENTS if one.method in names]
    if not options.experiments:
        wanted = plain(names, tuple(options.sets.split(",")))
    done = {(row["set"], row["seed"], row["name"]) for row in read(options.raw)}
    for seed in range(options.first, options.first + options.seeds):
        for name in options.sets.split(","):
            left = [
                one for one in wanted if name in one.sets and (name, seed, one.name) not in done
            ]
            if left:
                measure_set(options, name, seed, left)


def measure_set(
    options: argparse.Namespace, name: str, seed: int, wanted: Sequence[Experiment]
) -> None:
    """Append the rows of one set and seed, method by method."""
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(options.folder, name, seed, Path(folder))
        for experiment in wanted:
            began = time.process_time()
            rows = list(pool.rows(experiment))
            with open(options.raw, "a", encoding="utf-8") as out:
                out.write("".join(json.dumps(row) + "\n" for row in rows))
            spent = time.process_time() - began
            print(f"{seed} {name} {experiment.name}: {spent:.1f} s CPU", flush=True)


if __name__ == "__main__":
    main()
