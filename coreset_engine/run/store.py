"""Artefacts on disk: content-addressed, complete only when the manifest is there (renamed last), verified on read."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.errors import BadInput, Corrupt

FORMAT = 1
_verified: dict[tuple[str, int, int], str] = {}


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON, 32 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """Artefacts under `home`/artefacts/STAGE/KEY/. Each holds .npy arrays and a manifest.json with their SHA-256."""

    def __init__(self, home: Path | str | None = None) -> None:
        chosen = home or os.environ.get("CORESET_HOME") or Path.home() / ".cache" / "coreset-explorer"
        self.home = Path(chosen)

    def folder(self, stage: str, key: str) -> Path:
        return self.home / "artefacts" / stage / key

    def has(self, stage: str, key: str) -> bool:
        return (self.folder(stage, key) / "manifest.json").is_file()

    def size(self, stage: str, key: str) -> int:
        """Bytes on disk, 0 when absent."""
        folder = self.folder(stage, key)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0

    def work(self, stage: str, key: str) -> Path:
        """A folder for unfinished shards of this artefact; removed when it is finished."""
        path = self.home / "work" / stage / key
        _made(path)
        return path

    def get(self, stage: str, key: str, make: Callable[[], tuple[dict[str, np.ndarray], dict]]) -> tuple[dict, dict]:
        """(arrays, info) of the artefact, computed by `make` when absent or damaged; one process at a time per key."""
        if self.has(stage, key):
            try:
                return self.read(stage, key)
            except Corrupt:
                pass  # set aside below, under the lock
        with self._lock(stage, key):
            if self.has(stage, key):
                try:
                    return self.read(stage, key)
                except Corrupt:
                    shutil.rmtree(self.folder(stage, key))
            arrays, info = make()
            self._write(stage, key, arrays, info)
        shutil.rmtree(self.home / "work" / stage / key, ignore_errors=True)
        return self.read(stage, key)

    def read(self, stage: str, key: str) -> tuple[dict[str, np.ndarray], dict]:
        """(arrays by name as read-only memmaps, info). Raises Corrupt when a file is not what was written."""
        folder = self.folder(stage, key)
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            if manifest["format"] != FORMAT:
                raise BadInput(f"{folder} has format {manifest['format']}, this version reads {FORMAT}; use the version "
                               "that wrote it or remove the folder.")
            arrays = {}
            for name, about in manifest["files"].items():
                path = folder / f"{name}.npy"
                if _sum(path) != about["sha256"]:
                    raise Corrupt(f"{path} is not what was written.")
                arrays[name] = np.load(path, mmap_mode="r" if about["size"] else None, allow_pickle=False)
            return arrays, manifest["info"]
        except (OSError, ValueError, KeyError, TypeError) as fault:
            if isinstance(fault, BadInput):
                raise
            raise Corrupt(f"{folder} cannot be read ({fault}).") from fault

    def _write(self, stage: str, key: str, arrays: dict[str, np.ndarray], info: dict) -> None:
        folder = self.folder(stage, key)
        temporary = folder.with_name(f".{key}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        _made(temporary)
        files = {}
        for name, array in arrays.items():
            path = temporary / f"{name}.npy"
            with open(path, "wb") as out:
                np.save(out, np.ascontiguousarray(array), allow_pickle=False)
                out.flush()
                os.fsync(out.fileno())
            files[name] = dict(sha256=_sum(path), size=int(array.size), shape=array.shape, dtype=str(array.dtype))
        text = json.dumps(dict(format=FORMAT, stage=stage, key=key, files=files, info=info, created=time.time()))
        (temporary / "manifest.json").write_text(text)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)

    @contextmanager
    def _lock(self, stage: str, key: str) -> Iterator[None]:
        path = self.home / "locks" / f"{stage}-{key}"
        _made(path.parent)
        with open(path, "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _sum(path: Path) -> str:
    stat = path.stat()
    mark = (str(path.name) + str(stat.st_ino), stat.st_size, stat.st_mtime_ns)
    if mark not in _verified:
        with open(path, "rb") as handle:
            _verified[mark] = hashlib.file_digest(handle, "sha256").hexdigest()
    return _verified[mark]


def _made(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise BadInput(f"{path} cannot be made ({fault.strerror}); set CORESET_HOME to a folder you can write.") from None
