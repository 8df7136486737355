"""Corrections change exactly the labels they name, in order, and survive nonsense."""

from __future__ import annotations

import numpy as np

from coreset_engine.pipeline.corrections import apply, key, names

IDS = np.array(["a", "b", "c", "d"])
LABELS = np.array([0, 1, 2, 1])


def test_merge_then_relabel():
    entries = [
        {"kind": "merge", "clusters": [1], "into": 2},
        {"kind": "relabel", "ids": ["d", "gone"], "cluster": 0},
    ]
    assert apply(LABELS, IDS, 3, entries).tolist() == [0, 2, 2, 0]
    assert apply(LABELS, IDS, 3, entries[::-1]).tolist() == [0, 2, 2, 0]
    assert LABELS.tolist() == [0, 1, 2, 1]


def test_order_matters_and_other_cluster_numbers_are_passed_over():
    entries = [
        {"kind": "relabel", "ids": ["a"], "cluster": 1},
        {"kind": "merge", "clusters": [1], "into": 2},
    ]
    assert apply(LABELS, IDS, 3, entries).tolist() == [2, 2, 2, 2]
    assert (
        apply(LABELS, IDS, 2, [{"kind": "merge", "clusters": [0], "into": 2}]).tolist()
        == LABELS.tolist()
    )
    assert (
        apply(LABELS, IDS, 3, [{"kind": "relabel", "ids": ["a"], "cluster": "x"}, {}]).tolist()
        == LABELS.tolist()
    )


def test_names_and_key():
    rename = {"kind": "rename", "cluster": 1, "name": "shirt", "at": 1.0}
    merge = {"kind": "merge", "clusters": [1], "into": 2, "at": 1.0}
    assert (
        names(3, [rename, {**rename, "name": "coat"}]) == {1: "coat"} and names(1, [rename]) == {}
    )
    assert key([rename]) is None and key([merge]) == key([{**merge, "at": 9.0}]) != key(
        [merge, merge]
    )
