"""Findings beside those of cleanvision on the same files."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.findings_parts.machine import machine
from coreset_engine.artifacts.store import Store
from coreset_engine.pipeline.clean import clean
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source

_THEIRS = """
import json, sys, time
from cleanvision import Imagelab
lab = Imagelab(data_path=sys.argv[1])
began = time.process_time()
lab.find_issues(n_jobs=1, verbose=False)
seconds = time.process_time() - began
issues = lab.issues
names = [c[3:-6] for c in issues.columns if c.startswith("is_") and c.endswith("_issue")]
found = {n: [str(i).rpartition("/")[2] for i in issues.index[issues[f"is_{n}_issue"]]] for n in names}
print(json.dumps(dict(seconds=seconds, found=found)))
"""
ISSUES = {
    "dark": "dark",
    "light": "bright",
    "odd_aspect_ratio": "odd_aspect",
    "low_information": "low_information",
    "odd_size": "odd_size",
    "blurry": "blurred",
    "grayscale": "greyscale",
    "exact_duplicates": "byte_identical",
    "near_duplicates": "near_duplicates",
}


def against_cleanvision(source: str, count: int, python: str) -> None:
    """Print core seconds of both on the same files, and their agreement."""
    base = open_source(source)
    chosen = np.sort(np.random.default_rng(0).permutation(len(base))[:count])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        for number, i in enumerate(chosen):
            base.image(int(i)).save(folder / f"{number:05d}.png")
        done = subprocess.run(
            [python, "-c", _THEIRS, str(folder)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        theirs = json.loads(done.stdout.strip().splitlines()[-1])
        report, seconds = _ours(folder, Path(place))
    print(f"{source}: {count:,} images; {machine()}")
    print(f"cleanvision {theirs['seconds']:.1f} core-seconds, here {seconds:.1f} core-seconds")
    print(f"ratio {theirs['seconds'] / seconds:.1f}x\n")
    print("| issue | cleanvision | here | both |\n|---|---|---|---|")
    for issue, name in ISSUES.items():
        own = set(theirs["found"].get(issue, ()))
        mine = set(report.ids_of(name)) if name in report.findings else set()
        print(f"| {issue} | {len(own)} | {len(mine)} | {len(own & mine)} |")


def _ours(folder: Path, home: Path) -> tuple[object, float]:
    """(report without embeddings, core seconds of this process, opening included)."""
    warm = Run(open_source("demo"), store=Store(home / "warm"))
    clean(warm, embed=False)  # compiled kernels, imported modules
    began = time.process_time()
    run = Run(open_source(folder), store=Store(home / "store"))
    report = clean(run, embed=False)
    return report, time.process_time() - began
