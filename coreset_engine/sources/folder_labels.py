"""What the folders that pictures lie in probably mean: classes, splits, or nothing.

A folder's name is a proposal. Levels of folders are looked at from the top: a level whose names all
look like splits (train, val2017), parts (fold1, cam2), dates, or storage (images, data) names no
class and the next level is looked at. What was assumed is put into words, with the options that
change it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Note
from coreset_engine.sources.frames import VIDEOS
from coreset_engine.sources.safe_names import comparable, safe_name, string_array

MODES = ("folder", "parent", "none")
TRAIN = frozenset(("train", "training", "trainval", "trn"))
TEST = frozenset(("test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"))
VALIDATION = frozenset(("val", "valid", "validation", "dev", "minival"))
OTHER_SPLITS = frozenset(
    ("unlabeled", "unlabelled", "labeled", "labelled", "extra", "query", "gallery")
)
STORAGE = frozenset(
    "image images img imgs picture pictures pic pics photo photos data dataset datasets raw jpg "
    "jpeg jpegimages png original originals frames samples sample source src input inputs all set "
    "bounding box ground truth groundtruth gt masks annotations labels".split()
)
PARTS = frozenset(
    "fold part batch chunk shard seq sequence session clip video vid frame run day week month year "
    "date dir folder set group site sensor device node disk roll take drive tile patch block slice "
    "view split worker page volume vol scan scene station trip night flight cam camera".split()
)
SIDES = frozenset("left right front rear back top bottom side center centre".split())
REMEDY = (
    "change it with labels=folder|parent|none|FILE.csv#COLUMN and depth=N (--labels, --depth, or "
    "the fields on Home)"
)
FEW = 20  # up to here, every number of classes is believed
_TOKEN = re.compile(r"[a-z]+|[0-9]+")
_DATE = re.compile(
    r"(19|20)\d\d([-_.]?(0[1-9]|1[0-2])([-_.]?(0[1-9]|[12]\d|3[01])([T _-]?\d{2}[-_:.h]?\d{2}"
    r"([-_:.m]?\d{2})?)?)?)?|(0[1-9]|[12]\d|3[01])[-_.](0[1-9]|1[0-2])[-_.](19|20)\d\d"
)
_HASH = re.compile(r"[0-9a-f]{2,3}")


@dataclass(frozen=True, eq=False)
class FolderLabels:
    """labels: (N,) int64, -1 = none, or None. splits, folders: (N,) str columns, or None."""

    labels: np.ndarray | None
    classes: tuple[str, ...]
    splits: np.ndarray | None = None
    folders: np.ndarray | None = None
    notes: tuple[Note, ...] = field(default=())


def split_of(name: str) -> str | None:
    """ "train", "test", "val" or "other" for a folder's name that looks like a split, else None."""
    tokens = _TOKEN.findall(name.lower())
    kinds = [(TRAIN, "train"), (TEST, "test"), (VALIDATION, "val"), (OTHER_SPLITS, "other")]
    matching = [kind for words, kind in kinds if words & set(tokens)]
    rest = set(tokens) - TRAIN - TEST - VALIDATION - OTHER_SPLITS - STORAGE - PARTS
    if not matching or any(len(token) > 1 and not token.isdigit() for token in rest):
        return None
    return matching[0]


def level_kind(names: Sequence[str]) -> str | None:
    """What all the folder names of one level are ("splits", "dates", ...), None for classes."""
    if all(split_of(name) for name in names):
        return "splits"
    if all(os.path.splitext(name)[1].lower() in VIDEOS for name in names):
        return "videos"
    if all(_DATE.fullmatch(name) for name in names):
        return "dates"
    tokens = [set(_TOKEN.findall(name.lower())) for name in names]
    if all(found and found <= STORAGE for found in tokens):
        return "storage folders"
    if all(found & PARTS and _is_numbering(found - PARTS) for found in tokens):
        return "parts"
    plain = [found and found <= STORAGE for found in tokens]
    if all(split_of(name) or storage for name, storage in zip(names, plain, strict=True)):
        return "splits"
    lowered = [name.lower() for name in names]
    if len(names) >= 16 and all(_HASH.fullmatch(name) for name in lowered):
        return "parts" if any(not name.isdigit() for name in lowered) else None
    return None


def _is_numbering(tokens: set[str]) -> bool:
    return all(token.isdigit() or len(token) == 1 or token in SIDES for token in tokens)


def understand(
    relatives: Sequence[str], mode: str | None = None, depth: int | None = None
) -> FolderLabels:
    """Labels from the folders of `relatives`.

    Parameters
    ----------
    relatives
        Paths of the pictures below the source's folder, with "/" between parts.
    mode
        "folder": the folder at `depth`; "parent": the folder a picture lies in; "none": no labels;
        None: proposed from the names.
    depth
        Which level of folders names the class, 1 = the first below the source's folder.

    Raises
    ------
    BadInput
        For an unknown mode, or a depth at which there is no folder.
    """
    folders = [relative.split("/")[:-1] for relative in relatives]
    shared = _shared(folders)
    split_level, class_level, kinds = _proposed(folders, shared)
    splits = None if split_level is None else _column(folders, split_level)
    skipped = [level for level, kind in kinds.items() if kind != "splits"]
    column = _column(folders, skipped[0]) if skipped else None
    if mode == "none":
        return FolderLabels(None, (), splits, column)
    if depth is not None or mode == "folder":
        class_level = _level_of(folders, shared, depth)
    names = _names(folders, class_level, mode)
    forced = mode is not None or depth is not None
    labels, classes = _numbered(names, forced)
    note = _note(names, classes, kinds, folders, shared, class_level, forced)
    return FolderLabels(labels, classes, splits, column, (note,) if note else ())


def _shared(folders: list[list[str]]) -> int:
    """How many leading folders all pictures have in common."""
    if not folders:
        return 0
    first = min(folders)
    last = max(folders)
    count = 0
    while count < min(len(first), len(last)) and first[count] == last[count]:
        count += 1
    return count


def _proposed(
    folders: list[list[str]], shared: int
) -> tuple[int | None, int | None, dict[int, str]]:
    """(level of the splits, level of the classes, what the levels above the classes are)."""
    kinds: dict[int, str] = {}
    split_level = None
    level = shared
    while names := {parts[level] for parts in folders if len(parts) > level}:
        kind = level_kind(sorted(names))
        if kind is None:
            return split_level, level, kinds
        kinds[level] = kind
        if kind == "splits" and split_level is None:
            split_level = level
        level += 1
    return split_level, None, kinds


def _level_of(folders: list[list[str]], shared: int, depth: int | None) -> int:
    deepest = max((len(parts) for parts in folders), default=0)
    if depth is None:
        return min(shared, max(deepest - 1, 0))
    if not 1 <= depth <= max(deepest, 1):
        raise BadInput(
            f"depth={depth} names no level of folders; the pictures lie 0 to {deepest} folders "
            "deep, "
            f"so give 1 to {max(deepest, 1)}."
        )
    return depth - 1


def _column(folders: list[list[str]], level: int) -> np.ndarray:
    return string_array(
        [safe_name(parts[level]) if len(parts) > level else "" for parts in folders]
    )


def _names(folders: list[list[str]], level: int | None, mode: str | None) -> list[str | None]:
    """The class name of every picture, None where it has none."""
    if mode == "parent":
        return [parts[-1] if parts else None for parts in folders]
    if level is None:
        return [None] * len(folders)
    return [parts[level] if len(parts) > level else None for parts in folders]


def _numbered(names: list[str | None], forced: bool) -> tuple[np.ndarray | None, tuple[str, ...]]:
    classes = sorted({name for name in names if name is not None})
    many = len(classes) > max(FEW, len(names) // 2)
    if not classes or not forced and (len(classes) == 1 or many):
        return None, ()
    number = {name: code for code, name in enumerate(classes)}
    labels = np.array([-1 if name is None else number[name] for name in names], np.int64)
    return labels, tuple(safe_name(name) for name in classes)


def _note(
    names: list[str | None],
    classes: tuple[str, ...],
    kinds: dict[int, str],
    folders: list[list[str]],
    shared: int,
    level: int | None,
    forced: bool,
) -> Note | None:
    """What was assumed, in one sentence; None where there are no folders to assume anything of."""
    skipped = "".join(
        f"; {_some({parts[at] for parts in folders if len(parts) > at})} taken as {kind}"
        for at, kind in kinds.items()
    )
    if classes:
        where = "the folder each picture lies in" if level is None else f"folder level {level + 1}"
        note = f"{len(classes):,} classes from {where} ({_some(classes)}){skipped}"
        note += _look_alike(classes)
        return Note("labels", note if forced else f"{note}; {REMEDY}")
    known = {name for name in names if name is not None}
    if len(known) > 1:
        reason = f"{len(known):,} folders for {len(names):,} pictures are no classes"
    elif known:
        reason = f"all pictures lie in one folder ({_some(known)})"
    elif kinds:
        reason = skipped.removeprefix("; ")
    elif shared:
        reason = f"all pictures lie in {_some({'/'.join(folders[0][:shared])})}"
    else:
        return None
    return Note("labels", f"no classes assumed: {reason}; {REMEDY}")


def _look_alike(classes: Sequence[str]) -> str:
    """A warning of class names that a reader may take for one, "" where there are none."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(" ".join(comparable(name).split()), []).append(name)
    alike = [names for names in groups.values() if len(names) > 1]
    if not alike:
        return ""
    shown = " and ".join(map(ascii, alike[0][:3]))
    return (
        f"; {shown} differ only in letter case, spaces or Unicode form and are kept apart: rename "
        "one folder if they are one class"
    )


def _some(names: Sequence[str] | set[str]) -> str:
    ordered = sorted(names)
    shown = ", ".join(repr(safe_name(name)) for name in ordered[:3])
    return f"{shown} and {len(ordered) - 3:,} more" if len(ordered) > 3 else shown


def folder_labels(
    relatives: Sequence[str],
) -> tuple[np.ndarray | None, tuple[str, ...], np.ndarray | None]:
    """(labels (N,) int64 or None, class names, split names (N,) or None) as proposed."""
    understood = understand(relatives)
    return understood.labels, understood.classes, understood.splits
