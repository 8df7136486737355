"""Filters: the text form, its errors, and what they leave of columns written out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.core.filter_columns import (
    Column,
    apply_filter,
    encode,
    require_some,
    unknown_column,
)
from coreset_engine.core.filters import Filter, all_of, filter_of, parse_filter


class Table:
    """Six images with one column of each kind."""

    def __init__(self):
        self.columns = {
            "time": encode("time", np.array(["night", "day", "", "night", "dusk", "day"])),
            "width": encode("width", np.array([100, 200, 300, 400, np.nan, 600])),
            "taken": encode(
                "taken",
                np.array(
                    [
                        "2024-01-01",
                        "2024-01-02T09:30:00",
                        "2024-01-02T23:59:59",
                        "2024-01-03",
                        "",
                        "2023-12-31",
                    ]
                ),
            ),
            "tag": Column(
                "tag",
                "tags",
                np.array([[1, 0, 0, 1, 0, 0], [1, 1, 0, 0, 0, 0]], bool),
                np.array(["blurry", "new"]),
            ),
            "code": encode("code", np.array(["0007", "0010", "7", "0007", "1", "2"])),
            "my col": encode("my col", np.array(list("abcabc"))),
        }

    def column(self, name):
        if name not in self.columns:
            raise unknown_column(name, list(self.columns))
        return self.columns[name]

    def names(self):
        return list(self.columns)

    def __contains__(self, name):
        return name in self.columns


def left(text):
    return np.flatnonzero(apply_filter(parse_filter(text), Table()).mask).tolist()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("time=night", [0, 3]),
        ("time == night", [0, 3]),
        ("time is night", [0, 3]),
        ("time!=night", [1, 4, 5]),  # image 2 has no time and does not pass
        ("time is not night", [1, 4, 5]),
        ("not time=night", [1, 2, 4, 5]),  # the complement holds image 2
        ("time in (night, dusk)", [0, 3, 4]),
        ("time not in (night, dusk)", [1, 5]),
        ("time is missing", [2]),
        ("time is not missing", [0, 1, 3, 4, 5]),
        ("time contains IGH", [0, 3]),
        ("time ~ a", [1, 5]),
        ("width>=300", [2, 3, 5]),
        ("width>300", [3, 5]),
        ("width<200", [0]),
        ("width<=200", [0, 1]),
        ("width=200.0", [1]),
        ("width in 200..400", [1, 2, 3]),
        ("width in 200..<400", [1, 2]),
        ("width in 200<..<400", [2]),
        ("width is missing", [4]),
        ("taken=2024-01-02", [1, 2]),
        ("taken>2024-01-02", [3]),
        ("taken>=2024-01-02", [1, 2, 3]),
        ("taken<=2024-01-02", [0, 1, 2, 5]),
        ("taken<2024-01-02", [0, 5]),
        ("taken=2024", [0, 1, 2, 3]),
        ("taken in 2023-12..2024-01-01", [0, 5]),
        ("tag=blurry", [0, 3]),
        ("tag!=blurry", [1, 2, 4, 5]),
        ("tag in (blurry, new)", [0, 1, 3]),
        ("tag is missing", [2, 4, 5]),
        ("tag=blurry and tag=new", [0]),
        ("code=0007", [0, 3]),  # leading zeros are text: 7 is another code
        ('"my col" = a', [0, 3]),
        ("time=night or width>=300 and time=day", [0, 3, 5]),
        ("(time=night or width>=300) and time=day", [5]),
        ("not (time=night or time=day)", [2, 4]),
        ("TIME=night".replace("TIME", "time") + " AND width>100", [3]),
    ],
)
def test_what_a_filter_leaves(text, expected):
    assert left(text) == expected
    again = parse_filter(parse_filter(text).text)
    assert np.flatnonzero(apply_filter(again, Table()).mask).tolist() == expected
    assert Filter.from_json(json.loads(json.dumps(again.as_json()))) == again
    assert len({again, parse_filter(again.text)}) == 1


@pytest.mark.parametrize(
    "one, text",
    [
        (Filter.equals("width", 512), "width=512"),
        (Filter.equals("width", 512.0), "width=512"),
        (Filter.equals("width", np.int64(512)), "width=512"),
        (Filter.equals("ok", True), "ok=true"),
        (Filter.one_of("camera", ["A7", "EOS R5"]), 'camera in (A7, "EOS R5")'),
        (Filter.between("w", 1, 2), "w in 1..2"),
        (Filter.between("w", None, 2), "w<=2"),
        (Filter.tagged("new"), "tag=new"),
        (~Filter.missing("and"), 'not "and" is missing'),
        (Filter.equals("a", 'say "x"'), 'a="say \\"x\\""'),
        (Filter.equals("p", "a..b"), 'p="a..b"'),
        (Filter.equals("a", 1) & Filter.equals("b", 2) & Filter.equals("a", 1), "a=1 and b=2"),
        ((Filter.equals("a", 1) | Filter.equals("b", 2)) & Filter.missing("c"), None),
        (~(Filter.equals("a", 1) | Filter.equals("b", 2)), "not (a=1 or b=2)"),
        (Filter.equals("a", ""), 'a=""'),
    ],
)
def test_the_text_form_reads_back(one, text):
    if text is not None:
        assert one.text == text
    assert parse_filter(one.text) == one


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the filter is empty"),
        ("   ", "the filter is empty"),
        ("time", "a test such as"),
        ("time=", "a value was expected, got the end"),
        ("=night", "a column was expected"),
        ("time=nig ht", "got 'ht'; quote values with spaces"),
        ("time=night and", "a column was expected, got the end"),
        ("time=night &&", "'&&'"),
        ("(time=night", "')' was expected"),
        ("time in (a, b", "',' or ')'"),
        ("time in a", "'..', as in 512..1024"),
        ("time='night", "a quote is not closed"),
        ("__import__('os')", "a test such as"),
        ("(" * 60 + "a=1" + ")" * 60, "nested"),
    ],
)
def test_what_cannot_be_read_says_where(text, message):
    with pytest.raises(BadInput, match="time=night and width>=512|nested") as caught:
        parse_filter(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("widht>=3", "did you mean 'width'?"),
        ("width=wide", "holds numbers, which 'wide' is not"),
        ("taken>=yesterday", "holds times, which 'yesterday' is not"),
        ("tag>=a", "tags, which have no order"),
    ],
)
def test_a_column_that_cannot_be_asked_so(text, message):
    with pytest.raises(BadInput) as caught:
        apply_filter(parse_filter(text), Table())
    assert message in str(caught.value)


def test_a_filter_that_leaves_nothing_says_what_there_is():
    table = Table()
    with pytest.raises(BadInput) as caught:
        require_some(apply_filter(parse_filter("time=nigth"), table), table)
    message = str(caught.value)
    assert "none of the 6 images" in message and "did you mean 'night'?" in message
    assert "day (2), night (2), dusk (1), 1 missing" in message
    with pytest.raises(BadInput, match="'width' runs from 100 to 600, 1 missing"):
        require_some(apply_filter(parse_filter("width>1000"), table), table)


def test_another_value_is_spelt_as_it_is_written():
    for text in ("time!=night", "time!=night and width>=512", "width<9 or time!=night"):
        assert parse_filter(text).text == text
        assert parse_filter(parse_filter(text).text) == parse_filter(text)
    assert parse_filter("not (time!=night)").text == "not (time!=night)"


def test_a_deep_filter_is_spelt_part_by_part():
    """Forty levels: a spelling that visited each inner level twice would never end."""
    text = "a=0"
    for level in range(40):
        text = f"b={level} or ({text})" if level % 2 else f"b={level} and ({text})"
    spelt = text.replace("and (a=0)", "and a=0", 1)
    assert parse_filter(text).text == spelt and parse_filter(spelt) == parse_filter(text)


def test_a_half_missing_column_says_whether_it_counts():
    found = apply_filter(parse_filter("time=night"), Table())
    assert found.missing == {"time": (1, 0)} and found.matched == 2
    assert (
        "missing for 1 of 6 images, which does not pass (add: or time is missing)" in found.sentence
    )
    found = apply_filter(parse_filter("not time=night"), Table())
    assert found.missing == {"time": (1, 1)} and "which passes" in found.sentence


def test_kinds_of_columns():
    assert encode("a", np.array([1, 2])).kind == "number"
    assert encode("a", np.array(["1", "2.5", ""])).kind == "number"
    assert encode("a", np.array(["1", "x"])).kind == "text"
    assert encode("a", np.array(["nan", "None", ""])).is_missing.all()
    flag = encode("a", np.array([True, False]))
    assert flag.texts().tolist() == ["true", "false"]
    moment = encode("a", np.array(["2024-01-31T10:00:00"], "M8[s]"))
    assert moment.kind == "time" and moment.texts().tolist() == ["2024-01-31T10:00:00"]
    assert encode("a", np.array(["1e999", "1"])).kind == "text"
    tags = Table().columns["tag"]
    assert tags.texts().tolist() == ["blurry new", "new", "", "blurry", "", ""]
    assert tags.take(np.array([3, 0])).texts().tolist() == ["blurry", "blurry new"]


def test_filters_from_what_callers_have():
    one = Filter.equals("a", 1)
    assert filter_of("a=1") == filter_of(one.as_json()) == filter_of(one) == one
    assert filter_of(None) is None and all_of([None, None]) is None
    assert all_of([one, None, one]) == Filter("and", parts=(one,))
    for wrong in (3, {"op": "exec"}, {"op": "is"}, {"op": "and", "parts": []}, {"x": 1}):
        with pytest.raises(BadInput):
            filter_of(wrong)
