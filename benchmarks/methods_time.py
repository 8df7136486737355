"""Time and peak memory of every registered method, each in a process of its own, on artefacts that
are there already.

    python benchmarks/methods_time.py SOURCE [--k 6000] [--only kmedoids,badge]

SOURCE: whatever `ce.open_source` takes, a vectors.npy for instance. What a method needs
(neighbours, pseudo-labels, dynamics, coverage) is computed and stored first, so that the time is
the method's alone; compiled loops are compiled once before. Peak memory is that of the whole
process, Python and libraries (about 0.5 GB) included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path[0] = str(
    Path(__file__).parents[1]
)  # else benchmarks/coverage.py hides the package of that name


def main() -> None:
    """Run each method in a child, print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--k", type=int, default=6000)
    parser.add_argument("--only", default="")
    parser.add_argument("--child", default="")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.source, options.k, options.child)))
        return
    from coreset_engine.core.registry import METHODS

    run = opened(options.source)
    _ = run.neighbours, run.pseudo_labels, run.dynamics, run.coverage
    print(
        f"n = {len(run.dataset):,}, D = {run.vectors.shape[1]:,}, k = {options.k:,}; "
        f"{platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print("\n| method | seconds | peak memory, GB |\n|---|---:|---:|")
    for name in options.only.split(",") if options.only else METHODS:
        command = [sys.executable, __file__, options.source, "--k", str(options.k), "--child", name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(
                f"| {name} | {(done.stderr.strip() or '?').splitlines()[-1][:100]} | |", flush=True
            )
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"| {name} | {found['seconds']:.1f} | {found['peak']:.2f} |", flush=True)


def opened(source: str):
    """The run whose artefacts are used; ten pseudo-classes where the source names none."""
    import coreset_engine as ce

    dataset = ce.open_source(source)
    return ce.Run(dataset, seed=0, n_clusters=len(dataset.classes) or 10)


def measure(source: str, k: int, name: str) -> dict[str, float]:
    """Seconds of the second call (the first, on 500 images, compiles) and the process's peak memory
    in GB."""
    import numpy as np

    from coreset_engine.core.registry import METHODS, load
    from coreset_engine.selection.candidates import Pool

    run = opened(source)
    row = METHODS[name]
    function = load(row.function)
    config = load(row.config)()
    function(Pool(run, np.arange(min(500, len(run.dataset)))), 50, config, 0)
    start = time.perf_counter()
    found = function(run, k, config, 0)
    seconds = time.perf_counter() - start
    assert len(np.unique(found.order[:k])) == k
    return dict(seconds=seconds, peak=peak_gb())


def peak_gb() -> float:
    """This process's own peak memory. Not ru_maxrss: a child starts with its parent's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**30 if sys.platform == "darwin" else 2**20
        )
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 2**20


if __name__ == "__main__":
    main()
