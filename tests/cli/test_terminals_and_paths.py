"""Names of any language on any terminal, and paths as people write them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coreset_engine.artifacts.selection_folder import check_destination
from coreset_engine.artifacts.store import Store
from coreset_engine.cli import main
from coreset_engine.core.errors import BadInput
from coreset_engine.core.user_paths import user_path, workspace
from coreset_engine.sources.open import home, open_source
from coreset_engine.sources.verdicts import VerdictMemory


def shell(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    given = os.environ | {"CORESET_HOME": str(home)} | environment
    command = [sys.executable, "-m", "coreset_engine", *words]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=300)


def test_a_terminal_of_ascii_shows_every_name(tmp_path: Path):
    ids = np.array([f"漢字/ø{number}.png" for number in range(8)])
    np.savez(tmp_path / "vectors.npz", vectors=np.eye(8), ids=ids)
    out = tmp_path / "größe 😀"
    words = ["run", str(tmp_path / "vectors.npz"), "--method", "random", "--count", "3"]
    done = shell(tmp_path / "home", *words, "--out", str(out), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert set((out / "ids.txt").read_text("utf-8").split()) < set(ids)
    assert r"gr\xf6\xdfe" in done.stdout


def test_a_locale_that_cannot_name_files_is_refused_in_words(tmp_path: Path):
    locale = dict(LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    done = shell(tmp_path / "home", "status", **locale)
    assert done.returncode == 2 and "set PYTHONUTF8=1" in done.stderr


def test_a_tilde_is_the_home_folder_in_every_option(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert main._with_home("~/a b") == "/home/me/a b"
    assert main._with_home("--out=~/a") == "--out=/home/me/a"
    for word in ("a~/b", "--out", "--param=x=~y", "~"):
        assert main._with_home(word) == word


def test_a_tilde_is_the_home_folder_for_what_is_written(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("a")
    with pytest.raises(BadInput, match="is not a selection folder"):
        check_destination("~/theirs")
    check_destination("~/new")


def test_there_is_one_workspace(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CORESET_HOME", "~/kept here")
    assert workspace() == home() == Store().home == tmp_path / "kept here"
    monkeypatch.setenv("CORESET_HOME", "~nobody-of-this-name/kept")
    for call in (workspace, home, Store):
        with pytest.raises(BadInput, match="set CORESET_HOME to a folder you can write"):
            call()
    assert str(user_path("~nobody-of-this-name/x")) == "~nobody-of-this-name/x"


def test_a_read_only_workspace_is_no_fault_of_the_source(tmp_path: Path, monkeypatch):
    """A read-only disk refuses even to remove what is not there."""

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    memory = VerdictMemory(tmp_path / "verified", tmp_path)
    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    memory.remember([], [])
    memory.forget()


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """A small disk that can be mounted read-only."""
    folder = tmp_path_factory.mktemp("disk")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False)
    if made.returncode:
        pytest.skip("mounting needs rights that this account does not have")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


def test_a_source_on_a_read_only_disk_with_its_workspace_there_too(read_only: Path, monkeypatch):
    from PIL import Image

    (read_only / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(read_only / "images" / f"{number}.png")
    subprocess.run(["mount", "-o", "remount,ro", read_only], check=True)
    monkeypatch.setenv("CORESET_HOME", str(read_only / "home"))
    assert len(open_source(read_only / "images")) == 3
    with pytest.raises(BadInput, match="Read-only file system.*choose a folder you can write"):
        check_destination(read_only / "out")
