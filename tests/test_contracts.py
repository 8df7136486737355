"""One suite over every registered method: what every Selection guarantees."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_run import digits, make_run, reordered

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.registry import METHODS, load
from coreset_engine.selection.budget import kept_count
from coreset_engine.selection.select import choose

every = pytest.mark.parametrize("name", sorted(METHODS))
# Methods whose purpose is that no two kept images are alike.
DIVERSE = {
    "k_center",
    "kmedoids",
    "typiclust",
    "probcover",
    "facility_location",
    "facility_location_full",
    "maxherding",
    "uherding",
    "badge",
    "auto",
} & set(METHODS)


@pytest.fixture(scope="module")
def run():
    return digits()


@every
@pytest.mark.parametrize("p", [0.0, 0.37, 0.5, 0.9, 0.99, 0.9999])
def test_keeps_exactly_k_different_images(run, name, p):
    chosen = choose(name, run, prune_rate=p)
    assert len(chosen) == len(set(chosen.ids)) == kept_count(300, p)
    assert (chosen.ids == run.dataset.ids[chosen.indices]).all()
    assert chosen.scores.shape == (300,) and not np.isnan(chosen.scores).any()
    assert (chosen.weights >= 0).all() and chosen.source_key == "small" and chosen.info["reason"]


@every
def test_same_seed_same_choice(run, name):
    one, two = (choose(name, run, prune_rate=0.8, seed=3) for _ in range(2))
    assert one.ids.tolist() == two.ids.tolist() and np.array_equal(one.weights, two.weights)


@every
def test_input_order_does_not_matter(run, name):
    order = np.random.default_rng(5).permutation(300)
    one = choose(name, run, prune_rate=0.8)
    two = choose(name, reordered(run, order), prune_rate=0.8)
    # Sums in another order differ in the last bit, which may turn a tie: at most one image in
    # twenty.
    assert len(set(one.ids) & set(two.ids)) >= 57, len(set(one.ids) & set(two.ids))


@pytest.fixture(scope="module")
def tied():
    """Four copies of each of 60 digits, and scores of few values: most comparisons are exact
    ties."""
    few = digits(60)
    copies = np.tile(np.arange(60), 4)
    ids = np.array([f"copy-{i:03d}" for i in range(240)])
    run = make_run(np.round(few.vectors[copies] / 8), few.labels[copies], ids)

    def coarse(record, names):
        values = {name: np.round(2 * getattr(record, name)[copies]) / 2 for name in names}
        return dataclasses.replace(record, **values)

    names = ("aum", "forgetting", "el2n", "entropy", "grand", "dyn_unc", "tdds", "loss", "margins")
    names = (*names, "dual", "mean_probability")
    return dataclasses.replace(
        run,
        pseudo_dynamics=coarse(few.pseudo_dynamics, names),
        true_dynamics=coarse(few.true_dynamics, names),
        coverage=coarse(few.coverage, ("score", "coverage", "redundancy")),
    )


@pytest.mark.integration
@every
@pytest.mark.parametrize("draw", range(3))
def test_with_many_exact_ties_the_order_of_the_rows_changes_nothing(tied, name, draw):
    order = np.random.default_rng(draw).permutation(240)
    for rate in (0.5, 0.9):
        one = choose(name, tied, prune_rate=rate, seed=draw)
        two = choose(name, reordered(tied, order), prune_rate=rate, seed=draw)
        assert set(one.ids) == set(two.ids)


@every
def test_nested_rankings_are_prefixes(run, name):
    row = METHODS[name]
    small, large = (load(row.function)(run, k, load(row.config)(), 0) for k in (30, 90))
    if small.nested:
        assert small.order[:30].tolist() == large.order[:30].tolist()


@every
def test_a_constant_added_to_difficulty_changes_nothing(run, name):
    moved = dataclasses.replace(
        run.pseudo_dynamics,
        **{
            key: getattr(run.pseudo_dynamics, key) + np.float32(8)
            for key in ("aum", "el2n", "grand", "entropy", "tdds")
        },
    )
    other = dataclasses.replace(run, pseudo_dynamics=moved)
    same = set(choose(name, run, prune_rate=0.7).ids) & set(choose(name, other, prune_rate=0.7).ids)
    assert len(same) >= 88, "float32 rounding may turn near ties, no more"


@every
def test_must_keep_and_never_are_obeyed(run, name):
    keep = run.dataset.ids[[5, 50, 250]]
    never = run.dataset.ids[:200:7]
    never = [key for key in never if key not in set(keep)]
    chosen = choose(name, run, prune_rate=0.9, must_keep=keep, never=never)
    assert (
        chosen.ids[:3].tolist() == keep.tolist()
        and not set(chosen.ids) & set(never)
        and len(chosen) == 30
    )


@every
def test_never_can_leave_exactly_k(run, name):
    chosen = choose(name, run, prune_rate=0.9, never=run.dataset.ids[30:])
    assert set(chosen.ids) == set(run.dataset.ids[:30])


@pytest.fixture(scope="module")
def twice():
    """150 digits, each there twice."""
    half = digits(150)
    return make_run(
        np.vstack([half.vectors] * 2),
        np.tile(half.labels, 2),
        np.array([f"i{i}" for i in range(300)]),
    )


@pytest.mark.integration
@pytest.mark.parametrize("name", sorted(DIVERSE))
def test_of_two_equal_images_both_are_kept_only_when_they_must(twice, name):
    chosen = choose(name, twice, prune_rate=0.6)
    assert len(set(chosen.indices % 150)) == 120


@every
def test_what_a_run_lacks_is_named(run, name):
    class Bare:
        dataset = run.dataset
        seed = 0
        vectors = run.vectors
        excluded_ids = ()

        def __getattr__(self, what):
            raise Missing(f"{what} is not here; `score` makes it.")

    needs = set(METHODS[name].needs) - {"vectors"}
    if needs:
        with pytest.raises(Missing, match="score"):
            choose(name, Bare(), prune_rate=0.5)
    else:
        assert len(choose(name, Bare(), prune_rate=0.5)) == 150


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in sorted(METHODS)
        if "labels" in {field.name for field in dataclasses.fields(load(METHODS[name].config))}
    ],
)
def test_true_labels_that_are_not_there_are_asked_for_in_one_sentence(run, name):
    bare = dataclasses.replace(
        run, dataset=dataclasses.replace(run.dataset, labels=None), true_dynamics=None
    )
    bare.dynamics_at = lambda *, labels="pseudo", **params: (
        bare.labels if labels == "true" else run.pseudo_dynamics
    )
    score = {"score": "el2n"} if name in ("d2", "infomax") else {}
    score |= {"difficulty": 1.0} if name == "mix" else {}
    with pytest.raises(Missing, match="no true labels"):
        choose(name, bare, prune_rate=0.5, labels="true", **score)


@every
def test_the_row_says_what_a_person_needs_to_know(name):
    row = METHODS[name]
    assert row.summary and row.family and row.cost and dataclasses.is_dataclass(load(row.config))
    assert row.paper or row.family == "baseline" or name == "auto"
    assert load(row.function).__doc__


def test_unknown_method_and_knob_get_one_sentence(run):
    with pytest.raises(BadInput, match="Did you mean 'random'"):
        choose("randon", run, prune_rate=0.5)
    with pytest.raises(BadInput, match="unknown parameter 'gamma'"):
        choose("elfs", run, prune_rate=0.5, gamma=1)
