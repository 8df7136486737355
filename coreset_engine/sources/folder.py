"""A folder of images as a Dataset: walked, every file decoded once, the broken ones set aside with
a reason.

Decoding everything at the door costs one pass but means that no later stage, hours in, meets a
broken file. The verdict on each file is remembered by (place, size, modification time), so opening
again is as fast as the walk. `verify="header"` reads only headers instead: for sets too large to
decode twice; a file whose pixels turn out broken then stops the embedding with a sentence that
names it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Progress, Rejected, silent
from coreset_engine.sources.archives import set_aside
from coreset_engine.sources.decoding import Unreadable, check_header, decode, read_regular
from coreset_engine.sources.safe_names import safe_name, string_array
from coreset_engine.sources.walk import Found, scan

VERSION = 1
SPLITS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation"))


@dataclass(frozen=True)
class Verdict:
    """What one look at a file found. digest: of its bytes (first and last 64 kB only for
    verify="header")."""

    digest: str
    reason: str


def open_folder(
    folder: str | Path,
    *,
    verify: str = "full",
    follow_links: bool = False,
    memory: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Every usable image below `folder`, sorted by path. ids: the path below `folder`, control
    characters escaped.

    labels: from sub-folder names (see `folder_labels`), None when there are none. fingerprint:
    SHA-256 over ids and the digests of the files' bytes, so a copy elsewhere is the same source.
    memory: where verdicts are remembered. Raises BadInput when the folder is missing or holds no
        usable image.
    """
    if verify not in ("full", "header"):
        raise BadInput(f"verify={verify!r} is not offered; use 'full' or 'header'.")
    root = Path(folder).expanduser().absolute()
    if not root.exists():
        raise BadInput(
            f"{str(folder)!r} does not exist; give a folder of images, a .npy file, or a source's name."
        )
    found, rejected = scan(root, follow_links=follow_links)
    verdicts = _verified(root, found, verify, memory, progress)
    good = [one for one, verdict in zip(found, verdicts, strict=True) if not verdict.reason]
    rejected += [
        Rejected(safe_name(one.relative), verdict.reason)
        for one, verdict in zip(found, verdicts, strict=True)
        if verdict.reason
    ]
    rejected += set_aside(root)
    if not good:
        raise BadInput(_nothing(folder, found, rejected))
    names = [safe_name(one.relative) for one in good]
    digests = [verdict.digest for verdict in verdicts if not verdict.reason]
    labels, classes, splits = folder_labels([one.relative for one in good])
    paths = string_array([os.path.join(root, one.relative) for one in good])
    return Dataset(
        spec=_spec(root, verify, follow_links),
        ids=string_array(names),
        fingerprint=_fingerprint(names, digests),
        reader=_reader(paths),
        labels=labels,
        classes=classes,
        paths=paths,
        columns={} if splits is None else {"split": splits},
        rejected=tuple(rejected),
        test_spec=_test_folder(root),
    )


def folder_labels(
    relatives: Sequence[str],
) -> tuple[np.ndarray | None, tuple[str, ...], np.ndarray | None]:
    """(labels (N,) int64 or None, class names, split names (N,) or None) from the folders the files
    lie in.

    Folders shared by all files are ignored; a first level of only train/test/val is a split, not a
    class; the next level names the class; files beside the class folders have label -1.
    """
    folders = [relative.split("/")[:-1] for relative in relatives]
    while all(parts and parts[0] == folders[0][0] for parts in folders) and any(
        len(parts) > 1 for parts in folders
    ):
        folders = [parts[1:] for parts in folders]
    splits = None
    if folders and all(parts and parts[0].lower() in SPLITS for parts in folders):
        splits = string_array([parts[0] for parts in folders])
        folders = [parts[1:] for parts in folders]
    classes = sorted({parts[0] for parts in folders if parts})
    if not classes:
        return None, (), splits
    number = {name: place for place, name in enumerate(classes)}
    labels = np.array([number[parts[0]] if parts else -1 for parts in folders], dtype=np.int64)
    return labels, tuple(safe_name(name) for name in classes), splits


def _verified(
    root: Path, found: list[Found], verify: str, memory: Path | None, progress: Progress
) -> list[Verdict]:
    """A verdict per file, from memory where size and time still match, else by looking at it
    (threads)."""
    remembered = _recall(memory, root, verify)
    known = [remembered.get(one.relative) for one in found]
    verdicts = [
        Verdict(*entry[2:]) if entry and tuple(entry[:2]) == (one.size, one.modified) else None
        for one, entry in zip(found, known, strict=True)
    ]
    fresh = [place for place, verdict in enumerate(verdicts) if verdict is None]
    look = _look_whole if verify == "full" else _look_at_header
    with ThreadPoolExecutor(max_workers=min(16, cpu_count())) as pool:
        for start in range(0, len(fresh), 512):
            part = fresh[start : start + 512]
            paths = [os.path.join(root, found[place].relative) for place in part]
            for place, verdict in zip(part, pool.map(look, paths, chunksize=16), strict=True):
                verdicts[place] = verdict
            progress(start + len(part), len(fresh), "files")
    if fresh:
        _remember(memory, root, verify, found, verdicts)
    return verdicts


def _look_whole(path: str) -> Verdict:
    return _look(path, decode)


def _look(path: str, examine: Callable[[bytes], object]) -> Verdict:
    try:
        data = read_regular(path)
        examine(data)
    except Unreadable as fault:
        return Verdict("", str(fault))
    except MemoryError:
        return Verdict("", "does not fit in memory when decoded")
    return Verdict(hashlib.blake2b(data, digest_size=16).hexdigest(), "")


def _look_at_header(path: str) -> Verdict:
    """As _look_whole, but decodes no pixel."""
    return _look(path, check_header)


def _reader(paths: np.ndarray) -> Callable[[int], Image.Image]:
    def read(i: int) -> Image.Image:
        try:
            return decode(read_regular(str(paths[i])))
        except Unreadable as fault:
            raise BadInput(
                f"image {safe_name(str(paths[i]))!r} {fault}; it changed after the source was opened: "
                "open the source again, which sets it aside."
            ) from fault

    return read


def _fingerprint(names: Iterable[str], digests: Iterable[str]) -> str:
    whole = hashlib.sha256(b"folder 1\0")
    for name, digest in zip(names, digests, strict=True):
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()


def _spec(root: Path, verify: str, follow_links: bool) -> str:
    options = {"path": str(root), "verify": verify, "follow_links": follow_links}
    plain = verify == "full" and not follow_links
    return str(root) if plain else "folder:" + json.dumps(options, sort_keys=True)


def _test_folder(root: Path) -> str | None:
    """The sibling that holds test images, when `root` is itself called train."""
    if root.name.lower() not in ("train", "training"):
        return None
    siblings = (root.with_name(name) for name in ("test", "testing", "val", "valid", "validation"))
    return next((str(sibling) for sibling in siblings if sibling.is_dir()), None)


def _nothing(folder: str | Path, found: list[Found], rejected: list[Rejected]) -> str:
    if not rejected:
        return f"{str(folder)!r} is an empty folder; give one that holds images."
    first = rejected[0] if not found else next(one for one in rejected if one.reason)
    return (
        f"{str(folder)!r} holds no usable image: {len(rejected)} set aside, for example {first.name!r} "
        f"{first.reason}; give a folder with JPEG, PNG, GIF, BMP, WebP or TIFF files."
    )


def _memory_file(memory: Path, root: Path, verify: str) -> Path:
    return memory / f"{hashlib.sha256(f'{verify} {root}'.encode()).hexdigest()[:32]}.json"


def _recall(memory: Path | None, root: Path, verify: str) -> dict[str, list]:
    """Verdicts of an earlier look: relative path -> [size, modified, digest, reason]. Anything odd:
    none."""
    if memory is None:
        return {}
    try:
        kept = json.loads(_memory_file(memory, root, verify).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if (
        not isinstance(kept, dict)
        or kept.get("version") != VERSION
        or not isinstance(kept.get("files"), dict)
    ):
        return {}
    return {
        name: entry
        for name, entry in kept["files"].items()
        if isinstance(entry, list)
        and len(entry) == 4
        and all(isinstance(part, str) for part in entry[2:])
    }


def _remember(
    memory: Path | None, root: Path, verify: str, found: list[Found], verdicts: list[Verdict]
) -> None:
    if memory is None:
        return
    files = {
        one.relative: [one.size, one.modified, verdict.digest, verdict.reason]
        for one, verdict in zip(found, verdicts, strict=True)
    }
    path = _memory_file(memory, root, verify)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        memory.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"version": VERSION, "files": files}), "utf-8")
        os.replace(temporary, path)
    # only a memory: without room or permission for it, the next opening looks at the files again
    except OSError:
        temporary.unlink(missing_ok=True)
