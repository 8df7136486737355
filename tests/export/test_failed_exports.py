"""An export that fails, is cancelled or is killed leaves its place as it was."""

from __future__ import annotations

import errno
import os

import pytest
from synthetic_bundles import pictures

from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.export.staging import MARK
from coreset_engine.export.targets import TARGETS, export
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source

FOLDERS = [name for name, row in TARGETS.items() if row.destination == "folder"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    old = os.environ.get("CORESET_HOME")
    os.environ["CORESET_HOME"] = str(home)
    yield Run(open_source(str(pictures(home / "images"))))
    os.environ.pop("CORESET_HOME") if old is None else os.environ.update(CORESET_HOME=old)


def content(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class Failing:
    """Progress that fails at the call with this number, as a full disk does or as a user stops."""

    def __init__(self, error: BaseException, at: int) -> None:
        self.error = error
        self.left = at

    def __call__(self, done: int, total: int, unit: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, Cancelled("cancelled.")], ids=["disk", "cancelled"])
@pytest.mark.parametrize("target", FOLDERS)
def test_a_failed_export_leaves_nothing_behind(run, tmp_path, target, error):
    with pytest.raises((BadInput, Cancelled)):
        export(
            run,
            target=target,
            method="random",
            count=3,
            out=str(tmp_path / "new"),
            progress=Failing(error, 1),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", FOLDERS)
def test_a_failed_export_keeps_the_earlier_one(run, tmp_path, target):
    folder = tmp_path / "out"
    export(run, target=target, method="random", count=3, out=str(folder))
    before = content(folder)
    with pytest.raises(BadInput, match="room"):
        export(
            run, target=target, method="random", count=4, out=str(folder), progress=Failing(FULL, 1)
        )
    assert content(folder) == before
    export(run, target=target, method="random", count=4, out=str(folder))
    assert content(folder)["ids.txt"] != before["ids.txt"]
    assert not [name for name in content(folder) if ".coreset-export-" in name]


def test_what_a_killed_process_left_is_removed(run, tmp_path):
    dead = tmp_path / ".coreset-export-out.999999999.tmp"
    dead.mkdir()
    (dead / "half.png").write_bytes(b"x")
    export(run, target="csv", method="random", count=3, out=str(tmp_path / "out"))
    assert not dead.exists()


def test_files_of_somebody_else_beside_an_export_stay(run, tmp_path):
    folder = tmp_path / "out"
    export(run, target="coco", method="random", count=3, out=str(folder))
    (folder / "notes.txt").write_text("mine")
    export(run, target="coco", method="random", count=3, out=str(folder))
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "images" / MARK).unlink()
    with pytest.raises(BadInput, match=f"{folder}/images.*not made by an export"):
        export(run, target="coco", method="random", count=3, out=str(folder))


def test_paths_that_are_told_are_those_of_the_place(run, tmp_path):
    for target in FOLDERS:
        report = export(run, target=target, method="random", count=3, out=str(tmp_path / target))
        assert ".coreset-export-" not in str(report)
        assert str(tmp_path / target) in str(report.get("path", report["out"]))


def test_an_export_into_its_own_source_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    first = Run(open_source(str(pictures(tmp_path / "images"))))
    export(first, target="imagefolder", method="random", count=6, out=str(tmp_path / "set"))
    for source in (tmp_path / "set", tmp_path / "set" / "train"):
        before = content(tmp_path / "set")
        again = Run(open_source(str(source)))
        with pytest.raises(BadInput, match="source"):
            export(again, target="imagefolder", method="random", count=2, out=str(tmp_path / "set"))
        assert content(tmp_path / "set") == before
