"""Galleries are in the order they say, hold each image once per group view, and obey the filter."""

from __future__ import annotations

import numpy as np
import pytest
from finished import FinishedRun

from coreset_engine.pipeline.config import RunConfig
from ui.state import session
from ui.views import gallery


@pytest.fixture(scope="module")
def view(digits):
    return session.RunView("demo", digits, FinishedRun(digits), RunConfig())


def test_every_order_offered_can_be_drawn(view):
    half = np.arange(len(view)) % 2 == 0
    for order in gallery.orders(view):
        found = gallery.in_order(view, order, half)
        positions = found.positions
        assert len(positions) == len(set(positions.tolist())) and half[positions].all()
        assert found.note and (found.groups is None or len(found.groups) == len(positions))


def test_hardest_first_is_lowest_margin_first(view):
    found = gallery.in_order(view, "Hardest first", np.ones(len(view), bool))
    aum = view.run.dynamics.aum[found.positions]
    assert len(aum) == len(view) and (np.diff(aum) >= 0).all()


def test_near_duplicates_chain_the_closest_pairs(view):
    groups = gallery.near_groups(view, np.ones(len(view), bool), most=20)
    nearest = view.run.neighbours.indices[:, 0]
    distance = view.run.neighbours.distances[:, 0]
    closest = int(distance.argmin())
    assert {closest, int(nearest[closest])} <= set(groups[0])
    linked = {
        frozenset((i, int(nearest[i]))) for i in np.argsort(distance, kind="stable")[:20].tolist()
    }
    assert all(any(set(pair) <= set(group) for group in groups) for pair in linked)


def test_redundant_groups_start_with_the_most_redundant(view):
    view.run._coverage.redundancy[7] = 99.0
    groups = gallery.redundant_groups(view, np.ones(len(view), bool))
    assert groups[0][0] == 7 and len(groups) <= 50
    view.run._coverage.redundancy[7] = 0.1


def test_without_finished_stages_only_random_is_offered(digits):
    bare = session.RunView("demo", digits, FinishedRun(digits, finished=()), RunConfig())
    assert [name for name in gallery.orders(bare) if ": " not in name] == [gallery.RANDOM]
