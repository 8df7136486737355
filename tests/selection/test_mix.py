"""`mix` by hand: four images on a line of distances, and each term on its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_run import digits

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.selection.kernels.greedy import Links
from coreset_engine.selection.kernels.weighted_greedy import Coupled, weighted_greedy
from coreset_engine.selection.methods.mix import MixConfig, mix, percentile
from coreset_engine.selection.select import choose

NONE = np.empty(0, np.int64)


@pytest.fixture(scope="module")
def run():
    return digits()


def links(pairs, n):
    """Symmetric graph of {(i, j): distance}."""
    rows = [[] for _ in range(n)]
    for (i, j), distance in pairs.items():
        rows[i].append((j, distance))
        rows[j].append((i, distance))
    starts = np.cumsum([0] + [len(row) for row in rows])
    flat = [item for row in rows for item in row]
    return Links(
        starts.astype(np.int64),
        np.array([to for to, _ in flat], np.int64),
        np.array([distance for _, distance in flat], np.float64),
    )


def test_diversity_by_hand():
    """fixed 0.9, 0.8, 0.5, 0; 0-1 lie 0.1 apart, 1-2 0.5, 2-3 0.8; far = 1, weight 1.

    Step 1: 0 has 0.9 + 1. Now 1 is worth 0.8 + 0.1 = 0.9, 2 is not linked to 0: 0.5 + 1 = 1.5,
    3: 0 + 1. Step 2: 2. Now 1: 0.8 + min(0.1, 0.5) = 0.9, 3: 0 + 0.8. Step 3: 1, step 4: 3.
    """
    graph = links({(0, 1): 0.1, (1, 2): 0.5, (2, 3): 0.8}, 4)
    coupled = Coupled(1.0, graph, 1.0, 0.0, np.zeros(4, np.int64), 4.0)
    order, apart, balance = weighted_greedy(np.array([0.9, 0.8, 0.5, 0.0]), coupled, NONE, 4)
    assert order.tolist() == [0, 2, 1, 3]
    assert apart.tolist() == [1.0, 0.1, 1.0, 0.8] and balance.tolist() == [0, 0, 0, 0]


def test_balance_by_hand():
    """Groups a a a b b, 2 of each wanted, weight 1.

    0: 1 + 1. Then b's 0.5 + 1 beats a's 0.75 + 0.5, a's 1.25 beats b's 0.25 + 0.5, and b's 0.75
    beats a's 0.5 + 0. What is left of a would add nothing to balance.
    """
    coupled = Coupled(0.0, links({}, 5), 1.0, 1.0, np.array([0, 0, 0, 1, 1]), 2.0)
    fixed = np.array([1.0, 0.75, 0.5, 0.5, 0.25])
    order, _, balance = weighted_greedy(fixed, coupled, NONE, 4)
    assert order.tolist() == [0, 3, 1, 4]
    assert balance.tolist() == [1.0, 0.5, 0.0, 1.0, 0.5]


def reference(fixed, coupled, first, k):
    """Greedy by definition: every gain is recomputed at every step."""
    n = len(fixed)
    neighbours = np.full((n, n), np.inf)
    for i in range(n):
        for e in range(coupled.links.starts[i], coupled.links.starts[i + 1]):
            neighbours[i, coupled.links.to[e]] = coupled.links.weight[e]
    order = []
    for step in range(k):
        if step < len(first):
            order.append(int(first[step]))
            continue
        gains = []
        for i in range(n):
            distance = min([neighbours[i, j] for j in order], default=np.inf)
            kept = sum(coupled.group[j] == coupled.group[i] for j in order)
            gains.append(
                fixed[i]
                + coupled.diversity * min(1.0, distance / coupled.far)
                + coupled.balance * max(0.0, 1 - kept / coupled.wanted)
                if i not in order
                else -np.inf
            )
        order.append(int(np.argmax(gains)))
    return order


@pytest.mark.parametrize("seed", range(8))
def test_the_lazy_greedy_is_the_greedy(seed):
    rng = np.random.default_rng(seed)
    n = 40
    # multiples of 1/8 add up exactly in any order, and tie often
    pairs = {
        (i, j): float(rng.integers(0, 9)) / 8
        for i in range(n)
        for j in range(i + 1, n)
        if rng.random() < 0.2
    }
    fixed = rng.integers(0, 9, n) / 8
    group = rng.integers(0, 4, n)
    coupled = Coupled(1.0, links(pairs, n), 1.0, 0.5, group, 8.0)
    first = rng.choice(n, 3, replace=False)
    order, _, _ = weighted_greedy(fixed, coupled, first, 30)
    assert order.tolist() == reference(fixed, coupled, first, 30)


def test_percentiles_by_hand():
    assert percentile(np.array([3.0, 1.0, 2.0])).tolist() == [1.0, 0.0, 0.5]
    assert percentile(np.array([1.0, 1.0, 2.0])).tolist() == [0.25, 0.25, 1.0]
    assert percentile(np.array([5.0, np.nan, 1.0])).tolist() == [1.0, 0.0, 0.0]
    assert percentile(np.array([2.0, 2.0])).tolist() == [0.5, 0.5]


def alone(**weights):
    return dict(diversity=0, typicality=0) | weights


def test_own_score_alone_takes_the_largest(run):
    dataset = dataclasses.replace(
        run.dataset, columns={**run.dataset.columns, "value": np.arange(300.0)}
    )
    scored = dataclasses.replace(run, dataset=dataset)
    chosen = choose("mix", scored, count=10, own=1, column="value", **alone())
    assert sorted(chosen.indices.tolist()) == list(range(290, 300))
    assert set(chosen.columns) == {"mix_own"} and chosen.columns["mix_own"][299] == 1.0


def test_similarity_alone_takes_the_most_similar(run):
    unit = run.vectors / np.linalg.norm(run.vectors, axis=1, keepdims=True)
    cosine = unit @ unit[7]
    chosen = choose("mix", run, count=10, similarity=2, query="digit-0007", **alone())
    assert set(chosen.indices.tolist()) == set(np.argsort(-cosine, kind="stable")[:10].tolist())
    assert chosen.columns["mix_similarity"][7] == 2.0


def test_difficulty_alone_takes_the_hardest(run):
    chosen = choose("mix", run, count=10, difficulty=1, **alone())
    assert set(chosen.indices.tolist()) == set(np.argsort(run.dynamics.aum)[:10].tolist())


def test_balance_evens_out_a_column(run):
    rare = np.array(["common"] * 280 + ["rare"] * 20)
    dataset = dataclasses.replace(run.dataset, columns={"kind": rare})
    uneven = dataclasses.replace(run, dataset=dataset)
    chosen = choose("mix", uneven, count=20, balance=5, by="kind")
    assert (rare[chosen.indices] == "rare").sum() == 10


def test_diversity_keeps_one_of_each_copy(run):
    """Ten images, each with a copy at distance 0; nothing else is linked."""
    pairs = np.arange(20) ^ 1
    graph = Neighbours(pairs[:, None], np.zeros((20, 1), np.float32))
    dataset = run.dataset.take(np.arange(20), "small")
    copies = dataclasses.replace(run, dataset=dataset, neighbours=graph)
    chosen = choose("mix", copies, count=10, typicality=0)
    assert len(set((chosen.indices // 2).tolist())) == 10


def test_the_terms_add_up_to_what_was_gained(run):
    found = mix(run, 50, MixConfig(difficulty=0.5, balance=1.0), 0)
    gained = sum(found.columns[name][found.order] for name in found.columns)
    assert set(found.columns) == {
        "mix_diversity",
        "mix_typicality",
        "mix_difficulty",
        "mix_balance",
    }
    assert (np.diff(gained) <= 1e-12).all(), "every term falls as more is kept"
    assert found.info["terms"]["difficulty"] == pytest.approx(
        found.columns["mix_difficulty"][found.order].mean()
    )


def test_columns_are_those_of_the_images_not_of_the_order(run):
    chosen = choose("mix", run, count=30, never=run.dataset.ids[:50])
    assert np.isnan(chosen.columns["mix_diversity"][:50]).all()
    assert np.isfinite(chosen.columns["mix_diversity"][50:]).all()


@pytest.mark.parametrize(
    "params, message",
    [
        (alone(), "every weight of mix is 0"),
        (alone(similarity=1), "similarity needs a query"),
        (alone(similarity=1, query="nobody"), "not an id of this source"),
        (alone(own=1), "own needs a column"),
        (alone(own=1, column="nothing"), "is unknown"),
        (alone(own=1, column="patient"), "holds texts, not numbers"),
        (alone(balance=1, by="nothing"), "is unknown"),
        ({"diversity": -1}, "must lie between 0"),
    ],
)
def test_what_cannot_work_says_why(run, params, message):
    with pytest.raises(BadInput, match=message):
        choose("mix", run, count=10, **params)
