"""Inputs of stages: vectors, or pixels for networks on pixels; and the hash of a weights file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from coreset_engine.core.errors import Missing
from coreset_engine.core.registry import PROXIES, look_up
from coreset_engine.core.types import Artefacts, Progress, silent


def inputs_of(run: Artefacts, proxy: str, progress: Progress = silent) -> np.ndarray:
    """(N, D) vectors or (N, ch, S, S) uint8 pixels, per the PROXIES row. progress: unit "images".

    Raises BadInput for an unknown proxy or pixels that do not fit in memory, Missing when the
    source has no images.
    """
    if "images" not in look_up(PROXIES, proxy, "proxy").needs:
        return run.vectors
    if run.dataset.reader is None:
        raise Missing(
            f"proxy {proxy!r} needs pixels and {run.dataset.spec!r} has vectors only; use "
            "proxy='mlp', or open the folder of images."
        )
    from coreset_engine.training.pixels import pixels_of

    return pixels_of(run.dataset, np.arange(len(run.dataset)), progress=progress)


def by_content(weights: str | None) -> str | None:
    """Weights on disk by what they hold, not by where they lie; a name or nothing stays itself."""
    path = Path(weights or "")
    if not weights or not path.is_file():
        return weights
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
