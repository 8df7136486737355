"""A selection as a folder: selection.parquet (a row per usable image), ids.txt, manifest.json."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Dataset, Selection
from coreset_engine.core.user_paths import user_path

FILES = ("selection.parquet", "ids.txt", "manifest.json")
COLUMNS = {
    "id": "",
    "path": "",
    "selected": "b",
    "rank": "i",
    "score": "f",
    "weight": "f",
}  # name -> kinds of dtype


def ids_digest(ids: Iterable[str]) -> str:
    """SHA-256 of the ids, one JSON string a line, in order."""
    seen = hashlib.sha256()
    for number, part in enumerate(batched(ids)):
        seen.update(
            (("\n" if number else "") + "\n".join(json.dumps(str(key)) for key in part)).encode()
        )
    return seen.hexdigest()


def batched(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids, `selection_rows` at a time."""
    rest = iter(ids)
    while part := list(islice(rest, limits().selection_rows)):
        yield part


def check_destination(out: Path | str, *, overwrite: bool = True) -> None:
    """Raise BadInput when no selection can be written to `out`, before anything is computed.

    Parameters
    ----------
    out
        Folder that is absent, empty, or holds a selection made by this program.
    overwrite
        Whether a selection that is there may be replaced.
    """
    out = user_path(out)
    try:
        _refuse_others(out)
        if not overwrite and (out / FILES[2]).is_file():
            raise BadInput(
                f"{out} holds a selection already{_about(out / FILES[2])}; choose another folder, "
                "or replace it: --overwrite."
            )
        standing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        with tempfile.TemporaryFile(dir=standing):
            pass
    except OSError as error:
        raise BadInput(
            f"{out} cannot be written ({error.strerror}); choose a folder you can write."
        ) from None


def write_selection(
    out: Path | str,
    dataset: Dataset,
    selection: Selection,
    scores: Mapping[str, np.ndarray],
    manifest: Mapping[str, Any],
) -> Path:
    """Write the folder `out`, replacing a selection made by this program there, all files or none.

    Parameters
    ----------
    out : path
        May be absent, empty, or hold an earlier selection.
    dataset : Dataset
        N images.
    selection : Selection
    scores : mapping of str to (N,) array
        Further columns of selection.parquet, in source order.
    manifest : mapping
        JSON-able entries of manifest.json.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BadInput
        When `out` cannot be written or holds something else.
    """
    out = Path(os.path.abspath(user_path(out)))
    n = len(dataset)
    rank = np.full(n, -1, np.int64)
    rank[selection.indices] = np.arange(len(selection))
    weight = np.zeros(n)
    weight[selection.indices] = selection.weights
    table = {
        "id": dataset.ids,
        "path": dataset.paths,
        "selected": rank >= 0,
        "rank": rank,
        "score": selection.scores,
        **scores,
        "weight": weight,
    }
    full = {
        **manifest,
        "ids_sha256": ids_digest(selection.ids),
        "n": n,
        "k": len(selection),
        "rejected": [dict(name=item.name, reason=item.reason) for item in dataset.rejected],
    }
    check_destination(out)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        _refuse_others(out)
        _sweep(out)
        temporary.mkdir(parents=True)
        _write_table(temporary / FILES[0], table, n)
        with open(temporary / FILES[1], "w", encoding="utf-8") as lines:
            lines.writelines(f"{key}\n" for key in selection.ids)
        (temporary / FILES[2]).write_text(json.dumps(full, indent=1, default=str) + "\n")
        _put(temporary, out)
    except OSError as error:
        raise BadInput(
            f"{out} cannot be written ({error.strerror or error}); choose a folder you can write, "
            "on a disk with room."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def _check_ids(ids: Any) -> None:
    """ids: Arrow's column.

    Raises ValueError for what is not text, or repeated: of millions only numbers made of them are
    compared, and those ids whose number another one has.
    """
    import pyarrow as pa
    from pandas.util import hash_array

    kind = ids.type.value_type if pa.types.is_dictionary(ids.type) else ids.type
    if ids.null_count or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ValueError("the id column does not hold text")
    numbers = np.empty(len(ids), np.uint64)
    for begin in range(0, len(ids), limits().selection_rows):
        part = np.array(ids[begin : begin + limits().selection_rows].to_pylist(), object)
        numbers[begin : begin + len(part)] = hash_array(part, categorize=False)
    ordered = np.sort(numbers)
    shared = np.flatnonzero(np.isin(numbers, ordered[1:][ordered[1:] == ordered[:-1]]))
    if len(set(ids.take(pa.array(shared)).to_pylist())) < len(shared):
        raise ValueError("an id occurs twice")


def _write_table(path: Path, table: Mapping[str, Any], n: int) -> None:
    """Write the columns, each (n,) or None, as Parquet.

    `selection_rows` rows a group bound the memory that strings need.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def part(begin: int, end: int) -> Any:
        return pa.table(
            {
                name: pa.nulls(end - begin)
                if values is None
                else pa.array(_plain(values[begin:end]))
                for name, values in table.items()
            }
        )

    with pq.ParquetWriter(path, part(0, min(n, limits().selection_rows)).schema) as out:
        for begin in range(0, n, limits().selection_rows):
            out.write_table(
                part(begin, min(begin + limits().selection_rows, n)).cast(out.schema),
                row_group_size=limits().selection_rows,
            )


def _plain(values: Any) -> np.ndarray:
    """Numbers as they are, anything else as text."""
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        return values
    return np.array([None if value is None else str(value) for value in values.tolist()], object)


def _refuse_others(out: Path) -> None:
    """Raise unless `out` is absent, empty, a selection, or an interrupted write."""
    if not out.exists():
        return
    if not out.is_dir():
        raise BadInput(f"{out} exists and is not a folder; choose a new or an empty folder.")
    names = {path.name for path in out.iterdir()}
    ours = not names or _is_manifest(out / FILES[2])
    unfinished = names <= {*FILES[:2]} and _has_our_columns(out / FILES[0])
    if not (ours or unfinished):
        raise BadInput(
            f"{out} exists and is not a selection folder; choose a new or an empty folder."
        )


def _is_manifest(path: Path) -> bool:
    """Whether this manifest.json was written by this program; many tools call a file so."""
    return isinstance(_read_json(path).get("ids_sha256"), str)


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; {} for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _has_our_columns(path: Path) -> bool:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        return set(COLUMNS) <= set(pq.read_schema(path).names)
    except (OSError, ArrowException):
        return False


def _about(path: Path) -> str:
    """What a selection is, from its manifest: " (elfs, 120 of 1,200 images)"."""
    content = _read_json(path)
    kept = content.get("k")
    count = content.get("n")
    if not isinstance(kept, int) or not isinstance(count, int):
        return ""
    return f" ({content.get('method')}, {kept:,} of {count:,} images)"


def _sweep(out: Path) -> None:
    """Remove what earlier writers of `out` left, if they are dead."""
    for path in out.parent.glob(f".{glob.escape(out.name)}.*.tmp"):
        try:
            os.kill(int(path.name.split(".")[-2]), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (ValueError, OSError):
            continue


def _put(temporary: Path, out: Path) -> None:
    """Move the finished, synced files into place: one rename, or the manifest last."""
    for name in FILES:
        with open(temporary / name, "rb") as file:
            os.fsync(file.fileno())
    if not out.exists():
        os.replace(temporary, out)
        return
    for name in (
        FILES
    ):  # a folder killed in between does not hash to its manifest, which `read_selection` notices
        os.replace(temporary / name, out / name)


def read_selection(path: Path | str) -> tuple[Any, dict[str, Any]]:
    """(table as DataFrame, manifest) of a selection folder.

    Raises BadInput when it is none, lies, or was changed.
    """
    path = Path(path)
    try:
        if not (path / FILES[2]).is_file():
            raise ValueError(f"{FILES[2]} is missing")
        manifest = json.loads((path / FILES[2]).read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError("the manifest is not an object")
        table = _table(path / "selection.parquet")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{path} is not a selection folder ({reason}); give the folder that `run --out` wrote."
        ) from None
    kept = table[table["selected"]].sort_values("rank")
    if ids_digest(kept["id"]) != manifest.get("ids_sha256"):
        raise BadInput(
            f"{path} was changed: the hash of its ids differs from its manifest; export it again."
        )
    return table, manifest


def _table(path: Path) -> Any:
    """The table, checked: columns, types, ids, ranks and weights.

    Raises ValueError with what is wrong.
    """
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    with pq.ParquetFile(path) as file:
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        if (size := sum(group.total_byte_size for group in groups)) > limits().selection_bytes:
            raise ValueError(f"its table would take {size / 1e9:.0f} GB of memory")
        if missing := set(COLUMNS) - set(file.schema_arrow.names):
            raise ValueError(f"the column {min(missing)} is missing")
        try:
            read = file.read()
            read.validate(
                full=True
            )  # else text that is no UTF-8 breaks out wherever it is first touched
            _check_ids(read["id"])
            table = read.to_pandas(
                split_blocks=True, self_destruct=True
            )  # column by column: few are held twice
            del read
        except ArrowException as error:  # not all of its tree are ValueErrors
            raise ValueError(error) from None
    for name, kinds in COLUMNS.items():
        if kinds and table[name].dtype.kind not in kinds:
            raise ValueError(f"{name} holds {table[name].dtype}")
    rank = table["rank"].to_numpy()
    selected = table["selected"].to_numpy()
    if (
        not np.array_equal(np.sort(rank[selected]), np.arange(selected.sum()))
        or (rank[~selected] != -1).any()
    ):
        raise ValueError("rank does not count the selected images")
    weight = table["weight"].to_numpy(float)
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("a weight is negative or no number")
    return table
