"""What every clusterer is called with besides vectors and settings."""

from __future__ import annotations

from dataclasses import dataclass

from coreset_engine.core.row_blocks import Workers
from coreset_engine.core.types import Neighbours, Progress, silent


@dataclass(frozen=True, eq=False)
class ClusterContext:
    """What a clusterer may use besides vectors and settings; no field is a setting of a result.

    Attributes
    ----------
    neighbours : Neighbours, optional
        Of the same images; None: computed where the clusterer needs them.
    device : str
        "auto", "cpu" or "cuda".
    progress : callable
        Called with (done, total, unit); may raise Cancelled.
    streamed : bool, optional
        Read rows from disk as they are needed (True), keep a copy in memory (False); None: streamed
        above 2 GiB of float32.
    workers : Workers, optional
        Who shares the rounds of a streamed k-means; None: the threads of this process.
    """

    neighbours: Neighbours | None = None
    device: str = "auto"
    progress: Progress = silent
    streamed: bool | None = None
    workers: Workers | None = None
