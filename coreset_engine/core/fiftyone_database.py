"""FiftyOne's database: where its MongoDB comes from, and the one way in.

Nothing here imports FiftyOne until asked.

In this order: a server named by FIFTYONE_DATABASE_URI (or FiftyOne's config file); the mongod
FiftyOne's own package brought; the one `export.database --ensure` linked to the same place; none:
on-disk export only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from coreset_engine.core.errors import Missing
from coreset_engine.core.user_paths import user_path

HOW = (
    "set FIFTYONE_DATABASE_URI to a MongoDB server, or run "
    "`python -m coreset_engine.export.fiftyone.mongodb --ensure`"
)


@dataclass(frozen=True)
class Database:
    """Where FiftyOne's database comes from.

    kind: "uri", "package" (FiftyOne's own), "wheel" (ours, linked) or "none". sentence: for the
    user.
    """

    kind: str
    sentence: str
    mongod: Path | None = None

    @property
    def usable(self) -> bool:
        return self.kind != "none"


_RAN: set[tuple[str, int, int, int, int]] = set()  # files of mongod that have run


def find() -> Database:
    """Which database FiftyOne would use now. Starts nothing, downloads nothing."""
    if importlib.util.find_spec("fiftyone") is None:
        return Database(
            "none",
            "FiftyOne is not installed: the on-disk format still works; `pip install fiftyone` "
            "enables the rest.",
        )
    uri = configured_uri()
    if uri:
        return Database("uri", f"FiftyOne uses the MongoDB server at {_shown(uri)}.")
    mongod = package_mongod()
    error = fault_of(mongod)
    if error:
        return Database(
            "none",
            f"No MongoDB for FiftyOne ({error}): the on-disk format still works; for the rest "
            f"{HOW}.",
        )
    ours = mongod.is_symlink()
    sentence = "FiftyOne's MongoDB is ready" + (" (6.0.5)." if ours else ".")
    return Database("wheel" if ours else "package", sentence, mongod)


def configured_uri() -> str:
    """The server a user named, else ""."""
    if os.environ.get("FIFTYONE_DATABASE_URI"):
        return os.environ["FIFTYONE_DATABASE_URI"]
    path = user_path(os.environ.get("FIFTYONE_CONFIG_PATH") or "~/.fiftyone/config.json")
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("database_uri") or ""
    except (OSError, ValueError, AttributeError):
        return ""


def package_mongod() -> Path:
    """Where FiftyOne looks for mongod: in its own package and nowhere else.

    The file may be absent.
    """
    spec = importlib.util.find_spec("fiftyone")
    if spec is None or not spec.submodule_search_locations:
        raise Missing(f"FiftyOne is not installed; {HOW}.")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return folder / "db" / "bin" / ("mongod.exe" if sys.platform == "win32" else "mongod")


def fault_of(mongod: Path) -> str:
    """Why this mongod does not run, in a few words; "" when it does.

    A file that has run is not run again as long as it is the same file.
    """
    if not mongod.is_file():
        return "its package contains no mongod"
    facts = mongod.stat()
    same = (str(mongod), facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    if same in _RAN:
        return ""
    fault = _fault_when_run(mongod)
    if not fault:
        _RAN.add(same)
    return fault


def _fault_when_run(mongod: Path) -> str:
    try:
        done = subprocess.run(
            [str(mongod), "--version"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"its mongod does not start: {error}"
    words = " ".join((done.stderr or done.stdout).split())
    return "" if done.returncode == 0 else f"its mongod does not start: {words[:160]}"


def connect() -> Any:
    """The module `fiftyone`, connected once, so that a later App finds the database running.

    Raises Missing with one sentence when there is no FiftyOne, no MongoDB, or a server that does
    not answer.
    """
    binary = find()
    if not binary.usable:
        raise Missing(binary.sentence)
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "1")
    if binary.kind == "wheel":  # 6.0.5 works; without this FiftyOne warns on every connection
        os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")
    if binary.kind == "uri" and "fiftyone" not in sys.modules:
        _ping(configured_uri())
    import fiftyone
    import fiftyone.core.odm as odm

    try:
        odm.get_db_conn()
    except (ConnectionError, RuntimeError, fiftyone.core.config.FiftyOneConfigError) as error:
        words = " ".join(str(error).split())[:160]
        raise Missing(f"FiftyOne's database does not start ({words}); {HOW}.") from None
    return fiftyone


def _ping(uri: str) -> None:
    """Fail within seconds; FiftyOne itself would wait half a minute."""
    import pymongo
    from pymongo.errors import PyMongoError

    try:
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000)
        with client:
            client.admin.command("ping")
    except PyMongoError as error:
        raise Missing(
            f"the MongoDB server at {_shown(uri)} does not answer ({type(error).__name__}); start "
            "it, or unset FIFTYONE_DATABASE_URI to use FiftyOne's own."
        ) from None


def _shown(uri: str) -> str:
    """Host and port only: an address may hold a password."""
    return urlsplit(uri).netloc.rpartition("@")[2] or "an address of your own"
