"""Compare a stage's memory needs with free memory before it starts, and give advice.

The estimates are lower bounds, so that nothing is refused that could have run: arrays whose size
follows from the shapes alone, without what libraries add (measured at 15,000 x 1,280: 1.4 to 2.6
times the estimate).
"""

from __future__ import annotations

from collections.abc import Callable

from coreset_engine.core.device import free_memory
from coreset_engine.core.errors import BadInput
from coreset_engine.core.row_blocks import large

NEIGHBOURS = 50
_LISTED = (
    129 * 4 * 2
)  # bytes per row of the approximate search: coordinates, and the index's copy of them

# stage -> bytes for (n images, d dimensions, c bytes per number as stored)
NEEDS: dict[str, Callable[[int, int, int], int]] = {
    "neighbours": lambda n, d, c: n * min(2 * d * 4, _LISTED) + n * NEIGHBOURS * 12,
    "pseudo_labels": lambda n, d, c: (
        n * 24 if large(n, d) else n * d * 4 + n * 8 * 4
    ),  # large sets stay on disk
    "dynamics": lambda n, d, c: (
        n * 60
    ),  # what is written down of each image; the vectors stay on disk
    "coverage": lambda n, d, c: n * d * (c + 2),  # the columns, and each again in 16 bits
    "map": lambda n, d, c: n * NEIGHBOURS * 4 * 8,
}
ADVICE = {
    "neighbours": "use an encoder with fewer dimensions",
    "pseudo_labels": "use an encoder with fewer dimensions",
    "dynamics": "record fewer epochs",
    "coverage": "store the vectors as float16, or use an encoder with fewer dimensions",
    "map": "open a subset of the images",
}


def needed(stage: str, n: int, d: int, itemsize: int = 4) -> int:
    """Bytes the stage holds at once; 0 for a stage that streams.

    Parameters
    ----------
    stage : str
    n, d : int
        Images and dimensions.
    itemsize : int
        Bytes of a number of the vectors.
    """
    return NEEDS[stage](n, d, itemsize) if stage in NEEDS else 0


def check(stage: str, n: int, d: int, itemsize: int = 4) -> None:
    """Refuse a stage that does not fit in memory.

    Parameters
    ----------
    stage : str
    n, d : int
        Images and dimensions.
    itemsize : int
        Bytes of a number of the vectors.

    Raises
    ------
    BadInput
        With what would fit.
    """
    wanted = needed(stage, n, d, itemsize)
    room = free_memory()
    if wanted > room:
        raise BadInput(
            f"{stage.replace('_', '-')} of {n:,} images with {d:,} dimensions needs at least "
            f"{wanted / 1e9:.1f} GB of memory and {room / 1e9:.1f} GB are free; {ADVICE[stage]}, "
            "close other programs, or use a machine with more."
        )
