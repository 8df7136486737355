"""Walk an untrusted folder: no loops, FIFOs or devices; 100,000 files in about a second.

Links to files are taken (data sets are often built of them); links to folders only when asked, and
never twice into the same folder. A file without an image's extension is looked at by its first
bytes, so a wrongly named picture is found and a text file is not decoded.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Rejected
from coreset_engine.sources.decoding import EXTENSIONS
from coreset_engine.sources.safe_names import safe_name

_MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x00\x0cjP  ",
)
_DEPTH = 64
_RAW = "is a camera raw file, which is not supported; export it as JPEG or TIFF"
_VIDEO = "is a video; open the source with fps=1 (--fps 1) to take a frame a second"
_DRAWING = "is a drawing or document, which is not supported; export it as PNG"
_OTHER_IMAGE = "is an image of an unsupported kind; convert it to PNG"
_SCIENCE = "is a scientific image of an unsupported kind; export it as PNG or 16-bit TIFF"
_ARCHIVE = "is an archive or packed file; unpack it here"
_RECORDS = "is a record file, which is not supported; write its images as files, tars or Parquet"
_ARRAYS = "is an array file of an unsupported kind; save vectors with numpy.save, images as PNG"
_ARROW = "is an Arrow file; write it as Parquet and open that"
_TABLE = "is a table, not an image; labels=FILE (--labels) reads labels from it"
_ANNOTATIONS = (
    "holds annotations or settings; labels=FILE or FOLDER (--labels) reads labels from it"
)
_WORKBOOK = (
    "is a workbook, which is not supported; save the sheet as CSV and give it as labels=FILE "
    "(--labels)"
)
HIDDEN = "is hidden: its name begins with a dot; rename it to use it"
# Files that hold pictures of a kind that is not read: what they are, and the way on.
KNOWN = {
    **dict.fromkeys(".nef .nrw .cr2 .cr3 .arw .dng .orf .rw2 .raf .pef .srw .x3f".split(), _RAW),
    **dict.fromkeys(".mp4 .mov .avi .mkv .webm .m4v .mpg .mpeg .wmv".split(), _VIDEO),
    **dict.fromkeys(".svg .pdf .eps .ps .ai .psd .xcf .wmf .emf".split(), _DRAWING),
    ".dcm": "is a DICOM file, which is not supported; export it as PNG or 16-bit TIFF",
    ".jxl": "is a JPEG XL file, which is not supported; convert it to PNG or JPEG",
    **dict.fromkeys(".ico .icns .tga .pcx .dds .qoi .pam .xbm .xpm .cur".split(), _OTHER_IMAGE),
    **dict.fromkeys(".fits .fit .nii .mha .nrrd .mrc .czi .lif .nd2 .svs".split(), _SCIENCE),
    **dict.fromkeys(".gz .tgz .bz2 .xz .zst .rar .7z".split(), _ARCHIVE),
    **dict.fromkeys(".tfrecord .tfrecords .lmdb .mdb .rec .beton .mds".split(), _RECORDS),
    **dict.fromkeys(".h5 .hdf5 .mat .pkl .pickle .pt .pth .safetensors".split(), _ARRAYS),
    **dict.fromkeys(".arrow .feather".split(), _ARROW),
    ".exr": "is an OpenEXR file, which is not supported; convert it to TIFF or PNG",
    ".hdr": "is a Radiance HDR file, which is not supported; convert it to TIFF or PNG",
    ".zip": "is a zip archive; unpack it here, or upload it on Home",
    ".tar": "is a tar beside images; open it on its own (FOLDER/*.tar)",
    ".parquet": "is a Parquet file beside images; open it on its own, or as labels=FILE (--labels)",
    ".npy": "is an array beside images; open it as the source, with images=FOLDER (--images)",
    ".npz": "is an array beside images; open it as the source, with images=FOLDER (--images)",
    **dict.fromkeys(".csv .tsv .jsonl .ndjson".split(), _TABLE),
    **dict.fromkeys(".json .xml".split(), _ANNOTATIONS),
    **dict.fromkeys(".xlsx .xls .ods".split(), _WORKBOOK),
}
# Folders that a system keeps beside people's own: previews, waste, remains of zips.
_OF_THE_SYSTEM = frozenset(
    ("@eadir", "__macosx", "$recycle.bin", "system volume information", "lost+found", "#recycle")
)
NOT_AN_IMAGE = "not an image by name and first bytes"


@dataclass(frozen=True)
class FoundFile:
    """One candidate file.

    Its path below the root ("/" between parts), size in bytes, and the times of its last
    modification and last change of any kind, in nanoseconds.
    """

    relative: str
    size: int
    modified: int
    changed: int = 0


@dataclass
class _Walk:
    """The state of one walk."""

    root: Path
    follow_links: bool
    seen: set[tuple[int, int]]
    waiting: list[str] = field(default_factory=lambda: [""])
    found: list[FoundFile] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    others: Counter[tuple[str, str]] = field(default_factory=Counter)

    def reject(self, name: str, reason: str) -> None:
        self.rejected.append(Rejected(display(name), reason))


def scan(root: Path, *, follow_links: bool = False) -> tuple[list[FoundFile], list[Rejected]]:
    """Candidate image files below `root`, sorted by name, and what was skipped on the way.

    Files of no use are counted by extension, those that hold pictures first.
    """
    walk = _Walk(root, follow_links, {_identity(os.stat(root))})
    while walk.waiting:
        below = walk.waiting.pop()
        for entry in _entries(walk, below):
            relative = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith("."):
                _count_hidden(walk, entry)
                continue
            try:
                _sort(walk, entry, relative)
            except OSError as error:
                walk.reject(relative, f"cannot be accessed ({error.strerror or error})")
    others = sorted(walk.others.items(), key=lambda one: (one[0][1] == NOT_AN_IMAGE, one[0]))
    for (suffix, reason), count in others:
        walk.rejected.append(Rejected(f"{suffix} ({count})", reason, count))
    walk.found.sort(key=lambda one: one.relative)
    return walk.found, walk.rejected


def display(name: str) -> str:
    """A printable form of any file name, invalid bytes included."""
    return safe_name(os.fsencode(name).decode("utf-8", "backslashreplace")).replace("\\\\", "\\")


def _entries(walk: _Walk, below: str) -> list[os.DirEntry]:
    try:
        with os.scandir(os.path.join(walk.root, below)) as listing:
            return list(listing)
    except OSError as error:
        if not below:
            raise BadInput(
                f"{str(walk.root)!r} cannot be listed ({error.strerror or error}); check its "
                "permissions."
            ) from error
        walk.reject(below + "/", f"cannot be listed ({error.strerror or error})")
        return []


def _sort(walk: _Walk, entry: os.DirEntry, relative: str) -> None:
    """Put one entry where it belongs: a folder to walk, a candidate, or aside."""
    if entry.is_dir(follow_symlinks=True):
        reason = _why_not_enter(walk, entry, relative)
        if reason:
            walk.reject(relative + "/", reason)
        else:
            walk.waiting.append(relative)
        return
    path = os.path.join(walk.root, relative)
    if not entry.is_file(follow_symlinks=True):
        nowhere = entry.is_symlink() and not os.path.exists(path)
        other = "is not a regular file (FIFO, socket, device)"
        walk.reject(relative, "is a broken link" if nowhere else other)
        return
    if not _is_text(relative):
        walk.reject(relative, "has a name that is not valid UTF-8; rename it")
        return
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in KNOWN or suffix not in EXTENSIONS and not _looks_like_image(path):
        shown = f"*{display(suffix)[:12]}" if suffix else "no extension"
        walk.others[shown, KNOWN.get(suffix, NOT_AN_IMAGE)] += 1
        return
    about = entry.stat(follow_symlinks=True)
    walk.found.append(FoundFile(relative, about.st_size, about.st_mtime_ns, about.st_ctime_ns))


def _count_hidden(walk: _Walk, entry: os.DirEntry) -> None:
    """Report hidden pictures and folders, except what macOS writes beside every file (._NAME)."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in EXTENSIONS and not entry.name.startswith("._"):
        walk.others[f".*{suffix}", HIDDEN] += 1
    elif entry.is_dir(follow_symlinks=False) and _holds_pictures(entry.path):
        walk.others[f"{display(entry.name)}/", HIDDEN] += 1


def _holds_pictures(folder: str) -> bool:
    """Whether a hidden folder has pictures directly in it."""
    try:
        with os.scandir(folder) as listing:
            return any(os.path.splitext(one.name)[1].lower() in EXTENSIONS for one in listing)
    except OSError:
        return False


def _why_not_enter(walk: _Walk, entry: os.DirEntry, relative: str) -> str:
    if entry.is_symlink() and not walk.follow_links:
        return (
            "is a link to a folder, which is not followed; open the source with "
            "follow_links=True (--follow-links, or the box on Home)"
        )
    if entry.name.lower() in _OF_THE_SYSTEM:
        return "is a system folder (previews, trash), not a folder of images; rename it to use it"
    if not _is_text(relative):
        return "has a name that is not valid UTF-8; rename it"
    if relative.count("/") >= _DEPTH:
        return f"lies more than {_DEPTH} folders deep"
    identity = _identity(entry.stat(follow_symlinks=True))
    if identity in walk.seen:
        return "was already visited (a loop of links)"
    walk.seen.add(identity)
    return ""


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _looks_like_image(path: str) -> bool:
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        head = os.read(descriptor, 16)
    finally:
        os.close(descriptor)
    return (
        head.startswith(_MAGIC)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"heic", b"heix", b"mif1"))
    )


Found = FoundFile  # its name in the first edition
