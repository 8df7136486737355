"""The machine that figures were measured on, in words."""

from __future__ import annotations

import platform

from coreset_engine.core.device import cpu_count


def machine() -> str:
    return f"{platform.machine()}, {cpu_count()} cores"
