"""Videos as sources: frames taken at a rate, near-identical ones in a row counted once.

The frames of a folder's videos (or of one video) are written as JPEG into the workspace, in folders
named like the videos, and opened as a folder of images. A second opening finds them there. OpenCV
decodes; it is optional.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.types import Dataset, Note, Progress, Rejected
from coreset_engine.sources.safe_names import safe_name

VIDEOS = frozenset(".mp4 .mov .avi .mkv .webm .m4v .mpg .mpeg .wmv .ogv .ts .mts .flv".split())
QUALITY = 95
THUMBNAIL = 32  # pixels a side of what neighbouring frames are compared by
SAME = 1.5  # mean grey levels that a frame must differ by from the last one kept
FASTEST = 1000.0  # frames a second
_DONE = "frames.json"


@dataclass(frozen=True)
class FrameFolder:
    """Folder of a source's frames, with skipped frames and notes.

    folder: holds VIDEO/t000012.500.jpg. rejected: videos that cannot be decoded.
    """

    folder: Path
    notes: tuple[Note, ...]
    rejected: tuple[Rejected, ...]


def frames_of(
    root: Path, fps: float, keep: Path | None, *, follow_links: bool, progress: Progress
) -> FrameFolder:
    """The frames of the video `root`, or of every video below the folder `root`.

    Parameters
    ----------
    fps
        Frames a second, 0 < fps <= 1000; a video with fewer gives all of its frames.
    keep
        Folder that frames are kept in; None = a temporary one.
    progress
        Called with unit "videos".

    Raises
    ------
    Missing
        Without OpenCV.
    BadInput
        Without a video, or when no frame can be decoded.
    """
    videos = _videos(root, follow_links)
    if not videos:
        raise BadInput(
            f"{str(root)!r} holds no video, so fps={fps:g} (--fps) does not "
            f"apply; leave it out, or give a folder with {', '.join(sorted(VIDEOS)[:6])} files."
        )
    target_folder = _frame_folder(root, videos, fps, keep)
    if not (target_folder / _DONE).is_file():
        _extract(root, videos, fps, target_folder, progress)
    record = json.loads((target_folder / _DONE).read_text())
    rejected = tuple(Rejected(name, reason) for name, reason in record["rejected"])
    if not record["frames"]:
        first = rejected[0] if rejected else Rejected("", "it has no frame")
        raise BadInput(f"no frame of {str(root)!r} can be decoded: {first.name!r} {first.reason}.")
    read = counted(len(videos) - len(rejected), "video")
    note = f"{counted(record['frames'], 'frame')} of {read} at {fps:g} a second"
    same = counted(record["same"], "frame is", "frames are")
    note += f"; {same} nearly identical to the previous one and skipped"
    if record["truncated"]:
        short = counted(
            len(record["truncated"]),
            "video ends before its declared length",
            "videos end before their declared length",
        )
        note += f"; {short}: {record['truncated'][0]!r}"
    return FrameFolder(target_folder, (Note("decoding", note),), rejected)


def _videos(root: Path, follow_links: bool) -> list[tuple[str, Path]]:
    """(name below the root, path) of every video, sorted."""
    if root.is_file():
        return [(root.name, root)] if root.suffix.lower() in VIDEOS else []
    videos = []
    for folder, folders, names in os.walk(root, followlinks=follow_links):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(folder) / name
            if path.suffix.lower() in VIDEOS and not name.startswith(".") and path.is_file():
                videos.append((str(path.relative_to(root)), path))
    return sorted(videos)


def _frame_folder(
    root: Path, videos: list[tuple[str, Path]], fps: float, keep: Path | None
) -> Path:
    """Where these videos' frames lie, named by the files' names, sizes and times."""
    seen = hashlib.sha256(f"frames 1 {root} {fps!r} {QUALITY} {SAME} {THUMBNAIL}".encode())
    for name, path in videos:
        about = path.stat()
        line = f"\0{name}\0{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"
        seen.update(line.encode("utf-8", "surrogateescape"))
    folder = keep if keep is not None else Path(tempfile.mkdtemp(prefix="coreset-frames-"))
    return folder / seen.hexdigest()[:32]


def _extract(
    root: Path, videos: list[tuple[str, Path]], fps: float, target_folder: Path, progress: Progress
) -> None:
    """Write all frames; the folder is renamed into target_folder when it is whole."""
    temporary = target_folder.with_name(f".{target_folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    total = same = 0
    rejected = []
    truncated = []
    try:
        for number, (name, path) in enumerate(videos):
            progress(number, len(videos), "videos")
            folder = temporary / name
            folder.mkdir(parents=True, exist_ok=True)
            try:
                kept, left, complete = _write_frames(path, fps, folder)
            except _Undecodable as error:
                rejected.append((safe_name(name), str(error)))
                continue
            total += kept
            same += left
            truncated += [] if complete else [safe_name(name)]
        record = dict(frames=total, same=same, truncated=truncated, rejected=rejected)
        temporary.mkdir(parents=True, exist_ok=True)
        (temporary / _DONE).write_text(json.dumps(record))
        if target_folder.exists():  # another process was faster
            return
        os.replace(temporary, target_folder)
    except OSError as error:
        raise BadInput(
            f"the frames of {str(root)!r} cannot be kept in {str(target_folder.parent)!r} "
            f"({error.strerror or error}); make room, or set CORESET_HOME to another folder."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Undecodable(Exception):
    """Why one video gives no frame."""


def _write_frames(path: Path, fps: float, folder: Path) -> tuple[int, int, bool]:
    """(frames written, near-identical ones left out, whether the video was whole)."""
    cv2 = _opencv()
    kept = left = 0
    last = None
    video = Video(path)
    for seconds, frame in video.frames(fps):
        small = cv2.resize(frame, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        small = small.astype(np.float32)
        if last is not None and np.abs(small - last).mean() < SAME:
            left += 1
            continue
        last = small
        target = folder / f"t{seconds:010.3f}.jpg"
        done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise _Undecodable("has a frame that cannot be written as JPEG")
        target.write_bytes(data.tobytes())
        kept += 1
    if not kept:
        raise _Undecodable("has no frame that can be decoded; convert it to H.264 in .mp4")
    return kept, left, video.complete


class Video:
    """One video file, decoded from its beginning.

    complete: False once decoding ended before the length that the file declares.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete = True

    def frames(self, fps: float) -> Iterator[tuple[float, Any]]:
        """(seconds, (H, W, 3) uint8 BGR) of every frame that is taken at `fps` a second."""
        cv2 = _opencv()
        video = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        try:
            if not video.isOpened():
                raise _Undecodable("is a video that cannot be opened; convert it to H.264 in .mp4")
            yield from self._taken(cv2, video, fps)
        finally:
            video.release()

    def _taken(self, cv2: Any, video: Any, fps: float) -> Iterator[tuple[float, Any]]:
        own = float(video.get(cv2.CAP_PROP_FPS))
        own = own if 0 < own <= FASTEST else 0.0
        declared = float(video.get(cv2.CAP_PROP_FRAME_COUNT))
        number = 0
        due = 0.0
        while video.grab():
            seconds = number / own if own else float(video.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            number += 1
            if seconds + (0.5 / own if own else 0) < due:
                continue
            due += 1 / fps
            read, frame = video.retrieve()
            if read and frame is not None:
                yield seconds, frame
        self.complete = number >= 0.95 * declared - 1


def _opencv() -> Any:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong is said in our words
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    try:
        import cv2
    except ImportError:
        raise Missing(
            "frames of videos are decoded by OpenCV, which is not installed; pip install "
            "opencv-python-headless, or the extra [video]."
        ) from None
    return cv2


def checked_fps(value: Any) -> float:
    """A rate in frames a second. Raises BadInput."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate <= FASTEST:
        raise BadInput(
            f"fps={value!r} must be a number of frames per second above 0 and up to {FASTEST:g}, "
            "for "
            "example 1 or 0.5."
        )
    return rate


def as_frames(dataset: Dataset, spec: str, taken: FrameFolder) -> Dataset:
    """The dataset of a frame folder under its videos' spec, with columns `video` and `seconds`."""
    ids = [str(name) for name in dataset.ids]
    columns = dict(dataset.columns)
    columns["video"] = np.array([name.rpartition("/")[0] for name in ids])
    columns["seconds"] = np.array([float(name.rpartition("/t")[2][:-4]) for name in ids])
    return replace(
        dataset,
        spec=spec,
        columns=columns,
        notes=(*taken.notes, *dataset.notes),
        rejected=(*taken.rejected, *dataset.rejected),
    )
