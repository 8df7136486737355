"""Untrusted names stay text in Markdown, HTML, charts and spreadsheets."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.components import charts, escape

EVIL = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("border", [escape.hypertext, escape.chart])
def test_no_tag_survives(border):
    shown = border(EVIL)
    assert "<" not in shown and ">" not in shown
    assert html.unescape(shown) == escape.plain(EVIL, 40)


@given(st.text(max_size=200))
def test_plain_is_one_visible_line(text):
    shown = escape.plain(text, 50)
    assert len(shown) <= 50 and "\n" not in shown and "\u202e" not in shown and "\0" not in shown


@given(st.text(alphabet="ab*_[]()`$:<>!#~|\\{}", max_size=80))
def test_markdown_leaves_no_active_character(text):
    shown = escape.markdown(text)
    assert re.sub(r"\\.", "", shown).strip("ab ") == ""
    assert re.sub(r"\\(.)", r"\1", shown) == escape.plain(text, 600)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1"])
def test_csv_cells_are_no_formulas(cell):
    line = charts.as_csv({"name": [cell]}).splitlines()[1]
    assert line.strip('"').startswith("'")


def test_csv_keeps_numbers_and_rows():
    assert charts.as_csv({"x": [1, -2.5], "y": ["a", "b,c"]}) == 'x,y\r\n1,a\r\n-2.5,"b,c"\r\n'
