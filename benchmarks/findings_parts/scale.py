"""Core seconds and memory of the findings on made-up images."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.findings_parts.machine import machine
from coreset_engine.core.types import Neighbours
from coreset_engine.findings import copies, outliers, twins
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.examine import Material, near_pairs_of
from coreset_engine.findings.image_statistics import (
    ImageStatistics,
)
from coreset_engine.findings.quality import quality_findings


def scale(n: int, k: int = 50) -> None:
    """Print core seconds and peak memory of each finding on `n` made-up images.

    The neighbour graph is made up too: links to images near in a list, at distances from 0.05 to
    0.6. A hundredth of the images are near-copies of the next one, a thousandth turned copies.
    """
    rng = np.random.default_rng(0)
    material = _made_up(rng, n, k)
    base = _peak_gb()
    print(f"{n:,} images, {k} neighbours; {machine()}; {base:.1f} GB before the findings\n")
    print("| finding | found | core-seconds | peak memory, GB |\n|---|---|---|---|")
    config = CleanConfig()
    same = material.same
    near: dict[str, object] = {}

    def near_finding() -> object:
        near["found"] = copies.near_duplicates(near_pairs_of(material, same))
        return near["found"]

    steps: dict[str, Callable[[], object]] = {
        "byte_identical": lambda: copies.byte_identical(material.digests),
        "pixel_identical": lambda: copies.pixel_identical(
            material.statistics.pixels, material.digests
        ),
        "near_duplicates": near_finding,
        "label_conflicts": lambda: copies.label_conflicts(same, material.labels, near["found"]),
        "outliers": lambda: outliers.outliers(material.neighbours, material.clusters),
        "blurred and other quality": lambda: quality_findings(material.statistics, config)[5],
        "rotated": lambda: twins.rotated(material.statistics, same, config.rotated),
    }
    if n > twins.MOST_IMAGES:
        del steps["rotated"]
    for name, step in steps.items():
        began = time.process_time()
        found = step()
        spent = time.process_time() - began
        print(f"| {name} | {len(found):,} | {spent:.1f} | {_peak_gb():.1f} |", flush=True)


def _made_up(rng: np.random.Generator, n: int, k: int) -> Material:
    steps = np.sort(rng.integers(1, 500, (n, k), dtype=np.int32), axis=1)
    indices = (np.arange(n, dtype=np.int32)[:, None] + steps) % np.int32(n)
    distances = np.sort(rng.random((n, k), dtype=np.float32), axis=1) * 0.55 + 0.05
    copied = rng.choice(n - 1, n // 100, replace=False)
    indices[copied, 0] = copied + 1
    distances[copied, 0] = 0.001
    coarse = rng.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    tiny = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
    tiny[copied + 1] = tiny[copied] ^ 1
    turned = rng.choice(n - 1, n // 1000, replace=False)
    tiny[turned + 1] = np.rot90(tiny[turned], axes=(1, 2))
    pixels = rng.integers(0, n * 50, n).astype("S16")
    labels = rng.integers(0, 100, n)
    ones = np.ones(n, np.float32)
    statistics = ImageStatistics(
        width=np.full(n, 96, np.int32),
        height=np.full(n, 96, np.int32),
        brightness=np.sort(rng.random((n, 5), dtype=np.float32), axis=1),
        entropy=ones * 7,
        blur=rng.random(n, dtype=np.float32),
        coloured=ones,
        pixels=pixels,
        tiny=tiny,
    )
    return Material(
        "made up",
        np.arange(n).astype(str),
        statistics,
        Neighbours(indices, distances),
        digests=pixels.astype("S32"),
        labels=labels,
        clusters=labels,
    )


def _peak_gb() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 2**20
