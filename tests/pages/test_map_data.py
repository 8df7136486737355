"""What Python says to and hears from the map: polygons, columns, ranks against the engine, routes,
snapshots."""

from __future__ import annotations

import re

import numpy as np
import pytest
from finished import FinishedRun
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.selection.select import choose
from ui.map import colour_columns
from ui.map.scatter import _polygon, inside_polygon
from ui.selection import controls
from ui.server import hosts, published, routes
from ui.state import session as state
from ui.state import snapshots
from ui.views.compare import difference, parse_side


def even_odd(points: np.ndarray, polygon: np.ndarray) -> list[int]:
    """One point and one edge at a time."""
    found = []
    for i, (x, y) in enumerate(points.astype(float)):
        crossed = [
            x < (xb - xa) * (y - ya) / (yb - ya) + xa
            for (xa, ya), (xb, yb) in zip(polygon, np.roll(polygon, 1, axis=0))
            if (ya > y) != (yb > y)
        ]
        if sum(crossed) % 2:
            found.append(i)
    return found


corner = st.tuples(
    st.integers(-6, 6), st.integers(-6, 6)
)  # whole numbers: corners, edges and points often coincide


@settings(max_examples=150, deadline=None)
@given(st.lists(corner, min_size=3, max_size=9), st.lists(corner, min_size=1, max_size=40))
def test_inside_polygon_equals_even_odd_with_ties(polygon, points):
    points = np.array(points, dtype=np.float32)
    polygon = np.array(polygon, dtype=np.float64)
    assert inside_polygon(points, polygon).tolist() == even_odd(points, polygon)


@pytest.mark.parametrize(
    "lasso",
    [
        None,
        3,
        {},
        {"polygon": None},
        {"polygon": [[0, 0], [1, 1]]},
        {"polygon": "abc"},
        {"polygon": [[0, 0], [1, float("nan")], [2, 2]]},
        {"polygon": [[0, 0, 0]] * 4},
        {"polygon": [[0, 0], [1]]},
    ],
)
def test_a_malformed_lasso_is_no_lasso(lasso):
    assert _polygon(lasso) is None


def test_number_columns_keep_outliers_and_gaps_apart():
    values = np.concatenate([np.linspace(0, 1, 998), [1e9, np.inf, np.nan]])
    found = colour_columns.numbers("score", values)
    assert (
        found.codes[0] == 0 and found.codes[-3] == found.codes[-2] == 254 and found.codes[-1] == 255
    )
    assert 120 <= found.codes[499] <= 134  # the outlier does not flatten the rest
    assert (
        found.bins()[-1] == colour_columns.BINS
        and found.bins()[:-1].max() == colour_columns.BINS - 1
    )
    assert found.describe(1000) == "score: none" and found.describe(999) == "score: never learned"


def test_unknown_labels_get_a_label_of_their_own():
    found = colour_columns.categories("true label", np.array([1, -1, 0]), ["a", "b"])
    assert found.labels == ("a", "b", "unknown") and found.codes.tolist() == [1, 2, 0]


def test_rare_texts_become_others():
    names = np.array([f"name {i}" for i in range(300)] + ["common"] * 50)
    found = colour_columns._metadata("file", names)
    assert len(found.labels) == 201 and found.labels[-1] == "others"
    assert found.labels[found.codes[-1]] == "common" and (found.codes == 200).sum() == 101


@pytest.fixture
def view(digits):
    return state.RunView("demo", digits, FinishedRun(digits), RunConfig())


@pytest.fixture
def session(monkeypatch):
    """The session's values as a plain dictionary."""
    held = {}
    first = {name: row[2] for name, row in state.LINKED.items()}
    monkeypatch.setattr(
        state, "get", lambda name, default=None: held.get(name, first.get(name, default))
    )
    monkeypatch.setattr(state, "chosen", lambda name: held.get(name) is not None)
    monkeypatch.setattr(state, "put", held.__setitem__)
    monkeypatch.setattr(state, "rebind", held.__setitem__)
    monkeypatch.setattr(state, "put_all", held.update)
    monkeypatch.setattr(state, "rebind_all", held.update)
    return held


@pytest.mark.parametrize(
    "method, p, beta",
    [
        ("elfs", 0.9, 0.0),
        ("elfs", 0.5, 0.3),
        ("elfs", 0.75, 0.25),
        ("blindcs", 0.8, 0.0),
        ("random", 0.999, 0.0),
        ("elfs", 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("pins", [(0, 0), (3, 5)])
def test_ranks_on_the_map_choose_what_the_engine_chooses(view, session, method, p, beta, pins):
    picked = np.random.default_rng(1).permutation(len(view))[: sum(pins)]
    if p == 0.0 and pins[1]:
        # nothing can be banned when all are kept
        picked = picked[: pins[0]]
        pins = (pins[0], 0)
    if p == 0.999:
        # k = 1 has no room for pins
        picked = picked[:0]
        pins = (0, 0)
    ids = [str(name) for name in view.dataset.ids[picked]]
    session |= {
        "method": method,
        "prune_rate": p,
        "beta": beta,
        "must_keep": tuple(ids[: pins[0]]),
        "never": tuple(ids[pins[0] :]),
    }
    ranks = controls.ranking(view)
    params = {"beta": beta} if method == "elfs" else {}
    engine = choose(
        method,
        view.run,
        prune_rate=p,
        must_keep=session["must_keep"],
        never=session["never"],
        seed=view.seed,
        **params,
    )
    assert ranks.kept().tolist() == sorted(engine.indices.tolist())
    for i in range(0, len(view), 37):
        assert ("within the selected" in ranks.reason(i)) == (i in engine.indices) or i in picked


def test_an_image_is_selected_from_the_number_of_images_that_is_said(view, session):
    session |= {"method": "elfs", "prune_rate": 0.9, "beta": 0.1}
    n = len(view)
    checked = 0
    for i in range(0, n, 23):
        sentence = controls.ranking(view).enters(i)
        found = re.fullmatch(r"Selected from ([\d,]+) images on\.", sentence)
        if found is None:
            assert "hardest" in sentence or "every" in sentence
            continue
        k = int(found[1].replace(",", ""))
        at = choose("elfs", view.run, prune_rate=1 - k / n, beta=0.1, seed=0).indices
        before = choose("elfs", view.run, prune_rate=1 - (k - 1) / n, beta=0.1, seed=0).indices
        assert len(at) == k and i in at
        assert len(before) == k - 1 and i not in before
        checked += 1
    assert checked > 5


def test_undo_redo_and_pins(session):
    session |= {"method": "elfs", "prune_rate": 0.9}
    controls.pin(["a", "b"], "keep")
    controls.pin(["b"], "never")
    assert session["must_keep"] == ("a",) and session["never"] == ("b",)
    assert (
        controls.pin_of("a") == "keep"
        and controls.pin_of("b") == "never"
        and controls.pin_of("c") is None
    )
    controls.step("past", "future")
    assert session["must_keep"] == ("a", "b") and session["never"] == ()
    controls.step("future", "past")
    assert session["must_keep"] == ("a",) and session["never"] == ("b",)


def test_snapshots_come_back_replace_and_go(view, tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    snapshots.save(view, "ten percent", {"method": "elfs", "prune_rate": 0.9})
    snapshots.save(view, "other", {"method": "random", "prune_rate": 0.5})
    snapshots.save(view, "ten percent", {"method": "blindcs", "prune_rate": 0.9})
    found = {snapshot.name: snapshot for snapshot in snapshots.list_snapshots(view)}
    assert len(found) == 2 and found["ten percent"].setup["method"] == "blindcs"
    snapshots.delete(view, found["other"].id)
    assert [snapshot.name for snapshot in snapshots.list_snapshots(view)] == ["ten percent"]


def test_compare_links_and_difference():
    assert parse_side("elfs:0.9:0.4:30") == {"method": "elfs", "p": 0.9, "beta": 0.4, "alpha": 30}
    assert (
        parse_side("nonsense:2:x:-1") == {}
        and parse_side("") == {}
        and parse_side("random:nan") == {"method": "random"}
    )
    found = difference(np.array([3, 1, 2]), np.array([2, 5]))
    assert found.only_a.tolist() == [1, 3] and found.only_b.tolist() == [5]
    assert found.jaccard == 1 / 4 and difference(np.array([]), np.array([])).jaccard == 1


def test_routes_guard_hosts_and_keys(view):
    client = TestClient(Starlette(routes=routes.routes), base_url="http://127.0.0.1")
    data = published.of_dataset(view.dataset)
    address = published.publish_array(data, np.arange(5, dtype=np.uint32))
    assert np.frombuffer(client.get(address).content, np.uint32).tolist() == [0, 1, 2, 3, 4]
    assert client.get(address, headers={"host": "evil.example"}).status_code == 400
    assert client.post(address).status_code == 405
    assert client.get(address.replace(data.key, "../" + data.key)).status_code == 404
    thumb = published.thumbnail_address(data)
    assert client.get(thumb.replace("{i}", "0")).headers["content-type"] == "image/webp"
    assert client.get(thumb.replace("{i}", str(len(view)))).status_code == 404


@pytest.mark.parametrize(
    "host, fits",
    [
        ("127.0.0.1:8501", True),
        ("localhost", True),
        ("[::1]:8501", True),
        ("10.1.2.3", True),
        ("rebound.example:8501", False),
        ("", False),
    ],
)
def test_trusted_hosts(host, fits):
    assert hosts.is_trusted(host) is fits


def test_too_many_arrays_drop_the_oldest_array(view, monkeypatch):
    monkeypatch.setattr(published, "MAX_ARRAY_BYTES", 1000)
    data = published.PublishedData("0" * 24, view.dataset)
    names = [published.publish_array(data, np.full(50, i, dtype=np.float64)) for i in range(4)]
    assert len(data.arrays) == 2 and all(
        name.split("/")[-1][:-4] in data.arrays for name in names[-2:]
    )


def test_too_many_pins_are_refused_with_a_sentence(view):
    with pytest.raises(BadInput, match="must_keep has"):
        choose(
            "random", view.run, prune_rate=0.99, must_keep=[str(i) for i in view.dataset.ids[:50]]
        )
