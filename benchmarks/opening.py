"""Opening and reading pictures far away: memory and time of a Parquet source, and an S3 server
against the disk.

    python benchmarks/opening.py [--rows 1000000] [--indexes 0] [--pictures 20000] [--folder DIR]

Parquet: --rows pictures of 8 x 8 (PNG, about 100 bytes each, made) in files of 500,000, opened in a
    process of its own,
three times: looked through (every picture decoded), joined (from the remembered indexes of the
files), mapped (what the second opening kept). Memory is what the process holds itself (RssAnon)
beyond what it held before, at its peak and afterwards. With --indexes only the first file is looked
through; the indexes of the others, links to it, are made from its own, up to so many rows. S3:
--pictures pictures of 64 x 64 in one tar, read decoded in slices of 1,024 from disk and from moto's
server on this machine, in turn, three times; the best of each.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)
from benchmarks.scaling.cells import anonymous, watched  # noqa: E402

FILE_ROWS = 500_000
GROUP_ROWS = 10_000
SLICE = 1024


def pictures(count: int, side: int) -> list[bytes]:
    """PNGs of few colours, all different."""
    from PIL import Image

    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8) // 128 * 255).save(
            out, "PNG"
        )
        made.append(out.getvalue())
    return made


def make_parquet(folder: Path, rows: int) -> int:
    """Writes the files; the mean number of bytes of a picture."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    few = pictures(4096, 8)
    for number, start in enumerate(range(0, rows, FILE_ROWS)):
        path = folder / f"part-{number:05d}.parquet"
        if path.is_file():
            continue
        with pq.ParquetWriter(
            path, pa.schema([("image", pa.binary()), ("label", pa.int32())])
        ) as out:
            for at in range(start, min(start + FILE_ROWS, rows), GROUP_ROWS):
                every = range(at, min(at + GROUP_ROWS, rows))
                out.write_table(
                    pa.table(
                        [[few[i % 4096] for i in every], [i % 1000 for i in every]],
                        schema=out.schema,
                    )
                )
    return sum(map(len, few)) // len(few)


def open_one(folder: str) -> None:
    """Prints images, seconds, peak and held bytes of opening `folder` here."""
    import gc

    import pyarrow.parquet  # noqa: F401 - not counted
    import torch  # noqa: F401 - not counted

    from coreset_engine.sources.open import open_source

    with tempfile.TemporaryDirectory() as few:  # what opening imports is not counted
        make_parquet(Path(few), 100)
        open_source(f"{few}/*.parquet")
    before = anonymous()
    start = time.perf_counter()
    with watched() as peak:
        source = open_source(f"{folder}/*.parquet")
        took = time.perf_counter() - start
    gc.collect()
    print(len(source), took, peak[0] - before, anonymous() - before, source.ids[-1])


def show_parquet(folder: Path, rows: int, indexes: int) -> None:
    size = make_parquet(folder, min(rows, FILE_ROWS) if indexes else rows)
    home = Path(tempfile.mkdtemp(dir=folder))
    if indexes:
        make_indexes(folder, home, indexes)
    print(
        f"\n{indexes or rows:,} pictures of {size} bytes in {-(-(indexes or rows) // FILE_ROWS)} "
        "Parquet files\n\n"
        "| opening | time | pictures/s | peak | a picture | held afterwards | a picture |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name in ("looked through", "joined", "mapped")[bool(indexes) :]:
        if name == "joined":
            shutil.rmtree(home / "verified" / "opened", ignore_errors=True)
        message = subprocess.run(
            [sys.executable, __file__, "--open", str(folder)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "CORESET_HOME": str(home)},
        ).stdout.split()
        n, took, peak, held = int(message[0]), *map(float, message[1:4])
        print(
            f"| {name} | {took:.1f} s | {n / took:,.0f} | {peak / 1e6:,.0f} MB | {peak / n:.0f} B "
            "| "
            f"{held / 1e6:,.0f} MB | {held / n:.0f} B |",
            flush=True,
        )


def make_indexes(folder: Path, home: Path, rows: int) -> None:
    """Links to the first file until they are `rows`, and in `home` the index of each, made from
    that of the first."""
    import pyarrow.compute as pc

    from coreset_engine.sources.remote.scan import look_through_unit, remember, units_of

    first = folder / "part-00000.parquet"
    for number in range(1, -(-rows // FILE_ROWS)):
        os.link(first, folder / f"part-{number:05d}.parquet")
    units, _ = units_of(f"{folder}/*.parquet", "full", {})
    seen = look_through_unit(units[0], home / "verified")
    for unit in units[1:]:
        keys = pc.replace_substring(seen["key"], first.name, unit.items[0].name)
        remember(unit, home / "verified", seen.set_column(0, "key", keys))


def show_s3(folder: Path, count: int) -> None:
    import fsspec
    from moto.server import ThreadedMotoServer

    from coreset_engine.sources.open import open_source

    with tarfile.open(folder / "one.tar", "w") as tar:
        for i, data in enumerate(pictures(count, 64)):
            about = tarfile.TarInfo(f"{i:06d}.png")
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    os.environ.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=url,
        CORESET_HOME=tempfile.mkdtemp(dir=folder),
    )
    fs = fsspec.filesystem("s3", client_kwargs=dict(endpoint_url=url))
    fs.mkdir("pictures")
    fs.put(str(folder / "one.tar"), "pictures/one.tar")
    best = {"disk": 0.0, "S3 server": 0.0}
    positions = {
        "disk": open_source(folder / "one.tar"),
        "S3 server": open_source("s3://pictures/one.tar"),
    }
    for _ in range(3):
        for name, source in positions.items():
            start = time.perf_counter()
            for at in range(0, count, SLICE):
                for image in source.images(at, min(at + SLICE, count)):
                    image.load()
            best[name] = max(best[name], count / (time.perf_counter() - start))
    server.stop()
    size = (folder / "one.tar").stat().st_size
    print(
        f"\na tar of {count:,} pictures, {size / 1e6:.0f} MB, read and decoded by one thread\n\n"
        "| from | pictures/s | against the disk |\n|---|---|---|"
    )
    for name, speed in best.items():
        print(f"| {name} | {speed:,.0f} | {speed / best['disk']:.2f}x |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--indexes", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--open", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.open:
        open_one(given.open)
        return
    with tempfile.TemporaryDirectory() as own:
        folder = given.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        import platform

        from coreset_engine.core.device import cpu_count

        print(f"{platform.processor() or platform.machine()}, {cpu_count()} cores")
        if given.rows:
            show_parquet(folder, given.rows, given.indexes)
        if given.pictures:
            show_s3(folder, given.pictures)


if __name__ == "__main__":
    main()
