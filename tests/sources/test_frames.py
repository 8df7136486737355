"""Videos as sources: real ones, written here, with known frames at known times."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.sources.open import open_source
from coreset_engine.sources.specs import spec_with


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("CORESET_HOME", str(folder))
    return folder


def video(path: Path, greys: list[int], fps: float = 10.0) -> Path:
    """A video whose frame i is all of grey level greys[i]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (32, 24))
    assert writer.isOpened()
    for grey in greys:
        writer.write(np.full((24, 32, 3), grey, np.uint8))
    writer.release()
    return path


def greys_of(ds) -> list[int]:
    return [round(float(np.asarray(ds.image(i)).mean())) for i in range(len(ds))]


def near(found: list[int], wanted: list[int]) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= 3 for a, b in zip(found, wanted))


def test_frames_are_taken_at_the_rate_asked_for(tmp_path):
    video(tmp_path / "set" / "a.avi", [10 + 8 * i for i in range(30)])  # 3 s at 10 a second
    ds = open_source(tmp_path / "set", fps=2)
    assert ds.ids.tolist() == [f"a.avi/t{0.5 * i:010.3f}.jpg" for i in range(6)]
    assert near(greys_of(ds), [10 + 8 * i for i in (0, 5, 10, 15, 20, 25)])
    assert ds.columns["seconds"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert set(ds.columns["video"]) == {"a.avi"} and ds.labels is None


def test_a_rate_above_the_videos_own_takes_every_frame_once(tmp_path):
    path = video(tmp_path / "a.avi", [0, 60, 120, 180], fps=5)
    assert near(greys_of(open_source(path, fps=100)), [0, 60, 120, 180])


def test_frames_nearly_identical_in_a_row_count_once(tmp_path):
    video(tmp_path / "set" / "a.avi", [50] * 10 + [200] * 10 + [50] * 10)
    ds = open_source(tmp_path / "set", fps=10)
    assert near(greys_of(ds), [50, 200, 50])  # the scene that comes back is another scene
    assert any(
        "27 frames are nearly identical to the previous one and skipped" in one.text
        for one in ds.notes
    )


def test_folders_of_videos_name_the_class_and_videos_do_not(tmp_path):
    for name, grey in (("cat/1.avi", 20), ("cat/2.avi", 80), ("dog/1.avi", 140)):
        video(tmp_path / "set" / name, [grey, grey + 60], fps=1)
    ds = open_source(tmp_path / "set", fps=1)
    assert ds.classes == ("cat", "dog") and ds.labels.tolist() == [0, 0, 0, 0, 1, 1]
    flat = open_source(tmp_path / "set" / "cat", fps=1)
    assert flat.labels is None and len(flat) == 4


def test_a_second_opening_decodes_nothing_and_a_changed_video_is_noticed(tmp_path, home):
    path = video(tmp_path / "set" / "a.avi", [0, 90])
    first = open_source(tmp_path / "set", fps=10)
    assert first.fingerprint == open_source(first.spec).fingerprint
    assert len(list((home / "frames").iterdir())) == 1
    video(path, [0, 90, 180])
    again = open_source(first.spec)
    assert len(again) == 3 and again.fingerprint != first.fingerprint
    assert spec_with(str(tmp_path / "set"), {"fps": "10"}) == first.spec


def test_a_damaged_video_is_set_aside_and_one_cut_off_gives_its_beginning(tmp_path):
    (tmp_path / "set").mkdir()
    good = tmp_path / "set" / "good.avi"
    writer = cv2.VideoWriter(str(good), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for seed in range(12):
        writer.write(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8))
    writer.release()
    data = good.read_bytes()
    (tmp_path / "set" / "cut.avi").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "set" / "bad.mp4").write_bytes(b"no video at all")
    ds = open_source(tmp_path / "set", fps=10)
    counts = {name: list(ds.columns["video"]).count(name) for name in ("good.avi", "cut.avi")}
    assert counts["good.avi"] == 12 and 0 < counts["cut.avi"] < 12
    assert any("1 video ends before its declared length: 'cut.avi'" in one.text for one in ds.notes)
    reason = next(one.reason for one in ds.rejected if one.name == "bad.mp4")
    assert "cannot be opened; convert it to H.264" in reason


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "x", "5000"])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    video(tmp_path / "a.avi", [0])
    with pytest.raises(BadInput, match="frames per second above 0 and up to 1000"):
        open_source(tmp_path / "a.avi", fps=fps)


def test_what_has_no_frames_says_so_with_the_way_on(tmp_path, monkeypatch):
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match="holds no video, so fps=1 .--fps. does not apply"):
        open_source(tmp_path / "none", fps=1)
    path = video(tmp_path / "set" / "a.avi", [0])
    for source in (path, path.parent):
        with pytest.raises(BadInput, match=r"open the source with fps=1 \(--fps 1\)"):
            open_source(source)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(Missing, match="pip install opencv-python-headless, or the extra .video."):
        open_source(path, fps=1)
