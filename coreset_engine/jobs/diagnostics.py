"""The `report` bundle: what helps to find an error, without the user's data.

Names of files and folders are replaced by marks that are the same for the same name inside one
bundle, so that "the same file twice" can still be seen; the marks are salted, so that a guessed
name cannot be checked against them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from coreset_engine import __version__
from coreset_engine.artifacts import filesystem, log
from coreset_engine.artifacts.store import Store
from coreset_engine.core import installation
from coreset_engine.core.device import cpu_count
from coreset_engine.jobs import manager

SETTINGS = ("CORESET_", "FIFTYONE_", "STREAMLIT_", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
# A setting's value is included only when it cannot be a secret: a number, a switch, or a path (hidden
# like all paths).
_HARMLESS = re.compile(r"true|false|[\d.,]+|/\S*", re.IGNORECASE)
# Quoted text with a slash, a dot or a blank inside is taken for a name; so is whatever looks like a
# path.
_NAMES = re.compile(
    r"""(?P<quote>['"])(?P<name>(?:(?!(?P=quote)).)*[/\\.](?:(?!(?P=quote)).)*)(?P=quote)"""
    r"""|(?P<path>(?:(?:[A-Za-z]:)?[/\\]|~/|\w+:/)[^\s'",;:()]+)"""
)


def write(out: Path, store: Store, *, paths: bool = False, lines: int = 200) -> list[str]:
    """Write the zip `out` for a bug report.

    Parameters
    ----------
    out : path
    store : Store
        Of the workspace.
    paths : bool
        Leave names of files as they are.
    lines : int
        Lines of the end of the log.

    Returns
    -------
    list of str
        Names inside the zip.

    Raises
    ------
    BadInput
        When it cannot be written.
    """
    salt = os.urandom(16)
    parts = dict(
        versions=_versions(),
        machine=_machine(store),
        settings=_settings(),
        workspace=_sizes(store),
        jobs=[_job(job, paths) for job in manager.list_jobs(store.home)[:50]],
        log=log.tail(store.home, lines),
    )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, part in parts.items():
            kept = part if paths else hidden(part, salt)
            packed.writestr(f"{name}.json", json.dumps(kept, indent=1, default=str))
    try:
        filesystem.write_atomic(out, data.getvalue())
    except OSError as error:
        raise filesystem.refused(out, error, "choose another path with --out") from None
    return [f"{name}.json" for name in parts]


def hidden(value: Any, salt: bytes) -> Any:
    """`value` with every file and folder name replaced; own modules keep relative paths."""
    if isinstance(value, dict):
        return {hidden(str(name), salt): hidden(entry, salt) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [hidden(entry, salt) for entry in value]
    if not isinstance(value, str):
        return value

    def alias(match: re.Match) -> str:
        name = match["name"] or match["path"]
        quote = match["quote"] or ""
        if name.startswith("<ours>"):
            return f"{quote}{name}{quote}"
        return (
            f"{quote}<name "
            f"{hashlib.sha256(salt + name.encode(errors='surrogatepass')).hexdigest()[:6]}>{quote}"
        )

    shown = value.replace(str(installation.ROOT), "<ours>")
    for root in {sys.prefix, sys.base_prefix}:
        shown = re.sub(re.escape(root) + r"\S*/(?:site-packages|python3\.\d+)/", "<ours>/", shown)
    return _NAMES.sub(alias, shown)


def _versions() -> dict[str, str]:
    versions = {
        dist.metadata["Name"]: dist.version
        for dist in metadata.distributions()
        if dist.metadata["Name"]
    }
    return {
        "coreset-explorer": __version__,
        "python": platform.python_version(),
        **dict(sorted(versions.items())),
    }


def _machine(store: Store) -> dict[str, Any]:
    import psutil

    memory = psutil.virtual_memory()
    folder = next(p for p in [store.home, *store.home.parents] if p.exists())
    return dict(
        system=platform.system(),
        release=platform.release(),
        processor=platform.machine(),
        cores=cpu_count(),
        memory_bytes=memory.total,
        memory_free_bytes=memory.available,
        disk_free_bytes=psutil.disk_usage(str(folder)).free,
        gpu=_gpu(),
    )


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _settings() -> dict[str, str]:
    return {
        name: value if _HARMLESS.fullmatch(value) else "(set)"
        for name, value in sorted(os.environ.items())
        if name.startswith(SETTINGS)
    }


def _sizes(store: Store) -> dict[str, int]:
    return {
        path.name: filesystem.size(path) for path in sorted(store.home.glob("*")) if path.is_dir()
    }


def _job(job: manager.Job, paths: bool) -> dict[str, Any]:
    summary = {
        name: getattr(job, name)
        for name in (
            "id",
            "kind",
            "status",
            "stage",
            "done",
            "total",
            "unit",
            "rate",
            "message",
            "created",
        )
    }
    return summary | (dict(spec=job.spec, params=job.params) if paths else {})
