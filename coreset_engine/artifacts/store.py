"""Artefacts on disk: content-addressed, complete once the manifest exists, verified on read.

One folder per artefact, home/artefacts/STAGE/KEY/, with .npy arrays and a manifest.json that holds
their SHA-256. A damaged one is computed again, never trusted. Two processes that want the same key
compute it once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem, log
from coreset_engine.core.errors import BadInput, Corrupt
from coreset_engine.core.limits import limits
from coreset_engine.core.user_paths import workspace

FORMAT = 2
# A file read whole and found good is not hashed again for a while, unless anything about it
# changed. ctime is in the
# mark because no program can set it back; the limit is there because a disk can rot without
# telling.
_verified: dict[tuple[str, int, int, int, int], tuple[float, str]] = {}
_CHUNK = 16 << 20
Arrays = dict[str, np.ndarray]


def _from_1(manifest: dict[str, Any]) -> dict[str, Any]:
    """Format 1 did not say what an artefact was made from."""
    return {**manifest, "format": 2, "about": {}}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON, 32 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """Artefacts under `home`/artefacts/STAGE/KEY/.

    Each holds .npy arrays and a manifest.json with their SHA-256.
    """

    def __init__(self, home: Path | str | None = None) -> None:
        self.home = Path(home) if home else workspace()

    def folder(self, stage: str, key: str) -> Path:
        return self.home / "artefacts" / stage / key

    def has(self, stage: str, key: str) -> bool:
        return (self.folder(stage, key) / "manifest.json").is_file()

    def size(self, stage: str, key: str) -> int:
        """Bytes on disk, 0 when absent."""
        return filesystem.size(self.folder(stage, key))

    def work(self, stage: str, key: str) -> Path:
        """A folder for unfinished shards of this artefact; removed when it is finished."""
        path = self.home / "work" / stage / key
        filesystem.make_folder(path)
        return path

    def lock_of(self, stage: str, key: str) -> Path:
        return self.home / "locks" / f"{stage}-{key}"

    def get(
        self,
        stage: str,
        key: str,
        make: Callable[[], tuple[Arrays, dict]],
        *,
        about: dict[str, Any] | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> tuple[Arrays, dict]:
        """(arrays, info) of the artefact, computed by `make` when absent or damaged.

        One process at a time computes a key.

        Parameters
        ----------
        stage, key
            Name of the artefact's folder, and the hash of all that it is made from.
        make
            Computes it; called under the key's lock.
        about
            What it is made from (source, root), for gc.
        waiting
            Called while another process computes the same; may raise Cancelled.

        Raises
        ------
        BadInput
            When the disk refuses; what was finished stays.
        """
        if self.has(stage, key):
            try:
                return self._used(stage, key)
            except Corrupt:
                pass  # moved aside below, under the lock
        with filesystem.lock(self.lock_of(stage, key), waiting):
            if self.has(stage, key):  # another process made it meanwhile
                try:
                    return self._used(stage, key)
                except Corrupt:
                    pass  # replaced as a whole by _write
            self._sweep(stage, key)
            began = time.monotonic()
            arrays, info = make()
            self._write(stage, key, arrays, info, about or {})
            seconds = round(time.monotonic() - began, 3)
            log.write(self.home, "stage computed", stage=stage, key=key, seconds=seconds)
            shutil.rmtree(self.home / "work" / stage / key, ignore_errors=True)
        return self.read(stage, key)

    def read(self, stage: str, key: str) -> tuple[Arrays, dict]:
        """(arrays by name as read-only memmaps, info).

        Raises Corrupt when a file does not match what was written.
        """
        folder = self.folder(stage, key)
        try:
            manifest = self.manifest(stage, key)
            return {
                name: _load(folder / f"{name}.npy", about)
                for name, about in manifest["files"].items()
            }, manifest["info"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise Corrupt(f"{folder} cannot be read ({error}).") from error

    def manifest(self, stage: str, key: str) -> dict[str, Any]:
        """The artefact's manifest in today's format.

        Raises Corrupt; BadInput for a format of a later version.
        """
        folder = self.folder(stage, key)
        content = filesystem.read_json(folder / "manifest.json")
        version = (content or {}).get("format")
        if content is None or not isinstance(version, int):
            raise Corrupt(f"{folder} has no readable manifest.")
        if version > FORMAT:
            raise BadInput(
                f"{folder} has format {version}, this version reads up to {FORMAT}; use the "
                "version that wrote it, another CORESET_HOME, or remove the folder."
            )
        while version < FORMAT:
            if version not in MIGRATIONS:
                raise Corrupt(f"{folder} has the unknown format {version}.")
            content = MIGRATIONS[version](content)
            version = content["format"]
        return content

    def _used(self, stage: str, key: str) -> tuple[Arrays, dict]:
        artifact = self.read(stage, key)
        try:
            os.utime(self.folder(stage, key))  # gc asks when it was last of use
        except OSError:
            return artifact  # a read-only workspace is fine for reading
        return artifact

    def _write(self, stage: str, key: str, arrays: Arrays, info: dict, about: dict) -> None:
        folder = self.folder(stage, key)
        temporary = folder.with_name(f".{key}.{os.getpid()}.tmp")
        try:
            temporary.mkdir(parents=True)
            files = {
                name: _save(temporary / f"{name}.npy", array) for name, array in arrays.items()
            }
            filesystem.write_json(
                temporary / "manifest.json",
                dict(
                    format=FORMAT,
                    stage=stage,
                    key=key,
                    files=files,
                    info=info,
                    about=about,
                    created=time.time(),
                ),
            )
            if folder.exists():  # damaged: out of the way first, so that no reader meets a mixture
                os.replace(folder, temporary.with_name(f".{key}.old.{os.getpid()}.tmp"))
            os.replace(temporary, folder)
            filesystem.sync_folder(folder.parent)
        except OSError as error:
            raise filesystem.refused(folder, error) from None
        finally:
            self._sweep(stage, key)

    def _sweep(self, stage: str, key: str) -> None:
        """Remove temporaries of this artefact; only under its lock, when none can be in use."""
        for path in self.folder(stage, key).parent.glob(f".{key}.*.tmp"):
            shutil.rmtree(path, ignore_errors=True)


def _save(path: Path, array: np.ndarray) -> dict[str, Any]:
    """Write one array, synced; what the manifest says of it.

    Hashed on the way, so it is read from memory once.
    """
    array = np.ascontiguousarray(array)
    if array.dtype.hasobject:
        raise TypeError(f"{path.stem}: an artifact holds plain numbers or text, not {array.dtype}.")
    seen = hashlib.sha256()
    with open(path, "wb") as out:
        np.lib.format.write_array_header_1_0(out, np.lib.format.header_data_from_array_1_0(array))
        out.flush()
        seen.update(path.read_bytes())
        flat = memoryview(array.reshape(-1).view(np.uint8))
        for start in range(0, len(flat), _CHUNK):
            out.write(flat[start : start + _CHUNK])
            seen.update(flat[start : start + _CHUNK])
        out.flush()
        os.fsync(out.fileno())
    return dict(
        sha256=seen.hexdigest(), size=int(array.size), shape=array.shape, dtype=str(array.dtype)
    )


def _load(path: Path, about: dict[str, Any]) -> np.ndarray:
    if _sum(path) != about["sha256"]:
        raise Corrupt(f"{path} does not match what was written.")
    return np.load(path, mmap_mode="r" if about["size"] else None, allow_pickle=False)


def _sum(path: Path) -> str:
    stat = path.stat()
    now = time.monotonic()
    identity = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    when, known = _verified.get(identity, (0.0, ""))
    if not known or now - when > limits().verified_s:
        with open(path, "rb") as handle:
            known = hashlib.file_digest(handle, "sha256").hexdigest()
        _verified[identity] = (now, known)
    return known
