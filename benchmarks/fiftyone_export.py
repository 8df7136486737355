"""Seconds and peak memory of an export to FiftyOne: ours against the public API, on a private
MongoDB.

    python benchmarks/fiftyone_export.py [N ...]        default 10000 60000

Each way runs in a process of its own on the same picture files (28 x 28 PNG), the same eight
scores, pseudo-labels, tags, views and map:

    public API, new       Sample objects with every field, add_samples, save_view,
    compute_visualization ours, new             frame by Dataset.from_dir, samples inserted; also
    metadata, similarity index, manifest public API, update    set_values field by field, tags,
    views and map ours, update          one merge on the server; the same layers as "ours, new"
    ours, folder          the on-disk format alone: no FiftyOne, no MongoDB
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose coverage.py is not a package
SCORES = ("score", "weight", "aum", "forgetting", "coverage", "redundancy")
WAYS = {
    "public API, new": "public_new",
    "ours, new": "ours_new",
    "public API, update": "public_update",
    "ours, update": "ours_update",
    "ours, folder": "ours_folder",
}


def pictures(folder: Path, n: int) -> list[str]:
    """n different small PNGs."""
    from PIL import Image

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(folder / f"{i:05d}.png") for i in range(n)]
    for path in paths:
        if not os.path.exists(path):
            Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(path, compress_level=1)
    return paths


def made_bundle(folder: Path, n: int):
    """The same made-up selection for every way: a tenth kept, ten clusters, 1,280 dimensions."""
    import pandas as pd

    from coreset_engine.core.types import Dataset
    from coreset_engine.export.bundle import ExportBundle

    rng = np.random.default_rng(1)
    kept = rng.permutation(n)[: n // 10]
    rank = np.full(n, -1)
    rank[kept] = np.arange(len(kept))
    ids = np.array([f"image-{i:05d}" for i in range(n)])
    columns = {name: rng.normal(size=n) for name in SCORES}
    table = pd.DataFrame(
        {
            "id": ids,
            "path": pictures(folder / "pictures", n),
            "selected": rank >= 0,
            "rank": rank,
            **columns,
            "pseudo_label": rng.integers(0, 10, n),
            "confidence": rng.random(n),
        }
    )
    dataset = Dataset(
        "made up", ids, "print", labels=rng.integers(0, 10, n), classes=tuple("abcdefghij")
    )
    vectors = rng.standard_normal((n, 1280), dtype=np.float32)
    return ExportBundle(
        table,
        {"source_fingerprint": "print", "method": "elfs", "params": {"beta": 0.1}},
        folder / "media",
        dataset,
        rng.random((n, 2)),
        vectors,
    )


def ours_new(made, folder: Path) -> None:
    from coreset_engine.export.fiftyone import live

    live.write_fiftyone_dataset(made, "ours")


def ours_update(made, folder: Path) -> None:
    ours_new(made, folder)  # the dataset is there by now: this updates it


def ours_folder(made, folder: Path) -> None:
    from coreset_engine.export.fiftyone import disk

    disk.write_fiftyone_folder(made, folder / "disk")


def public_new(made, folder: Path) -> None:
    """What the documentation shows: Sample objects, one add_samples."""
    import fiftyone as fo

    dataset = fo.Dataset("public", persistent=True)
    rows = made.table.to_dict("records")
    samples = []
    for row, truth, reason in zip(rows, made.truth, made.reasons, strict=True):
        sample = fo.Sample(
            filepath=row["path"], tags=["coreset", "coreset:main"] if row["selected"] else []
        )
        sample["ground_truth"] = fo.Classification(label=truth)
        sample["coreset_pseudo_label"] = fo.Classification(
            label=f"cluster {row['pseudo_label']}", confidence=row["confidence"]
        )
        for name in SCORES:
            sample["coreset_" + name] = row[name]
        sample["coreset_rank"], sample["coreset_reason"] = (
            (row["rank"] if row["selected"] else None),
            reason,
        )
        sample["coreset_cluster"], sample["coreset_id"] = row["pseudo_label"], row["id"]
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    _views_and_map(dataset, made)


def public_update(made, folder: Path) -> None:
    """One set_values per field on the dataset that public_new made."""
    import fiftyone as fo

    dataset = fo.load_dataset("public")
    table = made.table
    for name in SCORES:
        dataset.set_values("coreset_" + name, table[name].tolist(), progress=False)
    dataset.set_values(
        "coreset_rank", [r if r >= 0 else None for r in table["rank"].tolist()], progress=False
    )
    dataset.set_values("coreset_reason", made.reasons.tolist(), progress=False)
    dataset.set_values("coreset_cluster", table["pseudo_label"].tolist(), progress=False)
    labels = [
        fo.Classification(label=f"cluster {c}", confidence=s)
        for c, s in zip(table["pseudo_label"].tolist(), table["confidence"].tolist(), strict=True)
    ]
    dataset.set_values("coreset_pseudo_label", labels, progress=False)
    dataset.untag_samples("coreset:main")
    ids = np.array(dataset.values("id"))[made.selected].tolist()
    dataset.select(ids).tag_samples(["coreset", "coreset:main"])
    for view in dataset.list_saved_views():
        dataset.delete_saved_view(view)
    dataset.delete_brain_runs()
    _views_and_map(dataset, made)


def _views_and_map(dataset, made) -> None:
    import fiftyone.brain as brain
    from fiftyone import ViewField as F

    dataset.save_view("kept", dataset.match_tags("coreset:main").sort_by("coreset_rank"))
    dataset.save_view("dropped", dataset.match_tags("coreset:main", bool=False))
    dataset.save_view("suspected", dataset.match(F("coreset_aum") < 0).sort_by("coreset_aum"))
    brain.compute_visualization(dataset, points=made.points, brain_key="umap")


def measure(way: str, n: int, folder: Path) -> None:
    """In the child: prepare, then time one way; prints {"seconds", "mb"} of growth over what was
    prepared."""
    import resource

    made = made_bundle(folder, n)
    made.reasons, made.truth  # noqa: B018 - prepared before the clock starts, for every way
    if way != "ours_folder":
        from coreset_engine.core import fiftyone_database

        fiftyone_database.connect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    globals()[way](made, folder)
    spent = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print("\n" + json.dumps(dict(seconds=spent, mb=grown)), flush=True)


def main(sizes: list[int]) -> None:
    from coreset_engine.export.fiftyone.mongodb import ensure, private_server

    ensure()
    print(
        f"FiftyOne export; {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; peak MB "
        "= growth of the process above the loaded selection\n"
    )
    print("| samples | way | seconds | peak MB | against the public API |\n|---|---|---|---|---|")
    for n in sizes:
        with tempfile.TemporaryDirectory() as temporary, private_server(Path(temporary)) as uri:
            positions = dict(
                FIFTYONE_DATABASE_URI=uri,
                FIFTYONE_DATABASE_VALIDATION="false",
                FIFTYONE_DO_NOT_TRACK="1",
                FIFTYONE_DATABASE_DIR=f"{temporary}/fo",
                OMP_NUM_THREADS="1",
            )
            pictures(Path(temporary) / "pictures", n)
            base: dict[str, float] = {}
            for title, way in WAYS.items():
                done = subprocess.run(
                    [sys.executable, __file__, "--way", way, str(n), temporary],
                    text=True,
                    capture_output=True,
                    env=os.environ | positions,
                )
                if done.returncode:
                    raise SystemExit(done.stderr[-2000:])
                report = json.loads(done.stdout.strip().splitlines()[-1])
                kind = title.rpartition(" ")[2]
                base.setdefault(kind if kind != "folder" else "new", report["seconds"])
                ratio = base["new" if kind == "folder" else kind] / report["seconds"]
                print(
                    f"| {n:,} | {title} | {report['seconds']:.1f} | {report['mb']:.0f} | {ratio:.1f}x "
                    "|",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        measure(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        main([int(n) for n in sys.argv[1:]] or [10_000, 60_000])
