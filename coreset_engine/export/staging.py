"""Write an export beside its destination and move it there when it is whole.

An export that fails, is cancelled, or is killed leaves the folder as it was: nothing new, and an
earlier export untouched. What is left of a killed process is removed by the next export.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput

MARK = ".coreset-export"  # in every folder that an export made and the next one may replace
_STAGE = ".coreset-export-"
_final: dict[Path, Path] = {}  # folder that is written to -> the destination it is for
_dropped: dict[Path, list[Path]] = {}  # the same folder -> folders that the new export lacks


@contextmanager
def staged(destination: Path) -> Iterator[Path]:
    """A folder to write into, whose content is moved to `destination` when the block ends.

    Parameters
    ----------
    destination
        The folder that the export is for; it may be absent, empty, or hold an earlier export, of
        which the parts that are written again are replaced.

    Raises
    ------
    BadInput
        When nothing can be written there, or a part would replace another program's folder.
    """
    destination = Path(os.path.realpath(destination))
    inside = destination.is_dir()
    parent = destination if inside else destination.parent
    stage = parent / f"{_STAGE}{destination.name if not inside else ''}.{os.getpid()}.tmp"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        stage.mkdir()
    except OSError as error:
        raise _unwritable(destination, error) from None
    _final[stage] = destination
    _dropped[stage] = []
    try:
        yield stage
        _take_over(stage, destination)
    except OSError as error:
        raise _unwritable(destination, error) from None
    except BadInput as error:
        raise type(error)(str(error).replace(str(stage), str(destination))) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        del _final[stage], _dropped[stage]


def _unwritable(destination: Path, error: OSError) -> BadInput:
    return BadInput(
        f"{str(destination)!r} cannot be written ({error.strerror or error}); choose a folder you can "
        "write, on a disk with room."
    )


def final_destination(path: Path) -> Path:
    """Where `path` will lie when the export is whole; `path` itself outside of a stage."""
    for stage, destination in _final.items():
        if path == stage or stage in path.parents:
            return destination / path.relative_to(stage)
    return path


def named_finally(value: Any, stage: Path) -> Any:
    """`value` with the paths of a stage in it replaced by those of the destination it is for."""
    if isinstance(value, str):
        return value.replace(str(stage), str(_final[stage]))
    if isinstance(value, Mapping):
        return {name: named_finally(one, stage) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(named_finally(one, stage) for one in value)
    return value


def fresh(folder: Path) -> Path:
    """An empty folder of our own: an earlier export is replaced, any other folder refused."""
    for one in (folder, final_destination(folder)):
        if one.is_symlink() or (
            one.exists() and not (one / MARK).is_file() and (not one.is_dir() or any(one.iterdir()))
        ):
            raise BadInput(
                f"{str(one)!r} exists and was not made by an export; choose a new or an empty "
                "folder."
            )
    discard(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(
        "made by an export of Coreset Explorer; replaced as a whole by the next one\n"
    )
    return folder


def discard(folder: Path) -> None:
    """Remove what an earlier export of ours made; other folders stay."""
    if (folder / MARK).is_file() and not folder.is_symlink():
        shutil.rmtree(folder)
    for stage, dropped in _dropped.items():
        if stage in folder.parents:
            dropped.append(final_destination(folder))


def _take_over(stage: Path, destination: Path) -> None:
    """Move what lies in `stage` into `destination`; where a move fails, all are undone."""
    if not destination.exists():
        os.replace(stage, destination)
        return
    old = stage.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir()
    undo: list[tuple[Path, Path]] = []
    try:
        gone = [folder for folder in _dropped[stage] if _is_ours(folder)]
        names = [entry.name for entry in stage.iterdir()]
        for path in dict.fromkeys([*gone, *(destination / name for name in names)]):
            if path.exists() or path.is_symlink():
                undo.append(_moved(path, old / path.name))
        for name in names:
            undo.append(_moved(stage / name, destination / name))
    except OSError:
        for begin, end in reversed(undo):
            os.replace(end, begin)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return (folder / MARK).is_file() and not folder.is_symlink()


def _moved(begin: Path, end: Path) -> tuple[Path, Path]:
    os.replace(begin, end)
    return begin, end


def _sweep(parent: Path) -> None:
    """Remove what exports of dead processes left in `parent`."""
    for path in parent.glob(f"{_STAGE}*.*"):
        if path.suffix not in (".tmp", ".old"):
            continue
        try:
            os.kill(int(path.name.split(".")[-2]), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (ValueError, OSError):
            continue
