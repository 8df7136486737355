"""A folder of images as a Dataset: walked, every file decoded once, the broken ones skipped.

What folder names mean is proposed (`folder_labels`) and can be settled by options; labels may come
from a table instead (`label_table`). A test part under the same root stays out of the pool and
becomes the Dataset's `test_spec`. `verify="header"` reads only headers: for sets too large to
decode twice; a file whose pixels turn out broken then stops the embedding with a sentence that
names it.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from coreset_engine.core.classes import exported_classes
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Note, Progress, Rejected, silent
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources import label_table
from coreset_engine.sources.archives import set_aside
from coreset_engine.sources.decoding import (
    PLAIN,
    DecodeOptions,
    Unreadable,
    decode_with_losses,
    read_regular,
)
from coreset_engine.sources.folder_labels import (
    MODES,
    FolderLabels,
    folder_labels,
    understand,
)
from coreset_engine.sources.folder_names import split_of
from coreset_engine.sources.frames import as_frames, frames_of
from coreset_engine.sources.objects import boxes_of_file, objects_of
from coreset_engine.sources.options import ReadOptions, folder_spec
from coreset_engine.sources.safe_names import printable_name, safe_name, string_array
from coreset_engine.sources.verdicts import (
    Verdict,
    VerdictMemory,
    decoding_notes,
    digest_of,
    duplicate_notes,
    leak_note,
    look_at_files,
)
from coreset_engine.sources.walk import KNOWN, NOT_AN_IMAGE, FoundFile, scan

__all__ = ["folder_labels", "open_folder"]

TEST_NAMES = ("test", "testing", "val", "valid", "validation")


@dataclass(frozen=True, eq=False)
class _Usable:
    """The usable files of a folder, in order: paths below the root, ids and verdicts."""

    relatives: list[str]
    names: list[str]
    verdicts: list[Verdict]

    def at(self, rows: np.ndarray) -> _Usable:
        return _Usable(
            [self.relatives[i] for i in rows],
            [self.names[i] for i in rows],
            [self.verdicts[i] for i in rows],
        )


def open_folder(
    folder: str | Path,
    *,
    memory: Path | None = None,
    progress: Progress = silent,
    **options: object,
) -> Dataset:
    """Every usable image below `folder`, sorted by path.

    Parameters
    ----------
    folder
        A folder of this machine.
    memory
        Where verdicts on files are remembered.
    progress
        Called with unit "files".
    **options
        Fields of `ReadOptions`: labels, depth, split, fit, follow_links, verify, max_pixels, bands.

    Returns
    -------
    Dataset
        ids: the path below `folder`, control characters escaped. fingerprint: SHA-256 over ids and
        digests of the files' bytes, so that a copy elsewhere is the same source.

    Raises
    ------
    BadInput
        When the folder is missing or holds no usable image.
    """
    chosen = ReadOptions.of("folder", options)
    root = user_path(folder).absolute()
    if not root.exists():
        raise BadInput(
            f"{str(folder)!r} does not exist; give a folder of images, a .npy file, or a source's "
            "name."
        )
    if chosen.fps is not None:
        return _of_videos(root, chosen, memory, progress)
    files, rejected = scan(root, follow_links=chosen.follow_links)
    kept = VerdictMemory(memory, root, chosen.verify, chosen.decoding)
    verdicts = look_at_files(files, kept, progress)
    usable = _usable(files, verdicts)
    rejected = _aside(files, verdicts) + rejected + set_aside(root)
    if not usable.names:
        raise BadInput(_nothing(folder, rejected))
    return _dataset(root, chosen, usable, rejected, kept)


def _of_videos(root: Path, chosen: ReadOptions, memory: Path | None, progress: Progress) -> Dataset:
    """The frames of the videos below `root`."""
    keep = None if memory is None else memory.parent / "frames"
    assert chosen.fps is not None
    taken = frames_of(root, chosen.fps, keep, follow_links=chosen.follow_links, progress=progress)
    options = {name: value for name, value in chosen.changed().items() if name != "fps"}
    frames = open_folder(taken.folder, memory=memory, progress=progress, **options)
    dataset = as_frames(frames, folder_spec(root, chosen), taken)
    if frames.test_spec is None:
        return dataset
    return replace(dataset, test_spec=folder_spec(root, chosen, split="test"))


def _dataset(
    root: Path,
    chosen: ReadOptions,
    usable: _Usable,
    rejected: list[Rejected],
    kept: VerdictMemory,
) -> Dataset:
    table = label_table.for_folder(root, chosen.labels, usable.relatives)
    proposed = _as_exported(root, chosen, usable.relatives)
    rows, mask_notes = _without_masks(proposed.masks, chosen.split, len(usable.names))
    pool, test, part_notes = _parts(rows, proposed.splits, chosen.split)
    chosen_files = usable.at(pool)
    labels, classes, columns, notes = _labelled(proposed, table, pool)
    names = chosen_files.names
    paths = string_array([os.path.join(root, one) for one in chosen_files.relatives])
    digests = [verdict.digest for verdict in chosen_files.verdicts]
    notes += [*mask_notes, *part_notes]
    notes += decoding_notes(names, chosen_files.verdicts, chosen.fit)
    notes += duplicate_notes(names, chosen_files.verdicts)
    if len(test):
        held = usable.at(test)
        leak = leak_note(names, chosen_files.verdicts, held.names, held.verdicts)
        notes += [leak] if leak else []
    has_test = bool(len(test)) and chosen.split is None
    dataset = Dataset(
        spec=folder_spec(root, chosen),
        ids=string_array(names),
        fingerprint=_fingerprint(names, digests, chosen.fit),
        reader=_reader(paths, digests, kept),
        labels=labels,
        classes=classes,
        paths=paths,
        columns=columns,
        rejected=tuple(_without_table(rejected, table)),
        test_spec=folder_spec(root, chosen, split="test") if has_test else _test_folder(root),
        digests=np.array(digests, "S32"),
        fit=chosen.fit,
        notes=tuple(notes),
    )
    if chosen.patches is None:
        return dataset
    sizes = [(verdict.width, verdict.height) for verdict in chosen_files.verdicts]
    boxes = boxes_of_file(root, chosen.patches, chosen_files.relatives, sizes)
    return objects_of(dataset, boxes, sizes)


def _labelled(
    proposed: FolderLabels, table: label_table.JoinedTable | None, pool: np.ndarray
) -> tuple[np.ndarray | None, tuple[str, ...], dict[str, np.ndarray], list[Note]]:
    """(labels, classes, columns, notes) of the images at `pool`."""
    proposals = {"split": proposed.splits, "folder": proposed.folders}
    columns = {name: column[pool] for name, column in proposals.items() if column is not None}
    if table is not None:
        columns |= {name: column[pool] for name, column in table.columns.items()}
    if table is not None and table.labels is not None:
        return table.labels[pool], table.classes, columns, list(table.notes)
    labels = None if proposed.labels is None else proposed.labels[pool]
    notes = [*(table.notes if table is not None else ()), *proposed.notes]
    return labels, proposed.classes, columns, notes


def _as_exported(root: Path, chosen: ReadOptions, relatives: Sequence[str]) -> FolderLabels:
    """What the folders say; of an image folder that we exported, the names and numbers of its class
    list, however few pictures a class has."""
    mode = chosen.labels if chosen.labels in MODES else None
    name_of = exported_classes(root)
    depth = chosen.depth
    if name_of and mode is None and depth is None:
        parts = {relative.partition("/")[0] for relative in relatives}
        deep = any(relative.count("/") > 1 for relative in relatives)
        depth = 2 if deep and parts <= {"train", "val", "unlabelled"} else 1
        depth = depth if any("/" in relative for relative in relatives) else None
    proposed = understand(relatives, mode, depth)
    if proposed.labels is None or not set(proposed.classes) <= set(name_of):
        return proposed if depth == chosen.depth else understand(relatives, mode, chosen.depth)
    numbers = {folder: number for number, folder in enumerate(name_of)}
    code = np.array([numbers[folder] for folder in proposed.classes] + [-1], np.int64)
    names = tuple(printable_name(name) for name in name_of.values())
    return replace(proposed, labels=code[proposed.labels], classes=names)


def _parts(
    rows: np.ndarray, splits: np.ndarray | None, asked: str | None
) -> tuple[np.ndarray, np.ndarray, list[Note]]:
    """(rows of the pool, rows of the test part that was left out, notes); rows: candidates."""
    nothing = np.empty(0, np.int64)
    if splits is None:
        if asked not in (None, "all"):
            raise BadInput(f"split={asked!r}: no folders here look like splits; leave it out.")
        return rows, nothing, []
    names = [str(splits[row]) for row in rows]
    if asked is not None and asked != "all":
        return _asked_parts(names, asked), nothing, []
    is_test = np.array([split_of(name) == "test" for name in names])
    if asked == "all" or not is_test.any() or is_test.all():
        return rows, nothing, []
    counts = Counter(names)
    left = sorted({name for name, test in zip(names, is_test, strict=True) if test})
    stay = ", ".join(f"{name!r} ({counts[name]:,})" for name in sorted(set(names) - set(left)))
    held = counted(int(is_test.sum()), "picture")
    note = Note(
        "splits",
        f"the test part {', '.join(map(repr, left))} ({held}) is not part of the pool and is used "
        "for evaluation"
        f"; the pool is {stay}; split=all or split=NAME "
        "(--split) changes that",
    )
    return rows[~is_test], rows[is_test], [note]


def _without_masks(
    masks: np.ndarray | None, asked: str | None, count: int
) -> tuple[np.ndarray, list[Note]]:
    """(rows of `count` pictures that are not masks of others, notes)."""
    if masks is None or asked is not None:
        return np.arange(count), []
    subject = counted(int(masks.sum()), "image lies in a folder", "images lie in folders")
    text = f"{subject} of masks and not in the pool; split=all (--split all) includes masks"
    return np.flatnonzero(~masks), [Note("splits", text)]


def _asked_parts(names: list[str], asked: str) -> np.ndarray:
    wanted = {word.strip() for word in asked.split(",") if word.strip()}
    rows = [i for i, name in enumerate(names) if name in wanted or split_of(name) in wanted]
    if not rows:
        raise BadInput(
            f"split={asked!r} names no folder that holds images; there are "
            f"{', '.join(sorted(set(names)))}."
        )
    return np.array(rows, np.int64)


def _usable(files: Sequence[FoundFile], verdicts: Sequence[Verdict]) -> _Usable:
    pairs = [
        (one.relative, verdict)
        for one, verdict in zip(files, verdicts, strict=True)
        if not verdict.reason
    ]
    relatives = [relative for relative, _ in pairs]
    return _Usable(
        relatives, [safe_name(relative) for relative in relatives], [one for _, one in pairs]
    )


def _aside(files: Sequence[FoundFile], verdicts: Sequence[Verdict]) -> list[Rejected]:
    return [
        Rejected(safe_name(one.relative), verdict.reason)
        for one, verdict in zip(files, verdicts, strict=True)
        if verdict.reason
    ]


def _without_table(
    rejected: list[Rejected], table: label_table.JoinedTable | None
) -> list[Rejected]:
    """What was skipped, without the table that labels were read from."""
    if table is None:
        return rejected
    name = f"*{table.path.suffix.lower()} (1)"
    return [one for one in rejected if one.name != name or one.count != 1]


def _reader(
    paths: np.ndarray, digests: Sequence[str], kept: VerdictMemory
) -> Callable[[int], Image.Image]:
    return FileReader(paths, np.array(digests, "S32"), kept)


@dataclass(frozen=True, eq=False)
class FileReader:
    """The reader of a Dataset whose images are files.

    Decodes one, and checks that it is the file that was examined when the source was opened.

    paths: (N,) str. digests: (N,) ascii bytes, empty where unknown.
    """

    paths: np.ndarray
    digests: np.ndarray
    memory: VerdictMemory

    def __call__(self, i: int) -> Image.Image:
        try:
            data = read_regular(str(self.paths[i]))
            known = self.digests[i].decode()
            if known and digest_of(data, self.memory.options) != known:
                self.memory.forget()
                raise Unreadable("holds other bytes")
            return decode_with_losses(data, self.memory.options).image
        except Unreadable as error:
            raise BadInput(
                f"image {safe_name(str(self.paths[i]))!r} {error}; it changed after the source was "
                "opened; open the source again to read changed files."
            ) from error

    def take(self, rows: np.ndarray) -> FileReader:
        return FileReader(self.paths[rows], self.digests[rows], self.memory)


def file_reader(
    paths: np.ndarray, digests: Sequence[str], options: DecodeOptions = PLAIN
) -> FileReader:
    """A reader of files anywhere on this machine, with nothing remembered."""
    return FileReader(
        paths, np.array(digests, "S32"), VerdictMemory(None, Path("/"), "full", options)
    )


def _fingerprint(names: Iterable[str], digests: Iterable[str], fit: str = "auto") -> str:
    """SHA-256 over ids and digests, and over `fit` where it is not the default."""
    sha = hashlib.sha256(b"folder 1\0" if fit == "auto" else f"folder 1 {fit}\0".encode())
    for name, digest in zip(names, digests, strict=True):
        sha.update(f"{name}\0{digest}\n".encode())
    return sha.hexdigest()


def _test_folder(root: Path) -> str | None:
    """The sibling that holds test images, when `root` is itself called train."""
    if root.name.lower() not in ("train", "training"):
        return None
    siblings = (root.with_name(name) for name in TEST_NAMES)
    return next((str(sibling) for sibling in siblings if sibling.is_dir()), None)


def _nothing(folder: str | Path, rejected: Sequence[Rejected]) -> str:
    """Why a folder has no usable image: the most frequent reason that is about pictures first."""
    if not rejected:
        return f"{str(folder)!r} is an empty folder; give one that holds images."
    relevant = [one for one in rejected if one.reason != NOT_AN_IMAGE] or list(rejected)
    counts: Counter[str] = Counter()
    for one in relevant:
        counts[one.reason] += one.count
    main = counts.most_common(1)[0][0]
    first = next(one for one in relevant if one.reason == main)
    total = sum(one.count for one in rejected)
    remedy = "give a folder with JPEG, PNG, GIF, BMP, WebP, TIFF, HEIC or AVIF files"
    if main in KNOWN.values():
        remedy = "JPEG, PNG, GIF, BMP, WebP, TIFF, HEIC and AVIF files are read"
    return (
        f"{str(folder)!r} holds no usable image: {total:,} skipped, for example {first.name!r} "
        f"{first.reason}; {remedy}."
    )
