"""A small selection folder with real pictures for every export test: awkward names, known
scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from coreset_engine.artifacts.selection_folder import read_selection, write_selection
from coreset_engine.core.types import Neighbours, Selection
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.sources.open import open_source

NAMES = (
    "a/same name.png",
    "b/same name.png",
    "b/ünï ☃ 日本.png",
    "c/x'\"$.png",
    "c/1.png",
    "a/{y}.jpg",
    "a/z .png",
    "b/0.png",
)


def pictures(folder: Path, names=NAMES) -> Path:
    """One 6 x 4 picture per name, all different."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (i * 20, 255 - i * 20, 40)).save(path)
    return folder


def make_bundle(
    tmp_path: Path, source: str, keep=3, order=None, method="elfs", *, with_run=True, seed=0
) -> ExportBundle:
    """`keep` images of `source` kept, by AUM above the hard cut; scores drawn from `seed`."""
    dataset = open_source(source)
    n = len(dataset)
    beta = 0.25
    rng = np.random.default_rng(seed)
    aum = rng.normal(0, 1, n).astype(np.float32)
    hard = np.argsort(aum, kind="stable")
    cut = int(beta * n + 0.5)
    order = (
        np.concatenate([hard[cut:], hard[:cut][::-1]])
        if order is None
        else np.asarray(order, np.int64)
    )
    score = np.empty(n)
    score[order] = -np.arange(n, dtype=float)
    kept = order[:keep]
    chosen = Selection(
        dataset.ids[kept],
        kept,
        rng.random(keep),
        score,
        method,
        {"prune_rate": 1 - keep / n, "beta": beta},
        dataset.fingerprint,
    )
    columns = {
        "aum": aum,
        "forgetting": np.where(aum < -1, np.inf, 1.0),
        "pseudo_label": (aum > 0).astype(np.int64),
        "confidence": np.clip(np.abs(aum), 0, 1),
    }
    manifest = {
        "source": dataset.spec,
        "source_fingerprint": dataset.fingerprint,
        "method": method,
        "params": dict(chosen.params),
        "encoder": "efficientnet_lite0",
        "weights": None,
        "run": {"seed": 0},
    }
    folder = write_selection(
        tmp_path / f"selection-{seed}-{keep}", dataset, chosen, columns, manifest
    )
    table, manifest = read_selection(folder)
    vectors = rng.normal(size=(n, 80)).astype(np.float32)
    neighbours = np.argsort(((vectors[:, None] - vectors[None]) ** 2).sum(-1), axis=1)[:, 1:]
    distances = np.tile(np.linspace(0.01, 0.5, n - 1, dtype=np.float32), (n, 1))
    found = Neighbours(neighbours, distances) if with_run else None
    return ExportBundle(
        table,
        manifest,
        tmp_path / "media",
        dataset,
        rng.random((n, 2)) if with_run else None,
        vectors if with_run else None,
        found,
        {1: "bright"},
    )
