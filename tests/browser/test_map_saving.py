"""The map taken away: PNG and SVG show what is drawn, the CSV says what is true of every image."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
from chrome import wait_for_map
from made_up import fake_points
from PIL import Image

N = 6000


def saved(page, kind: str) -> bytes:
    page.locator(".cm-save summary").click()
    with page.expect_download() as download:
        page.locator(f".cm-menu [data-tool={kind}]").click()
    assert download.value.suggested_filename == f"map.{kind}"
    return download.value.path().read_bytes()


def test_the_map_is_saved_as_png_svg_and_csv(open_page, map_server):
    page, witness = open_page(f"{map_server}/?n={N}&colour=AUM")
    wait_for_map(page)
    rows = list(csv.DictReader(io.StringIO(saved(page, "csv").decode())))
    assert [row["id"] for row in rows] == [f"img-{i}" for i in range(N)]
    assert np.array_equal(
        np.array([[row["x"], row["y"]] for row in rows], np.float32), fake_points(N)
    )
    aum = np.random.default_rng(3).normal(size=N)
    assert np.array_equal([float(row["AUM"]) for row in rows], aum)
    hardest_first = np.argsort(aum, kind="stable")
    kept = np.flatnonzero([row["selected"] == "1" for row in rows])
    assert sorted(kept) == sorted(hardest_first[N // 10 : N // 10 + N // 10])  # p = 0.9, beta = 0.1

    svg = saved(page, "svg").decode()
    paths = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}path")
    assert sum(len(re.findall("M", path.get("d"))) for path in paths) == N
    assert "AUM" in svg and "http://" not in svg.replace("http://www.w3.org/2000/svg", "")

    picture = np.asarray(Image.open(io.BytesIO(saved(page, "png"))).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20 and (picture[0, 0] > 200).all()
    witness.assert_clean()


def test_a_table_holds_no_formulas_and_keeps_odd_ids_apart(open_page, map_server):
    page, _ = open_page(f"{map_server}/?n=50&colour=odd")
    wait_for_map(page)
    rows = list(csv.DictReader(io.StringIO(saved(page, "csv").decode(), newline="")))
    assert len(rows) == 50 and rows[0]["odd"] == "'=1+1" and rows[1]["odd"] == 'a "b",\nc'
