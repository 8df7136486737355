"""Time and memory of every stage at 10 k, 100 k and 1 M x 256, growth exponents, and what a billion
images would cost.

    python benchmarks/scale.py [--folder DIR] [--sizes 10000 100000 1000000] [--seconds 800]
    [--capped]

Vectors are made in --folder, which also keeps every measured cell: the script stops after --seconds
and goes on when it is called again. Each cell is a process of its own. Time is core-seconds (user +
system), which other work on the machine changes less than a clock; memory is the peak that the
process holds itself (RssAnon), without files mapped from disk. Stages measured on a part are scaled
up: the last column says so. --capped runs every stage of a 1.28 M x 256 set with RLIMIT_DATA at 4
    GB, resumable too.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)
from benchmarks.scaling.capped import capped  # noqa: E402
from benchmarks.scaling.cells import CELLS, in_child, make_vectors  # noqa: E402
from benchmarks.scaling.plan import growth, measured, plan  # noqa: E402
from coreset_engine.core.device import cpu_count  # noqa: E402

SIZES = (10_000, 100_000, 1_000_000)


def measure(folder: Path, sizes: list[int], until: float) -> dict[tuple[str, int], dict]:
    """Every cell that lies finished, after measuring what time allows."""
    found = {}
    for n in sizes:
        for name in CELLS:
            kept = folder / f"cell-{name}-{n}.json"
            if not kept.is_file() and time.monotonic() < until:
                done = subprocess.run(
                    [sys.executable, __file__, "--cell", str(make_vectors(folder, n)), name],
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    print(
                        f"{name} at {n:,} failed: {done.stderr.strip().splitlines()[-1:]}",
                        file=sys.stderr,
                    )
                    continue
                kept.write_text(done.stdout.strip().splitlines()[-1])
            if kept.is_file():
                found[name, n] = json.loads(kept.read_text())
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "coreset-scale")
    asked.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    asked.add_argument("--seconds", type=float, default=800)
    asked.add_argument("--capped", action="store_true")
    asked.add_argument("--cell", nargs=2)
    options = asked.parse_args()
    if options.cell:
        in_child(*options.cell)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.capped:
        capped(options.folder)
        return
    found = measure(options.folder, options.sizes, time.monotonic() + options.seconds)
    print(
        f"{platform.machine()}, {cpu_count()} cores, no GPU; {len(found)} of "
        f"{len(CELLS) * len(options.sizes)} cells "
        f"measured.\n\n{measured(found, options.sizes)}\n"
    )
    if all(growth(found, name, "cpu_s") for name in CELLS):
        print(plan(found))


if __name__ == "__main__":
    main()
