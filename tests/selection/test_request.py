"""A SelectionRequest reads what people write, refuses the rest in words, and survives JSON."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import digits

from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.select import select
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import QuotaSpec, SelectionRequest

of = SelectionRequest.of


@pytest.fixture(scope="module")
def run():
    return digits()


def test_values_are_converted_by_their_types():
    asked = of(
        "ELFS", "0.9", beta="0.4", seed="3", near_duplicates="0.02", costs="cost", budget="3"
    )
    assert (
        asked.method == "elfs" and asked.budget == Budget(0.9) and asked.params == (("beta", 0.4),)
    )
    assert (asked.seed, asked.near_duplicates, asked.cost_budget) == (3, 0.02, 3.0)
    assert of("zcore", n_neighbours="50").params == (("n_neighbours", 50),)
    assert of("random", count="12").budget.count == 12
    assert of("random").budget == Budget(0.9)


def test_one_id_is_one_id_and_a_json_list_is_a_list():
    assert of("random", must_keep="one.png").must_keep == ("one.png",)
    assert of("random", never='["a.png", "b.png"]').never == ("a.png", "b.png")
    assert of("random", must_keep="[1].png").must_keep == ("[1].png",)
    assert of("random", must_keep="[1]").must_keep == ("[1]",)
    assert of("random", must_keep=np.array(["a", "b", "a"])).must_keep == ("a", "b")
    assert of("random", must_keep="").must_keep == of("random", must_keep=None).must_keep == ()
    for wrong in (7, {"a": 1}):
        with pytest.raises(BadInput, match="must be an id or a list of ids"):
            of("random", must_keep=wrong)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("class=equal", QuotaSpec("class", spread="equal")),
        ("cluster=10", QuotaSpec("cluster", counts=10)),
        ("class:cat=10", QuotaSpec("class", counts={"cat": 10})),
        ('{"by": "class", "at_most": {"cat": 2}}', QuotaSpec("class", at_most={"cat": 2})),
        ('[{"by": "folder", "at_least": 1}]', QuotaSpec("folder", at_least=1)),
    ],
)
def test_quotas_from_text(text, spec):
    assert of("random", quotas=text).quotas == (spec,)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (dict(quotas="class"), "must read COLUMN=equal"),
        (dict(quotas="class=wide"), "must read COLUMN=equal"),
        (dict(quotas="{1"), "is no JSON"),
        (dict(quotas=3), "must be a quota or a list"),
        (dict(quotas={"by": "class", "counts": {"a": 1.5}}), "whole number >= 0"),
        (dict(at_least="cluster=few"), "must read N or COLUMN=N"),
        (dict(near_duplicates="near"), "near_duplicates=near must be a distance"),
        (dict(groups=""), "groups is not a column"),
        (dict(groups=3), "must be a column's name or one value per image"),
        (dict(costs="cost"), "costs and budget need each other"),
        (dict(budget=3), "costs and budget need each other"),
        (dict(seed="x"), "seed='x' must be a whole number"),
        (dict(prune_rate=0.5, count=3), "give one of them"),
        (dict(prune_rate=1), r"must lie in \[0, 1\)"),
        (dict(gamma=1), "unknown parameter 'gamma'; known: none.$"),
        (dict(exponent=3), r"--set coverage.exponent=3, in Python Run\(..., coverage="),
        (dict(margin="probability"), "--set dynamics.margin=probability"),
        (dict(preset="paper"), "unknown parameter 'preset'"),
        (dict(n_heads=50), "--set temi.n_heads=50"),
        (dict(n_samples=5), "--n-samples"),
    ],
)
def test_what_cannot_be_read_is_refused_with_value_and_remedy(values, sentence):
    with pytest.raises(BadInput, match=sentence):
        of("random", **values)


names = st.text(min_size=1, max_size=6)
bounds = st.one_of(st.none(), st.integers(0, 9), st.dictionaries(names, st.integers(0, 9)))
quotas = st.builds(
    lambda by, least, spread: dict(by=by, at_least=least, spread=spread),
    names,
    bounds,
    st.sampled_from(["", "equal", "proportional"]),
)


@given(
    budget=st.one_of(
        st.builds(dict, prune_rate=st.integers(0, 999).map(lambda m: m / 1000)),
        st.builds(dict, count=st.integers(1, 10**6)),
    ),
    keep=st.lists(names, max_size=4),
    wanted=st.lists(quotas, max_size=3),
    groups=st.one_of(st.none(), names, st.lists(st.integers(0, 3), min_size=1)),
    distance=st.one_of(st.none(), st.floats(0, 2)),
    seed=st.one_of(st.none(), st.integers(0, 99)),
    beta=st.floats(0, 1),
)
def test_json_brings_back_the_same_request(budget, keep, wanted, groups, distance, seed, beta):
    limits = dict(quotas=wanted, groups=groups, near_duplicates=distance, seed=seed)
    asked = of("elfs", **budget, must_keep=tuple(keep), **limits, beta=beta)
    again = SelectionRequest.from_json(json.loads(json.dumps(asked.as_json())))
    assert again == asked and hash(again) == hash(asked)


def test_a_count_keeps_that_many_and_is_asked_for_again_by_its_manifest(run):
    made = select("elfs", run, count=37)
    assert len(made) == 37 and made.params["count"] == 37
    assert made.params["prune_rate"] == pytest.approx(1 - 37 / 300)
    again = SelectionRequest.from_manifest(made.method, made.params)
    assert select(again, run).ids.tolist() == made.ids.tolist()
    with pytest.raises(BadInput, match="count=301 is more than the 300 images"):
        select("random", run, count=301)


def test_messages_name_the_budget_that_was_used(run):
    ids = run.dataset.ids.tolist()
    with pytest.raises(BadInput, match="raise the count"):
        select("random", run, count=2, must_keep=ids[:3])
    with pytest.raises(BadInput, match="lower the prune_rate"):
        select("random", run, 0.99, must_keep=ids[:9])


def test_at_least_n_of_every_cluster_or_all_it_has(run):
    clusters = run.pseudo_labels.labels
    found = np.bincount(clusters[select("blindcs", run, count=60, at_least=4).indices])
    assert (found >= np.minimum(4, np.bincount(clusters))).all() and found.sum() == 60
    found = np.bincount(run.labels[select("blindcs", run, count=60, at_least="class=5").indices])
    assert (found >= 5).all()
    with pytest.raises(BadInput, match="ask for 70 images, but only 60 are to be kept"):
        select("random", run, count=60, at_least="class=7")


def test_every_method_meets_a_request_as_it_meets_keywords(run):
    for method in ("blindcs", "kmedoids", "ccs"):
        asked = of(method, 0.8, must_keep=run.dataset.ids[5], quotas="class=equal")
        by_words = select(
            method,
            run,
            prune_rate=0.8,
            must_keep=run.dataset.ids[5],
            quotas={"by": "class", "spread": "equal"},
        )
        assert select(asked, run).ids.tolist() == by_words.ids.tolist()
    with pytest.raises(BadInput, match="describes the whole selection"):
        select(asked, run, 0.5)
    assert dataclasses.replace(asked, method="random").method == "random"
