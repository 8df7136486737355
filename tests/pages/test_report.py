"""The one-page report: self-contained, escaped, and with the right numbers."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from coreset_engine.core.types import Dataset, Selection
from ui.views.report import Parts, flat, map_picture, report

EVIL = '<script>alert("x")</script>'


def made():
    n = 50
    kept = np.arange(0, 50, 5)
    ids = np.array([f"{EVIL}{i}" for i in range(n)])
    dataset = Dataset("x", ids, "f", lambda i: Image.new("RGB", (8, 8), "red"))
    return dataset, Selection(
        ids[kept], kept, np.ones(10), np.zeros(n), "elfs", {"beta": 0.25, "name": EVIL}, "f"
    )


def test_report_is_one_harmless_page(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    dataset, selection = made()
    parts = Parts(
        points=np.random.default_rng(0).normal(size=(50, 2)),
        groups=([EVIL, "b"], np.arange(50) % 2),
        certificate={"radius": {"mean": 0.5}},
        manifest={"id": EVIL},
    )
    page = report(dataset, selection, parts, title=EVIL)
    assert "<script" not in page.lower()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "10 of 50 images kept (20.0%)" in page and "0.25" in page
    assert "<td>radius mean</td>" in page and page.count("20.0%") == 3


def test_map_picture_shows_kept_over_rest():
    points = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
    url = map_picture(points, np.array([2]), width=101, height=101)
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    middle = image[50, 50].astype(int)
    corner = image[96, 4].astype(int)
    assert middle[2] - middle[0] > 100 and abs(corner[0] - corner[2]) < 30 and corner.max() < 255
    assert image[20, 20].tolist() == [255, 255, 255]


def test_flat_leaves_out_what_no_table_shows():
    assert flat({"a": 1, "b": {"c_d": 2.5, "e": [1, 2]}, "f": None}) == {"a": 1, "b c d": 2.5}
