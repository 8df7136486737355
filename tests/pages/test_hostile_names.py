"""A set whose every name is an attack: on every page the names stay text, in Markdown and in
charts."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

EVIL = "<img src=x onerror=alert(1)>"
PAGES = ("home", "explore", "gallery", "labels", "coverage", "select", "compare", "export")


@pytest.fixture(scope="module")
def hostile(digits):
    n = len(digits)
    ids = np.array([f"{EVIL}{i}[x](javascript:alert(1))" for i in range(n)])
    return dataclasses.replace(
        digits,
        ids=ids,
        classes=tuple(f"{EVIL}{c}" for c in range(10)),
        columns={f"{EVIL}column": np.array([f"{EVIL}{i % 3}" for i in range(n)])},
    )


@pytest.mark.parametrize("page", PAGES)
def test_names_stay_text(open_page, hostile, page):
    test = open_page(page, dataset=hostile, image=str(hostile.ids[0]))
    assert not test.exception
    for element in (
        *test.markdown,
        *test.caption,
        *test.info,
        *test.error,
        *test.title,
        *test.subheader,
    ):
        raw = re.sub(r"\\.", "", str(element.value))
        assert "<img" not in raw and "](javascript" not in raw, (page, element.value)
        assert not getattr(element, "allow_html", False) or "img" not in str(element.value), page
    for chart in test.get("plotly_chart"):
        spec = chart.proto.spec if hasattr(chart.proto, "spec") else str(chart.proto)
        assert "<img" not in spec, page


@pytest.mark.parametrize("view", ["Difficulty", "Probable errors", "Corrections"])
def test_labels_views_with_hostile_names(open_page, hostile, view):
    test = open_page("labels", dataset=hostile, labels_view=view)
    assert not test.exception and not test.error
    for element in (*test.markdown, *test.caption):
        assert "<img" not in re.sub(r"\\.", "", str(element.value))
