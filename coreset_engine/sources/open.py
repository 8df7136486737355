"""`open_source`: one word or path in, one Dataset out.

    demo                         scikit-learn's digits, offline
    demo-photos                  640 colour pictures cut from public photographs, offline
    fashion-mnist[:test][:DIR]   60,000 (10,000) images from idx files
    FOLDER                       images, recursive; classes proposed from folder names or a table
    DIR/*.tar, ONE.tar           WebDataset tars: ids are keys, labels from .cls, .txt or .json
    DIR/*.parquet                Parquet with image bytes; #id=COLUMN&label=COLUMN&image=COLUMN
    s3://B/DIR, gs://, file://   images, tars or Parquet files on an object store
    FILE.npy, FILE.npz           own vectors; images=FOLDER, ids=FILE and order= optional
    fiftyone:NAME[/VIEW]         a FiftyOne dataset or saved view

`Dataset.spec` is always one of these, or "folder:{json}" / "vectors:{json}" where options must
travel along (`options`).
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import load
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.core.user_paths import user_path, workspace
from coreset_engine.sources.frames import VIDEOS
from coreset_engine.sources.options import is_vectors, not_taken, unpacked

# Sources that are named by a word: what opens them, called as (rest, progress, **options) with what
# follows the word and a colon. Everything else is a path or a URL.
SOURCES = {
    "demo": "coreset_engine.sources.open:_open_demo",
    "demo-photos": "coreset_engine.sources.open:_open_demo_photos",
    "fashion-mnist": "coreset_engine.sources.open:_open_fashion",
    "fiftyone": "coreset_engine.sources.open:_open_fiftyone",
}
WORDS = (
    "demo",
    "demo-photos",
    "fashion-mnist",
    "fiftyone:NAME",
    "a folder",
    "a .npy file",
    "tars (DIR/*.tar)",
    "Parquet files (DIR/*.parquet)",
    "a URL (s3://BUCKET/DIR)",
)


def open_source(
    spec: str | Path,
    *,
    images: str | Path | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Dataset:
    """Open a source.

    Parameters
    ----------
    spec
        What to open, see the module.
    images
        The folder that belongs to a file of vectors.
    progress
        Called with unit "files" or "images".
    **options
        Fields of `options.ReadOptions` that the kind of source takes, such as labels="none",
        depth=2, split="train", fit="pad", follow_links=True, max_pixels=200_000_000; Fashion-MNIST:
        download=bool; FiftyOne: name, view, tags, labels, embeddings; tars, Parquet and URLs: id,
        label, image (names of columns).

    Returns
    -------
    Dataset
        Images that can be read, in a fixed order; what was skipped is in `rejected`, what was
        assumed in `notes`.

    Raises
    ------
    BadInput
        With one sentence, when nothing usable is there or an option does not fit.
    Missing
        When a package or the data is not installed.
    """
    text = os.fspath(spec).strip() if isinstance(spec, (str, Path)) else ""
    if not text or "\0" in text:
        raise BadInput(f"source {spec!r} is not a name or path; use one of: {', '.join(WORDS)}.")
    if images is not None and not (is_vectors(text) or _is_vector_table(text)):
        raise BadInput(
            f"images={str(images)!r} goes with vectors only (.npy, .npz, Parquet), not with "
            f"{text!r}; leave it out."
        )
    try:
        return _open(text, images, progress, options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        name = str(error).split()[-1].strip("'")
        if name in ("fps", "patches"):
            raise not_taken(name, options.get(name), text, ()) from error
        raise BadInput(f"source {text!r} has no option {name!r}.") from error
    except OSError as error:
        raise BadInput(
            f"{text!r} cannot be opened ({error.strerror or error}); check path and permissions."
        ) from error


def _open(
    text: str, images: str | Path | None, progress: Progress, options: dict[str, Any]
) -> Dataset:
    name, _, rest = text.partition(":")
    if name in SOURCES:
        return load(SOURCES[name])(rest, progress, **options)
    if is_vectors(text) or _is_vector_table(text):
        return _open_vectors(text, images, progress, options)
    from coreset_engine.sources.remote import containers

    text = containers.local_folder(text) or text
    if containers.is_container(text):
        return containers.open_container(
            text, memory=home() / "verified", progress=progress, **options
        )
    return _open_folder(text, progress, options)


def _open_demo(rest: str, progress: Progress, **options: Any) -> Dataset:
    from coreset_engine.sources.builtin import open_digits

    if rest:
        raise BadInput(
            f"source 'demo:{rest}' is unknown: 'demo' takes nothing after it; use 'demo'."
        )
    return open_digits(**options)


def _open_demo_photos(rest: str, progress: Progress, **options: Any) -> Dataset:
    from coreset_engine.sources.demo_photos import open_demo_photos

    if rest:
        raise BadInput(f"source 'demo-photos:{rest}' is unknown; use 'demo-photos'.")
    return open_demo_photos(**options)


def _open_fashion(rest: str, progress: Progress, **options: Any) -> Dataset:
    from coreset_engine.sources.builtin import open_fashion

    split, folder = _fashion_parts(rest)
    return open_fashion(split, folder, cache=home() / "datasets", **options)


def _open_fiftyone(rest: str, progress: Progress, **options: Any) -> Dataset:
    from coreset_engine.sources.fiftyone import open_fiftyone

    return open_fiftyone(rest, memory=home() / "verified", progress=progress, **options)


def _is_vector_table(text: str) -> bool:
    if not text.lower().endswith((".parquet", ".pq")):
        return False
    from coreset_engine.sources.vector_files import is_vector_table

    return is_vector_table(text)


def home() -> Path:
    """The workspace folder, see `workspace`."""
    return workspace()


def _fashion_parts(rest: str) -> tuple[str, str | None]:
    """ "test:/data" -> ("test", "/data"). A folder that is itself called test is ./test."""
    first, _, more = rest.partition(":")
    if first in ("train", "test"):
        return first, more or None
    return "train", rest or None


def _open_vectors(
    text: str, images: str | Path | None, progress: Progress, options: dict[str, Any]
) -> Dataset:
    from coreset_engine.sources.vectors import open_vectors

    path, read_options = unpacked(text, "vectors:", "vectors")
    read_options = {**read_options, **options}
    if images is not None:
        read_options["images"] = os.fspath(images)
    return open_vectors(path, memory=home() / "verified", progress=progress, **read_options)


def _open_folder(text: str, progress: Progress, options: dict[str, Any]) -> Dataset:
    from coreset_engine.sources.folder import open_folder

    path, read_options = unpacked(text, "folder:", "folder")
    folder = user_path(path)
    if not folder.exists():
        if any(symbol in path for symbol in "*?[") and folder.parent.exists():
            raise BadInput(
                f"{path!r} is a pattern, which works only for tars and Parquet files; give the "
                "folder"
                f" {str(folder.parent)!r}, and what to leave out with --split or a table."
            )
        similar = difflib.get_close_matches(
            path, ("demo", "demo-photos", "fashion-mnist"), n=1, cutoff=0.7
        )
        hint = f"did you mean {similar[0]!r}?" if similar else f"give one of: {', '.join(WORDS)}."
        raise BadInput(f"{path!r} is neither a source's name nor an existing path; {hint}")
    is_video = (
        folder.suffix.lower() in VIDEOS and {**read_options, **options}.get("fps") is not None
    )
    if not folder.is_dir() and not is_video:
        raise BadInput(_why_no_folder(path, folder))
    return open_folder(
        folder, memory=home() / "verified", progress=progress, **{**read_options, **options}
    )


def _why_no_folder(path: str, file: Path) -> str:
    """What a file that was given as the source is, and the way on."""
    from coreset_engine.sources.walk import KNOWN

    reason = KNOWN.get(file.suffix.lower())
    if file.suffix.lower() in (".csv", ".tsv", ".json", ".jsonl", ".txt", ".xml"):
        return (
            f"{path!r} is a table or text, not images; give the folder of its images, with "
            f"labels={path!r} (--labels {path})."
        )
    if reason:
        return f"{path!r} {reason}."
    return f"{path!r} is a file, not a folder of images or a .npy file; give its folder."
