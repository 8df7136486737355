"""Quotas, whole groups, budgets, near-duplicates: obeyed by every method, met together, refused in
one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import digits, make_run

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.registry import METHODS
from coreset_engine.selection.constraints import families, shares_of
from coreset_engine.selection.select import choose

every = pytest.mark.parametrize("name", sorted(METHODS))


@pytest.fixture(scope="module")
def run():
    return digits()


def counts(run, chosen, values):
    names, sizes = np.unique(np.asarray(values)[chosen.indices], return_counts=True)
    return dict(zip(names.tolist(), sizes.tolist()))


@every
def test_quotas_of_every_kind_are_obeyed(run, name):
    patient = run.dataset.columns["patient"]
    folder = [path.rsplit("/", 1)[0] for path in run.dataset.paths]
    chosen = choose(name, run, prune_rate=0.8, quotas={"by": "class", "spread": "equal"})
    assert set(counts(run, chosen, run.labels).values()) == {6}
    chosen = choose(
        name,
        run,
        prune_rate=0.8,
        quotas={"by": "cluster", "at_least": {"3": 9}, "at_most": {"4": 2}},
    )
    found = counts(run, chosen, run.pseudo_labels.labels)
    assert found[3] >= 9 and found.get(4, 0) <= 2 and len(chosen) == 60
    chosen = choose(name, run, prune_rate=0.8, quotas={"by": "folder", "counts": {"/images/7": 11}})
    assert counts(run, chosen, folder)["/images/7"] == 11 and len(chosen) == 60
    chosen = choose(
        name,
        run,
        prune_rate=0.8,
        quotas={"by": "patient", "at_most": {key: 1 for key in set(patient)}},
    )
    assert max(counts(run, chosen, patient).values()) == 1 and len(chosen) == 60


@every
def test_groups_come_whole(run, name):
    chosen = choose(name, run, prune_rate=0.8, groups="patient")
    sizes = counts(run, chosen, run.dataset.columns["patient"])
    assert set(sizes.values()) == {3} and len(chosen) == 60


@every
def test_the_budget_is_kept_and_used(run, name):
    cost = run.dataset.columns["cost"]
    chosen = choose(name, run, prune_rate=0.8, costs="cost", budget=100.0)
    spent = cost[chosen.indices].sum()
    assert spent <= 100 and (len(chosen) == 60 or spent > 95), (len(chosen), spent)


@pytest.fixture(scope="module")
def doubled():
    """150 digits, each with a near-duplicate 150 places on."""
    half = digits(150)
    noise = np.random.default_rng(0).normal(0, 1e-3, (150, 64))
    return make_run(
        np.vstack([half.vectors, half.vectors + noise]),
        np.tile(half.labels, 2),
        np.array([f"i{i}" for i in range(300)]),
    )


@every
def test_near_duplicates_count_once(doubled, name):
    chosen = choose(name, doubled, prune_rate=0.6, near_duplicates=1e-4)
    assert len(set((chosen.indices % 150).tolist())) == 120


@every
def test_all_constraints_at_once(run, name):
    keep = run.dataset.ids[[0, 1, 2]]
    never = run.dataset.ids[[30, 31, 32]]
    chosen = choose(
        name,
        run,
        prune_rate=0.7,
        must_keep=keep,
        never=never,
        groups="patient",
        costs="cost",
        budget=200,
        quotas=[{"by": "class", "at_most": {"0": 15}}, {"by": "cluster", "at_least": {"1": 3}}],
    )
    assert set(keep) <= set(chosen.ids) and not set(never) & set(chosen.ids)
    assert set(counts(run, chosen, run.dataset.columns["patient"]).values()) == {3}
    assert run.dataset.columns["cost"][chosen.indices].sum() <= 200
    assert counts(run, chosen, run.labels).get(0, 0) <= 15
    assert counts(run, chosen, run.pseudo_labels.labels)[1] >= 3


@every
def test_the_next_batch_is_the_same_call_with_must_keep(run, name):
    first = choose(name, run, prune_rate=0.9)
    second = choose(name, run, prune_rate=0.8, must_keep=first.ids)
    assert second.ids[:30].tolist() == first.ids.tolist() and len(set(second.ids)) == 60


def test_what_is_given_is_not_chosen_around_again():
    """A method that covers must look at what is labelled already: it then avoids that region."""
    run = digits()
    labelled = run.dataset.ids[run.pseudo_labels.labels == 2]
    share = len(labelled) / 300
    for name in ("k_center", "kmedoids", "facility_location", "typiclust", "probcover"):
        chosen = choose(name, run, prune_rate=1 - share - 0.1, must_keep=labelled)
        new = chosen.indices[len(labelled) :]
        assert (run.pseudo_labels.labels[new] == 2).sum() == 0, name


def test_a_quota_is_filled_by_the_method_not_at_random(run):
    """Of the images that quotas bring in, the method's own order decides: k-center goes on beyond
    its first k."""
    plain = choose("k_center", run, prune_rate=0.5).ids.tolist()
    chosen = choose("k_center", run, prune_rate=0.9, quotas={"by": "class", "spread": "equal"})
    assert len(set(chosen.ids) & set(plain)) >= 27


@pytest.mark.parametrize(
    ("constraint", "sentence"),
    [
        (
            dict(quotas={"by": "class", "counts": {"3": 500}}),
            "asks for 500 of '3', but only .* are allowed",
        ),
        (
            dict(quotas={"by": "class", "at_least": {"3": 20, "4": 20}}),
            "ask for 40 images, but only 30 are to be kept",
        ),
        (
            dict(quotas={"by": "class", "at_least": {"3": 3}, "at_most": {"3": 2}}),
            "at least 3 and at most 2",
        ),
        (
            dict(quotas={"by": "class", "at_most": {str(i): 2 for i in range(10)}}),
            "allow at most 20 images, but 30",
        ),
        (
            dict(quotas={"by": "colour", "at_most": {"red": 1}}),
            "'colour' is unknown; choose one of class, cluster",
        ),
        (dict(quotas={"by": "class", "at_most": {"12": 1}}), "'12' does not occur"),
        (dict(quotas={"by": "class", "at_most": {"1": -1}}), "whole number >= 0"),
        (dict(quotas={"class": 3}), "a quota has 'by'"),
        (dict(quotas={"by": "class", "spread": "wide"}), "choose equal or proportional"),
        (dict(groups=["a"]), "give one value for each of the 300"),
        (dict(groups=["all"] * 300), "no image fits"),
        (dict(costs="cost"), "costs and budget need each other"),
        (dict(costs="price", budget=3), "'price', which is not a column"),
        (dict(costs="patient", budget=3), "values that are not numbers"),
        (dict(costs=[1.0], budget=3), "300 finite numbers"),
        (dict(costs="cost", budget=0.5), "no image fits"),
        (dict(costs="cost", budget=float("nan")), "budget=nan must be a finite number"),
        (dict(near_duplicates=2.0), "leave 1 distinct images, but 30"),
        (dict(near_duplicates=-1.0), "must be a distance of at least 0"),
        (
            dict(costs="cost", budget=5, must_keep=[f"digit-{i:04d}" for i in range(9)]),
            "must_keep alone costs",
        ),
        (
            dict(groups="patient", must_keep=["digit-0000"], never=["digit-0001"]),
            "an image of must_keep and one of never",
        ),
        (dict(must_keep=["digit-0000"], never=["digit-0000"]), "in must_keep and in never"),
        (
            dict(
                quotas={"by": "patient", "at_most": {"p0": 1}},
                must_keep=["digit-0000", "digit-0001"],
            ),
            "has 2 of 'p0'",
        ),
        (
            dict(
                quotas={"by": "class", "at_least": {"0": 20}},
                groups="patient",
                costs="cost",
                budget=20,
            ),
            "leave room for",
        ),
    ],
)
def test_a_conflict_is_named_in_one_sentence(run, constraint, sentence):
    with pytest.raises(BadInput, match=sentence) as caught:
        choose("random", run, prune_rate=0.9, **constraint)
    assert str(caught.value).count(". ") <= 1 and "\n" not in str(caught.value)


def test_folder_needs_files(run):
    import dataclasses

    bare = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, paths=None))
    with pytest.raises(Missing, match="needs images that are files"):
        choose("random", bare, prune_rate=0.5, groups="folder")


def test_families_are_chained(run):
    names = families(run.neighbours, 0.0)
    assert len(np.unique(names)) == 300
    assert len(np.unique(families(run.neighbours, 2.0))) < 5


@pytest.mark.parametrize(("how", "shares"), [("equal", [1, 5, 6]), ("proportional", [0, 4, 8])])
def test_spreading(how, shares):
    assert shares_of(np.array([1, 10, 20]), 12, how).tolist() == shares
