"""A module for a training script: the coreset as a Subset of its dataset, with loss weights.

Images are found by the end of their path where the dataset lists files (torchvision's ImageFolder
and DatasetFolder), else by their position in the source. The table is JSON and the module needs
torch only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images

MODULE = '''"""The coreset of coreset.json on your own dataset:

    from coreset_subset import coreset, loss_weights, sampler

    train = coreset(dataset)              # a torch Subset, best image first
    weights = loss_weights(dataset)       # tensor over the whole dataset, 0 for dropped images
    loader = DataLoader(train, batch_size=128, sampler=sampler())   # or weight the loss:
    # loss = (cross_entropy(model(x), y, reduction="none") * weights[index]).mean()
"""

import json
from pathlib import Path

import torch
from torch.utils.data import Subset, WeightedRandomSampler

TABLE = json.loads((Path(__file__).parent / "coreset.json").read_text())


def positions(dataset):
    """Positions of the kept images in `dataset`: by file name when it lists files, else by position in the source."""
    samples = getattr(dataset, "samples", None) or getattr(dataset, "imgs", None)
    if not samples or TABLE["files"] is None:
        if len(dataset) != TABLE["count"]:
            raise ValueError(f"this dataset has {len(dataset)} items, the source had {TABLE['count']}; give the same.")
        return TABLE["positions"]
    root = str(getattr(dataset, "root", "")).replace("\\\\", "/").rstrip("/") + "/"
    whole, endings = {}, {}
    for position, sample in enumerate(samples):
        path = str(sample[0]).replace("\\\\", "/")
        whole[path.removeprefix(root)] = position
        parts = path.split("/")
        for start in range(len(parts)):
            endings.setdefault("/".join(parts[start:]), []).append(position)
    found = []
    for name in TABLE["files"]:
        hits = [whole[name]] if name in whole else endings.get(name, [])
        if len(hits) != 1:
            raise ValueError(f"{name!r} is in this dataset {len(hits)} times, not once; give the one it came from.")
        found.append(hits[0])
    return found


def coreset(dataset):
    """The chosen part of `dataset`, best image first."""
    return Subset(dataset, positions(dataset))


def loss_weights(dataset):
    """(len(dataset),) float64: the loss weight of every item, 0 where it was dropped."""
    weights = torch.zeros(len(dataset), dtype=torch.float64)
    weights[torch.tensor(positions(dataset), dtype=torch.long)] = torch.tensor(TABLE["weights"], dtype=torch.float64)
    return weights


def sampler(generator=None):
    """Draws items of `coreset(dataset)` in proportion to their weights, instead of weighting the loss."""
    return WeightedRandomSampler(TABLE["weights"], len(TABLE["weights"]), generator=generator)
'''


def write_pytorch(
    bundle: ExportBundle, destination: str | Path, progress: Progress = silent
) -> dict[str, Any]:
    """Write coreset_subset.py and coreset.json into `destination`.

    Needs no pictures and no open source.
    """
    destination = Path(destination)
    rows = np.flatnonzero(bundle.selected)
    rows = rows[np.argsort(bundle.table["rank"].to_numpy()[rows], kind="stable")]
    table = dict(
        count=len(bundle),
        positions=rows.tolist(),
        weights=bundle.table["weight"].to_numpy(float)[rows].tolist(),
        ids=[str(bundle.ids[row]) for row in rows],
        files=_files(bundle, rows),
        method=bundle.manifest.get("method"),
        source_fingerprint=bundle.manifest.get("source_fingerprint"),
    )
    with filesystem.writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        images.write_json(destination / "coreset.json", table)
        (destination / "coreset_subset.py").write_text(MODULE, encoding="utf-8")
    progress(1, 1, "files")
    return dict(images=len(rows), path=str(destination / "coreset_subset.py"))


def _files(bundle: ExportBundle, rows: np.ndarray) -> list[str] | None:
    """Ids of sources whose ids are paths of files below their root; else None."""
    listed = bundle.table["path"].tolist()
    names = [str(bundle.ids[row]) for row in rows]
    own = [
        isinstance(listed[row], str) and listed[row].endswith(name)
        for row, name in zip(rows, names, strict=True)
    ]
    return names if all(own) and len(rows) else None
