"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path

from coreset_engine.core.errors import BadInput


def user_path(text: str | os.PathLike[str]) -> Path:
    """The path with a leading `~` or `~name` replaced by that home folder.

    A `~` that names nobody's home stays as it is: then no such file exists, which the reader
    says in words, where `Path.expanduser` raises RuntimeError.
    """
    return Path(os.path.expanduser(os.fspath(text)))


def workspace() -> Path:
    """The workspace folder: CORESET_HOME, else ~/.cache/coreset-explorer.

    Raises
    ------
    BadInput
        When it begins with the home folder of nobody.
    """
    path = user_path(os.environ.get("CORESET_HOME") or "~/.cache/coreset-explorer")
    if str(path).startswith("~"):
        raise BadInput(
            f"no home folder is known for {str(path)!r}; set CORESET_HOME to a folder you can "
            "write."
        )
    return path
