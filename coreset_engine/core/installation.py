"""Where this program is installed: a checkout, or a package that pip installed.

In a checkout the app, its pages and the requirement files lie beside `coreset_engine`. The wheel
puts them into the folder `coreset_explorer`, so that names as common as `ui` and `app.py` do not
become top-level modules of the environment.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `coreset_engine`: the checkout, or site-packages."""

_INSTALLED = ROOT / "coreset_explorer"


def is_installed() -> bool:
    """Whether pip put this package into an environment."""
    return _INSTALLED.is_dir()


def shipped(name: str) -> Path:
    """Path of a file of the program outside the engine, for example "app.py"."""
    return (_INSTALLED if is_installed() else ROOT) / name


def python_path() -> str:
    """PYTHONPATH for a child process that imports the engine; a checkout comes first on it."""
    inherited = os.environ.get("PYTHONPATH", "")
    if is_installed():
        return inherited
    return os.pathsep.join(filter(None, [str(ROOT), inherited]))
