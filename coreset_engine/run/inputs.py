"""What a proxy looks at: the vectors of a run, or the images' pixels for networks on pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from coreset_engine.errors import Missing
from coreset_engine.registry import PROXIES, look_up
from coreset_engine.types import Progress, silent

if TYPE_CHECKING:
    from coreset_engine.run.pipeline import Run


def inputs_of(run: Run, proxy: str, progress: Progress = silent) -> np.ndarray:
    """(N, D) vectors or (N, ch, S, S) uint8 pixels, as the row of PROXIES asks. progress: unit "images".

    Raises BadInput for an unknown proxy and when the pixels do not fit in memory, Missing when the source has no images.
    """
    if "images" not in look_up(PROXIES, proxy, "proxy").needs:
        return run.vectors
    if run.dataset.reader is None:
        raise Missing(f"proxy {proxy!r} looks at pixels and {run.dataset.spec!r} has vectors only; use proxy='mlp', or "
                      "open the folder of images.")
    from coreset_engine.evaluation.pixels import pixels_of

    return pixels_of(run.dataset, np.arange(len(run.dataset)), progress=progress)
