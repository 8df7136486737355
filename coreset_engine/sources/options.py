"""Options of reading a source: one record, written into the spec.

`Dataset.spec` carries every option that is not the default, so that jobs, manifests, nodes of a
cluster and later sessions open the very same source.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.decoding import MAX_PIXELS, DecodeOptions
from coreset_engine.sources.frames import checked_fps

FITS = ("auto", "crop", "pad", "squash")
VERIFY = ("full", "header")
ORDERS = ("natural", "lexical", "folders")
# kind of source -> the options it takes
TAKEN = {
    "folder": tuple(
        "labels depth split fit follow_links verify max_pixels bands fps patches".split(),
    ),
    "vectors": tuple(
        "images ids order labels depth split follow_links verify max_pixels bands".split(),
    ),
    "container": tuple(
        "id image label labels split fit verify max_pixels bands".split(),
    ),
    "fiftyone": tuple(
        "name view tags labels embeddings fit max_pixels bands patches".split(),
    ),
    "builtin": (),
}


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read.

    labels: where class names come from: "folder", "parent", "none", a table's path "FILE[#COLUMN]",
    or a column; None: proposed. depth: folder level that names the class, 1 = the first.
    split: the part that is the pool: a split's name, several joined by commas, or "all"; None: all
    but a test part. fit: how a picture becomes a square: auto, crop, pad, squash. follow_links:
    enter linked folders. verify: "full" or "header". max_pixels: width x height above which a
    picture is not decoded. bands: three band numbers for files of more than four bands. fps: frames
    a second that are taken of videos. patches: boxes whose content becomes the images: a COCO file
    or a folder of YOLO labels, or a detections field of FiftyOne. images, ids, order: the folder,
    the ids and the order (natural: img_2 before img_10; lexical; folders: folder by folder, as
    torchvision lists them) that belong to vectors.
    """

    labels: str | None = None
    depth: int | None = None
    split: str | None = None
    fit: str = "auto"
    follow_links: bool = False
    verify: str = "full"
    max_pixels: int | None = None
    bands: tuple[int, int, int] | None = None
    images: str | None = None
    ids: str | None = None
    order: str | None = None
    fps: float | None = None
    patches: str | None = None

    @classmethod
    def of(cls, kind: str, options: Mapping[str, Any]) -> ReadOptions:
        """The record of `options`, checked. Raises BadInput for what `kind` does not take."""
        known = {field.name for field in fields(cls)} & set(TAKEN[kind])
        unknown = sorted(set(options) - known)
        if unknown:
            raise BadInput(
                f"{unknown[0]}={options[unknown[0]]!r}: this kind of source has no such option; it "
                "accepts"
                f" {', '.join(name for name in TAKEN[kind] if name in known)}."
            )
        return cls(**{name: _checked(name, value) for name, value in options.items()})

    @property
    def decoding(self) -> DecodeOptions:
        return DecodeOptions(self.max_pixels or MAX_PIXELS, self.bands)

    def changed(self) -> dict[str, Any]:
        """The options that are not the default."""
        plain = ReadOptions()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(plain, name)}


# option that only some kinds of source take -> what to do with a source of another kind
_WAYS_ON = {
    "fps": "frames are extracted only from videos in a local folder; copy the videos into one and "
    "open it with fps={value} (--fps {value})",
    "patches": "objects are cropped only from images in a local folder, or from a FiftyOne dataset "
    "by a detections field; copy the images into a folder and open it with "
    "patches={value} (--patches {value})",
}


def not_taken(name: str, value: Any, spec: str, taken: Sequence[str]) -> BadInput:
    """The refusal of an option that a kind of source does not take.

    Parameters
    ----------
    name : str
        Of the option.
    value
        As it was given.
    spec : str
        The source.
    taken : sequence of str
        Options that it does take.
    """
    beginning = f"{name}={value!r} does not apply to {spec[:80]!r}"
    if name in _WAYS_ON:
        return BadInput(f"{beginning}: {_WAYS_ON[name].format(value=value)}.")
    return BadInput(f"{beginning}; it takes {', '.join(taken) or 'no options'}.")


def _checked(name: str, value: Any) -> Any:
    offered = {"fit": FITS, "verify": VERIFY, "order": ORDERS}
    if value is None:
        return getattr(ReadOptions(), name)
    if name in offered and value not in offered[name]:
        raise BadInput(
            f"{name}={value!r} is not supported; use {', '.join(map(repr, offered[name]))}."
        )
    if name in ("depth", "max_pixels"):
        return _integer(name, value)
    if name == "bands":
        return _bands(value)
    if name == "fps":
        return checked_fps(value)
    if name == "follow_links":
        return str(value).lower() in ("true", "1", "yes", "on")
    if name == "labels":
        return _labels(value)
    return str(value).strip() or None


def _labels(value: Any) -> str | None:
    text = str(os.fspath(value) if isinstance(value, Path) else value).strip()
    if text.lower() == "auto":
        return None
    return text or "none"


def _integer(name: str, value: Any) -> int:
    try:
        number = int(str(value).replace("_", "").replace(",", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise BadInput(f"{name}={value!r} must be an integer of at least 1.")
    return number


def _bands(value: Any) -> tuple[int, int, int]:
    words = value.split(",") if isinstance(value, str) else list(value)
    try:
        numbers = tuple(int(word) for word in words)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or min(numbers) < 1:
        raise BadInput(
            f"bands={value!r} must be three band numbers (from 1) for red, green and blue, for "
            "example 3,2,1."
        )
    return numbers


# -- specs -----------------------------------------------------------------------------------------


def folder_spec(root: Path, chosen: ReadOptions, **changes: Any) -> str:
    """The spec of a folder read with these options: its path, or "folder:{json}"."""
    return json_spec("folder:", root, replace(chosen, **changes))


def vectors_spec(path: Path, chosen: ReadOptions) -> str:
    """The spec of vectors read with these options: their path, or "vectors:{json}"."""
    return json_spec("vectors:", path, chosen)


def json_spec(prefix: str, path: Path, chosen: ReadOptions) -> str:
    options = chosen.changed()
    if not options:
        return str(path)
    if "patches" in options and user_path(options["patches"]).exists():
        options["patches"] = os.path.abspath(os.path.expanduser(options["patches"]))
    for name in ("images", "ids"):
        if name in options:
            options[name] = os.path.abspath(os.path.expanduser(options[name]))
    return prefix + json.dumps({"path": str(path), **options}, sort_keys=True, ensure_ascii=False)


def unpacked(text: str, prefix: str, kind: str) -> tuple[str, dict[str, Any]]:
    """(path, options) of "folder:{json}" and "vectors:{json}"; plain text is just a path."""
    if not text.startswith(prefix):
        return text, {}
    try:
        options = json.loads(text.removeprefix(prefix))
        path = options.pop("path")
    except (ValueError, KeyError, TypeError, AttributeError):
        options = {}
        path = None
    if not isinstance(path, str) or set(options) - set(TAKEN[kind]):
        raise BadInput(
            f"source {text[:80]!r} is malformed; after {prefix!r} comes JSON with path, "
            f"{', '.join(sorted(TAKEN[kind]))}."
        )
    return path, options


def is_vectors(text: str) -> bool:
    """Whether a spec names vectors of this machine."""
    plain = text.lower().endswith((".npy", ".npz")) and "://" not in text
    return text.startswith("vectors:") or plain and not text.startswith("folder:")
