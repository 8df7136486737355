"""Arrays in files that are filled piece by piece."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike


def new_array(path: Path, kind: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A .npy file of zeros, mapped for writing, with its room on the disk taken already.

    Without that a full disk would end the process by a signal at some later write.

    Raises
    ------
    OSError
        When the disk has no room; the file is removed.
    """
    array = np.lib.format.open_memmap(path, "w+", kind, shape)
    try:
        if hasattr(os, "posix_fallocate"):
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    except OSError:
        Path(path).unlink(missing_ok=True)
        raise
    return array
