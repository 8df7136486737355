"""Infer the meaning of folders: classes, splits, or nothing.

A folder's name is a proposal. Levels of folders are looked at from the top: a level whose names all
look like splits (train, val2017), parts (fold1, cam2), dates, or storage (images, data) names no
class and the next level is looked at. What was assumed is put into words, with the options that
change it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Note
from coreset_engine.sources.folder_names import (
    are_domains,
    is_mask_folder,
    is_storage,
    level_kind,
    split_of,
)
from coreset_engine.sources.safe_names import comparable, safe_name, string_array

MODES = ("folder", "parent", "none")
REMEDY = (
    "change it with labels=folder|parent|none|FILE.csv#COLUMN and depth=N (--labels, --depth, or "
    "the fields on Home)"
)
FEW = 20  # up to here, every number of classes is believed


@dataclass(frozen=True, eq=False)
class FolderLabels:
    """labels: (N,) int64, -1 = none, or None. splits, folders: (N,) str columns, or None.

    masks: (N,) bool, pictures in a folder of masks beside folders of pictures, or None.
    """

    labels: np.ndarray | None
    classes: tuple[str, ...]
    splits: np.ndarray | None = None
    folders: np.ndarray | None = None
    notes: tuple[Note, ...] = field(default=())
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class _Levels:
    """What the levels of folders were taken for.

    splits, classes: a level, or None. kinds: level -> what it is, of those that name no class.
    other: what the classes would be at another level, in words, "" for nothing.
    """

    splits: int | None
    classes: int | None
    kinds: dict[int, str]
    other: str = ""


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
    masks = _masks(folders)
    seen = folders
    if masks is not None:
        seen = [parts for parts, mask in zip(folders, masks, strict=True) if not mask]
    levels = _proposed(seen, shared)
    splits = None if levels.splits is None else _column(folders, levels.splits)
    skipped = [level for level, kind in levels.kinds.items() if kind != "splits"]
    column = _column(folders, skipped[0]) if skipped else None
    if mode == "none":
        return FolderLabels(None, (), splits, column, masks=masks)
    forced = mode is not None or depth is not None
    if depth is not None or mode == "folder":
        levels = replace(levels, classes=_level_of(folders, shared, depth))
    names = _names(folders, levels.classes, mode)
    if masks is not None:
        names = [None if mask else name for name, mask in zip(names, masks, strict=True)]
    if not forced:
        names = _without_lone_storage(names, folders, levels.classes)
        if splits is None and (parted := _parted(names)):
            names, splits = parted
    labels, classes = _numbered(names, forced)
    note = _note(names, classes, levels, folders, shared, forced)
    return FolderLabels(labels, classes, splits, column, (note,) if note else (), masks)


def _masks(folders: list[list[str]]) -> np.ndarray | None:
    """(N,) bool: pictures below a folder of masks whose neighbours are no such folders."""
    beside: dict[tuple[str, ...], set[str]] = {}
    for parts in set(map(tuple, folders)):
        for level, name in enumerate(parts):
            beside.setdefault(parts[:level], set()).add(name)
    of_masks = set()
    for above, names in beside.items():
        masks = {name for name in names if is_mask_folder(name)}
        pictures = [name for name in names - masks if is_storage(name) or split_of(name)]
        if masks and pictures:
            of_masks |= {(*above, name) for name in masks}
    if not of_masks:
        return None
    return np.array(
        [any(tuple(parts[: at + 1]) in of_masks for at in range(len(parts))) for parts in folders]
    )


def _parted(names: list[str | None]) -> tuple[list[str | None], np.ndarray] | None:
    """(classes, splits) where every name is a class and a split, as dog_train and dog_test are."""
    parts: dict[str, tuple[str, str]] = {}
    for name in {name for name in names if name is not None}:
        words = re.split("[_-]", name)
        if len(words) > 1 and split_of(words[-1]):
            parts[name] = (name[: -len(words[-1]) - 1], words[-1])
        elif len(words) > 1 and split_of(words[0]):
            parts[name] = (name[len(words[0]) + 1 :], words[0])
        else:
            return None
    classes = {base for base, _ in parts.values()}
    splits = {split for _, split in parts.values()}
    if len(classes) < 2 or len(splits) < 2 or len(parts) != len(classes) * len(splits):
        return None
    column = [parts[name][1] if name is not None else "" for name in names]
    return [parts[name][0] if name is not None else None for name in names], string_array(column)


def _without_lone_storage(
    names: list[str | None], folders: list[list[str]], level: int | None
) -> list[str | None]:
    """The names, without `images` where it has no folder beside it (val/images beside
    train/CLASS)."""
    if level is None:
        return names
    beside: dict[tuple[str, ...], set[str]] = {}
    for parts in folders:
        if len(parts) > level:
            beside.setdefault(tuple(parts[:level]), set()).add(parts[level])
    lone = {above for above, inside in beside.items() if len(inside) == 1}
    return [
        None if name and is_storage(name) and tuple(parts[:level]) in lone else name
        for name, parts in zip(names, folders, strict=True)
    ]


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


def _proposed(folders: list[list[str]], shared: int) -> _Levels:
    """The first level whose names look like classes, and what the levels around it are."""
    kinds: dict[int, str] = {}
    split_level = None
    level = shared
    while names := _names_at(folders, level):
        kind = level_kind(sorted(names))
        if kind is None:
            levels = _Levels(split_level, level, kinds)
            return _with_levels_below(folders, levels)
        kinds[level] = kind
        if kind == "splits" and split_level is None:
            split_level = level
        level += 1
    return _Levels(split_level, None, kinds)


def _names_at(folders: list[list[str]], level: int) -> set[str]:
    return {parts[level] for parts in folders if len(parts) > level}


def _with_levels_below(folders: list[list[str]], levels: _Levels) -> _Levels:
    """`levels`, with the splits below every class, and with the classes below every domain."""
    level = levels.classes
    assert level is not None
    stored = False
    below = level + 1
    while names := _names_at(folders, below):
        kind = level_kind(sorted(names))
        everywhere = all(len(parts) > below for parts in folders)
        if kind == "splits" and levels.splits is None and everywhere:
            kinds = {**levels.kinds, below: kind}
            levels = replace(levels, splits=below, kinds=kinds)
        if kind is None:
            return _of_domains(folders, levels, below, stored)
        stored = stored or kind == "storage folders"
        below += 1
    return levels


def _of_domains(folders: list[list[str]], levels: _Levels, below: int, stored: bool) -> _Levels:
    """`levels`, with the classes at level `below` where the same names lie in the folders above.

    That is believed where these names are more than those above, lie in folders of storage, or lie
    in well-known domains; else it is put into words.
    """
    level = levels.classes
    assert level is not None
    inside: dict[str, set[str]] = {}
    for parts in folders:
        if len(parts) > below:
            inside.setdefault(parts[level], set()).add(parts[below])
    above = _names_at(folders, level)
    count = Counter(name for names in inside.values() for name in names)
    repeated = sum(number * 2 > len(above) for number in count.values())
    if len(above) < 2 or len(inside) < len(above) or len(count) < 2 or repeated * 2 < len(count):
        return levels
    if len(count) > len(above) or stored or are_domains(sorted(above)):
        kinds = {**levels.kinds, level: "domains, which hold the same classes"}
        deeper = _proposed([parts[below:] for parts in folders if len(parts) > below], 0)
        splits = levels.splits
        if splits is None and deeper.splits is not None:
            splits = below + deeper.splits
            kinds[splits] = "splits"
        other = f"depth={level + 1} takes {_some(above)} as classes"
        return replace(levels, splits=splits, classes=below, kinds=kinds, other=other)
    other = f"below each of them lie {_some(set(count))}, which depth={below + 1} takes as classes"
    return replace(levels, other=other)


def _level_of(folders: list[list[str]], shared: int, depth: int | None) -> int:
    deepest = max((len(parts) for parts in folders), default=0)
    if depth is None:
        return min(shared, max(deepest - 1, 0))
    if not 1 <= depth <= max(deepest, 1):
        raise BadInput(
            f"depth={depth} names no level of folders; the images lie 0 to {deepest} folders "
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
    levels: _Levels,
    folders: list[list[str]],
    shared: int,
    forced: bool,
) -> Note | None:
    """What was assumed, in one sentence; None where there are no folders to assume anything of."""
    skipped = "".join(
        f"; {_some({parts[at] for parts in folders if len(parts) > at})} taken as {kind}"
        for at, kind in levels.kinds.items()
    )
    if classes:
        level = levels.classes
        where = "the folder of each image" if level is None else f"folder level {level + 1}"
        note = (
            f"{counted(len(classes), 'class', 'classes')} from {where} ({_some(classes)}){skipped}"
        )
        note += f"; {levels.other}" if levels.other and not forced else ""
        note += _look_alike(classes)
        return Note("labels", note if forced else f"{note}; {REMEDY}")
    known = {name for name in names if name is not None}
    if len(known) > 1:
        reason = f"{len(known):,} folders for {len(names):,} images are not classes"
    elif known:
        reason = f"all images lie in one folder ({_some(known)})"
    elif levels.kinds:
        reason = skipped.removeprefix("; ")
    elif shared:
        reason = f"all images lie in {_some({'/'.join(folders[0][:shared])})}"
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
