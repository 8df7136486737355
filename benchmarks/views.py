"""A slider over 50 million images: time to count the kept of each cluster, and to draw them by
score.

    python benchmarks/views.py [--rows 50000000]

Scores are made up; the table (pseudo-label, two scores, rank) is written to a temporary folder as
`prepare` writes it.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)
from coreset_engine.core.device import cpu_count  # noqa: E402
from coreset_engine.pipeline.counts import Totals, write_totals  # noqa: E402
from coreset_engine.selection.budget import hardness_order  # noqa: E402


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=50_000_000)
    n = asked.parse_args().rows
    rng = np.random.default_rng(0)
    columns = dict(
        pseudo_label=rng.integers(100, size=n).astype(np.int32),
        aum=rng.normal(size=n).astype(np.float32),
        score=rng.normal(size=n).astype(np.float32),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        began = time.perf_counter()
        write_totals(path, columns, hardness_order(columns["aum"]))
        print(
            f"{platform.machine()}, {cpu_count()} cores, {n:,} rows: written in "
            f"{time.perf_counter() - began:.0f} s, "
            f"{path.stat().st_size / 1e9:.2f} GB\n\n| pruning rate | counts, s | histogram, s "
            "|\n|---|---|---|"
        )
        found = Totals(path, "elfs")
        for note, rate in ((" (first look)", 0.9), ("", 0.85), ("", 0.5), ("", 0.1)):
            window = found.window(rate, min(0.1, rate))
            began = time.perf_counter()
            counted = found.counts("pseudo_label", window)
            middle = time.perf_counter()
            drawn = found.histogram("aum", window)
            print(f"| {rate}{note} | {middle - began:.2f} | {time.perf_counter() - middle:.2f} |")
            assert sum(kept for _, kept in counted.values()) == drawn[2].sum() == window.kept


if __name__ == "__main__":
    main()
