"""Damaged bytes into every parser: a result or BadInput, never another exception.

For a long run set CORESET_FUZZ to the number of examples per parser; beyond 150 they are drawn at
random.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from damage import ACTIONS, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from robustness.seeds import encoded

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.archives import extract_images
from coreset_engine.sources.builtin import read_idx
from coreset_engine.sources.decoding import check_header, decode
from coreset_engine.sources.remote.scan import Unit, look_through_unit
from coreset_engine.sources.remote.storage import Item
from coreset_engine.sources.safe_names import safe_name
from coreset_engine.sources.vectors import read_matrix

EXAMPLES = int(os.environ.get("CORESET_FUZZ", "150"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 150,
    database=None,
    suppress_health_check=list(HealthCheck),
)


IMAGES = [
    encoded("JPEG"),
    encoded("JPEG", "CMYK"),
    encoded("PNG"),
    encoded("PNG", "P"),
    encoded("GIF", "P"),
    encoded("BMP"),
    encoded("TIFF"),
    encoded("WEBP"),
    encoded("PPM"),
]


@st.composite
def damaged(draw, seeds: list[bytes]) -> bytes:
    """A valid file with bytes overwritten, removed, inserted or repeated."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        offset = draw(st.integers(0, max(len(data) - 1, 0)))
        junk = draw(st.binary(min_size=1, max_size=8))
        damage(data, draw(st.sampled_from(ACTIONS)), offset, junk)
    return bytes(data)


@fuzz
@given(damaged(IMAGES))
def test_images(data: bytes):
    for look in (decode, check_header):
        try:
            result = look(data)
        except BadInput as error:
            assert "\n" not in str(error)
        else:
            if look is decode:
                assert result.mode == "RGB" and result.width * result.height <= 89_000_000


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@fuzz
@given(
    damaged([npy(np.ones((4, 3), np.float32)), npy(np.ones((2, 5), np.float16)), npy(np.ones(3))])
)
def test_vectors(tmp_path_factory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "fuzz.npy"
    path.write_bytes(data)
    try:
        matrix, _ = read_matrix(path)
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert matrix.ndim == 2 and np.isfinite(matrix).all()


@fuzz
@given(
    damaged(
        [
            struct.pack(">4I", 0x803, 3, 4, 5) + bytes(60),
            gzip.compress(struct.pack(">2I", 0x801, 9) + bytes(9), mtime=0),
        ]
    )
)
def test_idx(tmp_path_factory, data: bytes):
    path = tmp_path_factory.getbasetemp() / ("fuzz.gz" if data[:1] == b"\x1f" else "fuzz")
    path.write_bytes(data)
    for dimensions in (1, 3):
        try:
            array = read_idx(path, dimensions)
        except BadInput as error:
            assert "\n" not in str(error)
        else:
            assert array.ndim == dimensions and array.dtype == np.uint8


def container(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "parquet":
        rows = {"image": IMAGES[2:5], "id": list("abc"), "label": [0, 1, None]}
        pq.write_table(pa.table(rows), out, row_group_size=2)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (
            ("1.png", IMAGES[2]),
            ("1.json", b'{"label": 3}'),
            ("long" * 30 + ".jpg", IMAGES[0]),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@fuzz
@given(
    st.sampled_from(["tar", "parquet"]).flatmap(
        lambda kind: st.tuples(st.just(kind), damaged([container(kind)]))
    )
)
def test_containers(tmp_path_factory, drawn: tuple[str, bytes]):
    kind, data = drawn
    path = tmp_path_factory.getbasetemp() / f"fuzz.{kind}"
    path.write_bytes(data)
    table = look_through_unit(
        Unit(kind, (Item(str(path), path.name, len(data), ""),), "full"), None
    )
    assert all(row["reason"] or row["digest"] for row in table.to_pylist())
    assert all("\n" not in reason for reason in table["reason"].to_pylist())


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a/1.png", IMAGES[2])
        opened.writestr("../2.png", IMAGES[2])
        opened.writestr("3.txt", "hello")
    return out.getvalue()


@fuzz
@given(damaged([archive()]))
def test_archives(tmp_path_factory, data: bytes):
    base = tmp_path_factory.mktemp("zip")
    (base / "in.zip").write_bytes(data)
    inside = base / "deep" / "into"
    try:
        extract_images(base / "in.zip", inside)
    except BadInput as error:
        assert "\n" not in str(error)
    assert {path.name for path in base.iterdir()} <= {"in.zip", "deep"}
    assert (
        {path.name for path in (base / "deep").iterdir()} <= {"into"}
        if (base / "deep").exists()
        else True
    )


@fuzz
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=8)
)
def test_safe_names_stay_unique_and_on_one_line(names: list[str]):
    safe = [safe_name(name) for name in names]
    assert len(set(safe)) == len(names)
    assert all(len(name.splitlines()) <= 1 for name in safe)
