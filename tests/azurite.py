"""Where Azure's emulator lies, which scripts/test gets by npm (azurite@3.35.0) for the tests marked
`azurite`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def command() -> str | None:
    """azurite-blob: $CORESET_AZURITE, on the path, or where scripts/test puts it; None where there
    is none."""
    ours = Path(sys.prefix, "azurite", "node_modules", ".bin", "azurite-blob")
    return (
        os.environ.get("CORESET_AZURITE")
        or shutil.which("azurite-blob")
        or (str(ours) if ours.exists() else None)
    )
