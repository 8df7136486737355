"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(text: str | os.PathLike[str]) -> Path:
    """The path with a leading `~` or `~name` replaced by that home folder.

    A `~` that names nobody's home stays as it is: then no such file exists, which whoever opens it
    says in words, where `Path.expanduser` raises RuntimeError.
    """
    return Path(os.path.expanduser(os.fspath(text)))
