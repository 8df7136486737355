"""Read a range of images from containers and object stores with few requests.

A `ContainerReader` holds, for each image, the file it lies in and its offset. It pickles and can be
cut: a node that embeds images 4,096 to 5,119 gets those rows alone and reads those bytes alone.
Neighbouring members of a tar are read with one range request, rows of a Parquet file with their row
group, single files MANY at once. The bytes of every image are compared with the digest taken when
the source was opened; where they differ they are read once more, then the image is named.
"""

from __future__ import annotations

import json
from builtins import slice as Slice
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.decoding import PLAIN, DecodeOptions, Unreadable, decode_with_losses
from coreset_engine.sources.remote import parquet
from coreset_engine.sources.remote.storage import fetch, fetch_many
from coreset_engine.sources.safe_names import safe_name, string_array
from coreset_engine.sources.verdicts import digest_of

GAP = 2**16  # members of a tar with no more than this between them are read together
TOGETHER = 2**24  # bytes of one range request, unless one picture alone is longer
MANY = 16  # single files requested at once


@dataclass(frozen=True, eq=False)
class ContainerReader:
    """The reader of a Dataset whose images lie in `files`.

    kind: "tar", "parquet" or "images" (a file each).

    files: (paths, sizes, versions), one a file. ids: (N,) str. file: (N,) int32, which file.
    offset: (N,) int64, byte offset or `parquets.where`. size: (N,) int64 bytes. digest: (N,) ascii
        bytes, `digest_of`.
    """

    kind: str
    files: tuple[list[str], list[int], list[str]]
    ids: np.ndarray
    file: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    digest: np.ndarray
    column: str | None = None
    options: DecodeOptions = PLAIN

    def __call__(self, i: int) -> Image.Image:
        return next(self.slice(i, i + 1))

    def slice(self, begin: int, end: int) -> Iterator[Image.Image]:
        """Images begin .. end - 1, decoded one by one; bytes are read a few MB at a time."""
        i = begin
        for part in self._together(begin, end):
            for data in self._bytes(*part):
                yield self._decoded(i, data)
                i += 1

    def part(self, begin: int, end: int) -> ContainerReader:
        """The reader of images begin .. end - 1 alone, which are 0 .. end - begin - 1 in it."""
        return self.take(Slice(begin, end))

    def take(self, rows: np.ndarray | Slice) -> ContainerReader:
        """The reader of the images at `rows` alone, in that order."""
        used, file = np.unique(self.file[rows], return_inverse=True)
        names, sizes, versions = self.files
        files = (
            [names[number] for number in used],
            [sizes[number] for number in used],
            [versions[number] for number in used],
        )
        return replace(
            self,
            files=files,
            ids=self.ids[rows],
            file=file.astype(np.int32),
            offset=self.offset[rows],
            size=self.size[rows],
            digest=self.digest[rows],
        )

    def _together(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Ranges of images that one request fetches."""
        start = begin
        for i in range(begin + 1, end + 1):
            if i == end or not self._follows(start, i):
                yield start, i
                start = i

    def _follows(self, start: int, i: int) -> bool:
        if self.kind == "images":
            return i - start < MANY and int(self.size[start : i + 1].sum()) <= TOGETHER
        if self.kind != "tar" or self.file[i] != self.file[i - 1]:
            return False
        gap = self.offset[i] - self.offset[i - 1] - self.size[i - 1]
        return 0 <= gap <= GAP and self.offset[i] + self.size[i] - self.offset[start] <= TOGETHER

    def _bytes(self, begin: int, end: int) -> Iterator[bytes]:
        name = self.files[0][self.file[begin]]
        if self.kind == "parquet":
            yield self._row(begin)
            return
        if self.kind == "images":
            files = self.file[begin:end]
            yield from fetch_many(
                [self.files[0][file] for file in files], [self.files[1][file] for file in files]
            )
            return
        first = int(self.offset[begin])
        last = int(self.offset[end - 1] + self.size[end - 1])
        data = fetch(name, first, last)
        for i in range(begin, end):
            start = int(self.offset[i]) - first
            yield data if end - begin == 1 else data[start : start + int(self.size[i])]

    def _row(self, i: int) -> bytes:
        number = self.file[i]
        name, size, version = (column[number] for column in self.files)
        group, row = parquet.where(int(self.offset[i]))
        try:
            pictures = parquet.GROUPS.get(name, size, version, group, self.column)
            return pictures[row].as_py() or b""
        except (parquet.Unfit, IndexError) as error:
            raise self._changed(i, f"lies in a row group that {error}") from error

    def _decoded(self, i: int, data: bytes) -> Image.Image:
        if digest_of(data, self.options) != self.digest[i].decode():
            data = next(self._bytes(i, i + 1))
            if digest_of(data, self.options) != self.digest[i].decode():
                raise self._changed(i, "holds other bytes")
        try:
            return decode_with_losses(data, self.options).image
        except Unreadable as error:
            raise self._changed(i, str(error)) from error

    def _changed(self, i: int, reason: str) -> BadInput:
        path = safe_name(self.files[0][self.file[i]])
        return BadInput(
            f"image {str(self.ids[i])!r} in {path!r} {reason}; it changed after the source was "
            "opened; open the source again to read changed files."
        )

    # -- on disk, so that a node reads the lines of its slice and no more --------------------------

    def save(self, path: Any, rows: int) -> None:
        """Write this index as Parquet, `rows` images a row group; each line is complete."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema(
            [
                ("ids", pa.string()),
                ("file", pa.string()),
                ("file_size", pa.int64()),
                ("version", pa.string()),
                ("place", pa.int64()),
                ("size", pa.int64()),
                ("digest", pa.binary()),
            ],
            metadata={"slices": json.dumps([self.kind, self.column, astuple(self.options)])},
        )
        with pq.ParquetWriter(path, schema) as out:
            for begin in range(0, len(self.ids), rows):
                out.write_table(
                    self._lines(begin, min(begin + rows, len(self.ids)), schema),
                    row_group_size=rows,
                )

    def _lines(self, begin: int, end: int, schema: Any) -> Any:
        import pyarrow as pa

        files, sizes, versions = (
            [column[number] for number in self.file[begin:end]] for column in self.files
        )
        return pa.table(
            [
                [str(key) for key in self.ids[begin:end]],
                files,
                sizes,
                versions,
                self.offset[begin:end],
                self.size[begin:end],
                self.digest[begin:end].tolist(),
            ],
            schema=schema,
        )


def load_part(path: Any, number: int) -> ContainerReader:
    """Row group `number` of what `ContainerReader.save` wrote; no other line is read."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        kind, column, (max_pixels, bands) = json.loads(file.schema_arrow.metadata[b"slices"])
        lines = file.read_row_group(number).to_pydict()
    file_of_row = list(zip(lines["file"], lines["file_size"], lines["version"], strict=True))
    files = sorted(set(file_of_row))
    number_of = {one: number for number, one in enumerate(files)}
    return ContainerReader(
        kind,
        ([one[0] for one in files], [one[1] for one in files], [one[2] for one in files]),
        string_array(lines["ids"]),
        np.array([number_of[one] for one in file_of_row], np.int32),
        np.array(lines["place"], np.int64),
        np.array(lines["size"], np.int64),
        np.array(lines["digest"], "S32"),
        column,
        DecodeOptions(max_pixels, tuple(bands) if bands else None),
    )
