"""Cached verdict on each file of a folder: usable or not, and losses in decoding.

Decoding every file when the source is opened costs one pass, but no later stage, hours in, meets a
broken file. The verdict on each file is remembered by its size and the times of its last
modification and last change, so opening again is as fast as the walk. The time of the last change
cannot be set back by a program, so a file that was replaced under the same size and modification
time is looked at again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from coreset_engine.core.counted import counted
from coreset_engine.core.device import cpu_count
from coreset_engine.core.hashing import pixel_digest
from coreset_engine.core.types import Note, Progress
from coreset_engine.sources.decoding import (
    LOSSES,
    PLAIN,
    DecodeOptions,
    Unreadable,
    check_header_with,
    decode_with_losses,
    read_regular,
)
from coreset_engine.sources.walk import FoundFile

VERSION = 4
WIDE = 1.5  # longer side over shorter side above which the central square loses over a third
_EXAMPLES = 3
_SINGULAR = {"are": "is", "have": "has", "hold": "holds"}
_GROUP = 16  # files that a thread takes at a time


@dataclass(frozen=True)
class Verdict:
    """What one look at a file found.

    digest: of its bytes. reason: why it is of no use, or "". pixels: digest of the decoded pixels,
    "" where they were not decoded. losses: codes of LOSSES, joined by commas. width, height: pixels
    as the file declares them.
    """

    digest: str
    reason: str
    pixels: str = ""
    losses: str = ""
    width: int = 0
    height: int = 0

    def entry(self) -> tuple[str, str, str, str, int, int]:
        """The fields in order, faster than `dataclasses.astuple`, which copies them deeply."""
        return self.digest, self.reason, self.pixels, self.losses, self.width, self.height


def digest_of(data: bytes, options: DecodeOptions = PLAIN) -> str:
    """The digest that identifies a picture's file, in every kind of source: 32 hex digits.

    Other bands of the same file are another picture.
    """
    salt = b"" if options.bands is None else ",".join(map(str, options.bands)).encode()[:16]
    return hashlib.blake2b(data, digest_size=16, salt=salt).hexdigest()


def look_at_pixels(data: bytes, options: DecodeOptions) -> Verdict:
    """Decode `data`; raises Unreadable."""
    decoded = decode_with_losses(data, options)
    image = decoded.image
    losses = ",".join(decoded.losses)
    return Verdict(
        digest_of(data, options), "", pixel_digest(image), losses, image.width, image.height
    )


def look_at_header(data: bytes, options: DecodeOptions) -> Verdict:
    """Read the size that `data` declares, and decode no pixel; raises Unreadable."""
    width, height = check_header_with(data, options)
    return Verdict(digest_of(data, options), "", "", "", width, height)


LOOKS: dict[str, Callable[[bytes, DecodeOptions], Verdict]] = {
    "full": look_at_pixels,
    "header": look_at_header,
}


@dataclass(frozen=True)
class VerdictMemory:
    """Where the verdicts on the files below `root` are kept, None for nowhere."""

    folder: Path | None
    root: Path
    verify: str = "full"
    options: DecodeOptions = DecodeOptions()

    @property
    def path(self) -> Path | None:
        """The file of the verdicts; None where they are kept nowhere."""
        if self.folder is None:
            return None
        text = f"{self.verify} {self.root} {astuple(self.options)}"
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"

    def recall(self) -> dict[str, list]:
        """Relative path -> [size, modified, changed, *Verdict]. Anything odd: none."""
        path = self.path
        if path is None:
            return {}
        try:
            kept = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        files = kept.get("files") if isinstance(kept, dict) else None
        if not isinstance(files, dict) or kept.get("version") != VERSION:
            return {}
        return {name: entry for name, entry in files.items() if _is_entry(entry)}

    def remember(self, walked_files: Sequence[FoundFile], verdicts: Sequence[Verdict]) -> None:
        """Keep the verdicts; without room or permission, the next opening looks again."""
        path = self.path
        if path is None:
            return
        files = {
            one.relative: [one.size, one.modified, one.changed, *verdict.entry()]
            for one, verdict in zip(walked_files, verdicts, strict=True)
        }
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"version": VERSION, "files": files}), "utf-8")
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):  # a read-only disk refuses even to remove what is not there
                temporary.unlink(missing_ok=True)

    def forget(self) -> None:
        """Have the next opening look at every file again."""
        path = self.path
        if path is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 9
        and all(isinstance(part, str) for part in entry[3:7])
        and all(isinstance(part, int) for part in (*entry[:3], *entry[7:]))
    )


def look_at_files(
    walked_files: Sequence[FoundFile], memory: VerdictMemory, progress: Progress
) -> list[Verdict]:
    """A verdict per file, from memory where size and times still match, else by looking at it."""
    remembered = memory.recall()
    known: dict[int, Verdict] = {}
    for position, one in enumerate(walked_files):
        entry = remembered.get(one.relative)
        if entry is not None and entry[:3] == [one.size, one.modified, one.changed]:
            known[position] = Verdict(*entry[3:])
    fresh = [position for position in range(len(walked_files)) if position not in known]

    root = os.fspath(memory.root)

    def look(positions: list[int]) -> list[Verdict]:
        paths = (f"{root}{os.sep}{walked_files[position].relative}" for position in positions)
        return [_verdict(path, memory.verify, memory.options) for path in paths]

    # threads take files in groups: a task for each file costs a tenth of the time of a small one
    with ThreadPoolExecutor(max_workers=min(16, cpu_count())) as pool:
        for start in range(0, len(fresh), 512):
            part = fresh[start : start + 512]
            groups = [part[at : at + _GROUP] for at in range(0, len(part), _GROUP)]
            for group, seen in zip(groups, pool.map(look, groups), strict=True):
                known.update(zip(group, seen, strict=True))
            progress(start + len(part), len(fresh), "files")
    verdicts = [known[position] for position in range(len(walked_files))]
    if fresh:
        memory.remember(walked_files, verdicts)
    return verdicts


def _verdict(path: str, verify: str, options: DecodeOptions) -> Verdict:
    try:
        return LOOKS[verify](read_regular(path), options)
    except Unreadable as error:
        return Verdict("", str(error))
    except MemoryError:
        return Verdict("", "does not fit in memory when decoded")


# -- what is reported of them ----------------------------------------------------------------------


def decoding_notes(names: Sequence[str], verdicts: Sequence[Verdict], fit: str) -> list[Note]:
    """What was lost of the usable pictures `names`, counted, with examples."""
    examples: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for name, verdict in zip(names, verdicts, strict=True):
        codes = verdict.losses.split(",") if verdict.losses else []
        if _is_wide(verdict):
            codes.append("wide")
        for code in codes:
            counts[code] += 1
            if len(examples.setdefault(code, [])) < _EXAMPLES:
                examples[code].append(name)
    return [
        Note("decoding", loss_note(count, code, fit), tuple(examples[code]))
        for code, count in counts.most_common()
    ]


def loss_note(count: int, code: str, fit: str) -> str:
    """Sentence on a loss: a code of LOSSES, or "wide" under `fit`."""
    words = _wide_words(fit) if code == "wide" else LOSSES[code]
    verb, _, rest = words.partition(" ")
    return counted(count, f"image {_SINGULAR[verb]} {rest}", f"images {words}")


def _wide_words(fit: str) -> str:
    done = {
        "auto": "padded to a square for the encoder, so that nothing is cut off",
        "pad": "padded to a square for the encoder, so that nothing is cut off",
        "crop": "cropped to their central square for the encoder",
        "squash": "squashed to a square for the encoder",
    }[fit]
    return f"are over {WIDE} times as long as wide, {done}; fit=crop|pad|squash (--fit)"


def _is_wide(verdict: Verdict) -> bool:
    sides = (verdict.width, verdict.height)
    return min(sides) > 0 and max(sides) > WIDE * min(sides)


def duplicate_notes(names: Sequence[str], verdicts: Sequence[Verdict]) -> list[Note]:
    """How many pictures are copies of another one, by bytes and by pixels."""
    by_bytes = _copies(names, [verdict.digest for verdict in verdicts])
    by_pixels = _copies(names, [verdict.pixels or verdict.digest for verdict in verdicts])
    notes = []
    if by_bytes:
        sentence = counted(
            len(by_bytes),
            "file is a byte for byte copy of another; embedded once",
            "files are byte for byte copies of another; embedded once",
        )
        notes.append(Note("duplicates", sentence, _pairs(by_bytes)))
    if len(by_pixels) > len(by_bytes):
        extra = {name: by_pixels[name] for name in by_pixels if name not in by_bytes}
        sentence = counted(
            len(extra),
            "more image has the same pixels as another file",
            "more images have the same pixels as another file",
        )
        notes.append(Note("duplicates", sentence, _pairs(extra)))
    return notes


def _copies(names: Sequence[str], digests: Sequence[str]) -> dict[str, str]:
    """Name -> the first name with the same digest, for all but the first."""
    first: dict[str, str] = {}
    copies = {}
    for name, digest in zip(names, digests, strict=True):
        if first.setdefault(digest, name) != name:
            copies[name] = first[digest]
    return copies


def _pairs(copies: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name} = {copies[name]}" for name in list(copies)[:_EXAMPLES])


def leak_note(
    pool: Sequence[str],
    pool_verdicts: Sequence[Verdict],
    test: Sequence[str],
    test_verdicts: Sequence[Verdict],
) -> Note | None:
    """Pictures of the test part that are in the pool too, by bytes or by pixels, as a note.

    Parameters
    ----------
    pool, test : sequence of str
        Names of the pictures.
    pool_verdicts, test_verdicts : sequence of Verdict
        One of each picture, with digest and pixels.

    Returns
    -------
    Note or None
        None where there are none.
    """
    known = {verdict.digest: name for name, verdict in zip(pool, pool_verdicts, strict=True)}
    seen = {
        verdict.pixels: name
        for name, verdict in zip(pool, pool_verdicts, strict=True)
        if verdict.pixels
    }
    by_bytes = 0
    pairs = []
    for name, verdict in zip(test, test_verdicts, strict=True):
        other = known.get(verdict.digest) or seen.get(verdict.pixels)
        if other is not None:
            by_bytes += verdict.digest in known
            pairs.append(f"{name} = {other}")
    if not pairs:
        return None
    return Note(
        "splits",
        f"{counted(len(pairs), 'image of the test part is', 'images of the test part are')} in "
        f"the pool too, {by_bytes:,} byte for byte and the rest by their pixels; "
        "accuracy on the test part will be too high",
        tuple(pairs[:_EXAMPLES]),
    )
