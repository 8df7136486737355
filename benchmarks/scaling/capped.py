"""Every stage of 1.28 M x 256 by the pipeline with RLIMIT_DATA at 4 GB; seconds and peak of each,
kept as they end."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from benchmarks.scaling.cells import CLASSES, make_vectors, watched

CAP = 4 << 30
IMAGES = 1_280_000
STAGES = ("embeddings", "neighbours", "coverage", "pseudo_labels", "dynamics", "selection")


def capped(folder: Path) -> None:
    """Print a row of each stage; those that `folder` keeps are not run again."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.pipeline.run import Run
    from coreset_engine.pipeline.select import select
    from coreset_engine.sources.open import open_source

    resource.setrlimit(resource.RLIMIT_DATA, (CAP, CAP))
    run = Run(
        open_source(make_vectors(folder, IMAGES)),
        n_clusters=CLASSES,
        clusterer="kmeans",
        proxy="linear",
        store=Store(folder / "home"),
        search="approximate",
        device="cpu",
    )
    print("| stage | s | core-s | peak GB |\n|---|---|---|---|")
    for stage in STAGES:
        kept = folder / f"capped-{stage}"
        if not kept.is_file():
            kept.write_text(
                _row(
                    stage,
                    lambda stage=stage: (
                        select("elfs", run, 0.9) if stage == "selection" else getattr(run, stage)
                    ),
                )
            )
        print(kept.read_text(), flush=True)


def _row(stage: str, work) -> str:
    before = sum(os.times()[:2])
    began = time.time()
    with watched() as peak:
        made = work()
    note = f", recall@50 {made.info['recall']:.3f}" if stage == "neighbours" else ""
    return f"| {stage} | {time.time() - began:,.0f} | {sum(os.times()[:2]) - before:,.0f} | {peak[0] / 1e9:.2f}{note} |"
