"""A selection limited to a filter: the images outside take no part, and the request says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_run import digits

from coreset_engine.core.errors import BadInput
from coreset_engine.core.filters import parse_filter
from coreset_engine.core.registry import METHODS
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.selection.select import choose, matched_digest, select


@pytest.fixture(scope="module")
def run():
    small = digits()
    time = np.array(["night" if i % 3 == 0 else "day" for i in range(300)])
    columns = {**small.dataset.columns, "time": time}
    return dataclasses.replace(small, dataset=dataclasses.replace(small.dataset, columns=columns))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_stays_inside(run, name):
    chosen = choose(name, run, count=20, where="time=night")
    assert len(chosen) == 20 and set((chosen.indices % 3).tolist()) == {0}
    assert (chosen.ids == run.dataset.ids[chosen.indices]).all()
    assert chosen.scores.shape == (300,) and np.isneginf(chosen.scores[1::3]).all()
    assert chosen.info["where"] == "time=night" and chosen.info["where_matched"] == 100


def test_a_rate_is_a_share_of_what_passes(run):
    assert len(choose("random", run, prune_rate=0.9, where="time=night")) == 10


def test_the_choice_is_that_of_a_source_without_the_others(run):
    """k-centre among the night images = k-centre with all others blocked."""
    others = run.dataset.ids[np.arange(300) % 3 != 0]
    one = choose("k_center", run, count=15, where="time=night")
    two = choose("k_center", run, count=15, never=others)
    assert one.ids.tolist() == two.ids.tolist()


def test_must_keep_stays_whether_it_passes_or_not(run):
    chosen = choose("random", run, count=10, where="time=night", must_keep=["digit-0001"])
    assert chosen.ids[0] == "digit-0001" and (chosen.indices[1:] % 3 == 0).all()


def test_never_outside_the_filter_is_no_error(run):
    never = ["digit-0001", "digit-0003"]
    chosen = choose("random", run, count=99, where="time=night", never=never)
    assert "digit-0003" not in chosen.ids and len(chosen) == 99


def test_constraints_hold_inside(run):
    chosen = choose("random", run, count=20, where="time=night", quotas="class=equal")
    counts = np.bincount(run.dataset.labels[chosen.indices], minlength=10)
    assert counts.tolist() == [2] * 10
    weights = np.arange(300.0)
    cheap = choose("random", run, count=20, where="time=night", costs=weights, budget=400)
    assert weights[cheap.indices].sum() <= 400


def test_the_record_makes_the_same_selection(run):
    request = SelectionRequest.of("k_center", count=12, where="time=night and not class=3")
    assert SelectionRequest.from_json(request.as_json()) == request and request.constrained
    first = select(request, run)
    again = select(SelectionRequest.from_manifest("k_center", first.params), run)
    assert again.ids.tolist() == first.ids.tolist()
    night = np.arange(300) % 3 == 0
    assert first.info["where_ids_sha256"] == matched_digest(
        run.dataset.ids, night & (run.dataset.labels != 3)
    )
    assert hash(request) == hash(SelectionRequest.from_json(request.as_json()))


@pytest.mark.parametrize(
    "where, message",
    [
        ("time=noon", "leaves none of the 300 images: 'time' holds day"),
        ("tiem=night", "did you mean 'time'"),
        ("time=", "a value was expected"),
    ],
)
def test_bad_filters_say_why(run, where, message):
    with pytest.raises(BadInput, match=message):
        choose("random", run, count=10, where=where)


def test_excluded_images_stay_out(run):
    run = dataclasses.replace(run)
    run.excluded_ids = ("digit-0000", "digit-0001")
    chosen = choose("random", run, count=99, where="time=night")
    assert "digit-0000" not in chosen.ids and chosen.info["excluded"] == 1


def test_more_than_passes_is_refused(run):
    with pytest.raises(BadInput, match="100"):
        choose("random", run, count=101, where=parse_filter("time=night"))
