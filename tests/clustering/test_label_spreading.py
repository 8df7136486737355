"""Label spreading against the closed form of Zhou et al. 2004, solved densely."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.clustering.label_spreading import spread_labels
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours


def closed_form(indices, distances, given, n_classes, alpha):
    """F* = (1 - alpha) (I - alpha S)^-1 Y (Zhou et al. 2004, eq. 5), W from the neighbour lists."""
    n = len(indices)
    w = np.zeros((n, n))
    scale = np.median(distances[:, -1])
    for i in range(n):
        for j, d in zip(indices[i], distances[i]):
            w[i, j] = max(w[i, j], np.exp(-d / scale))
            w[j, i] = max(w[j, i], np.exp(-d / scale))
    degree = w.sum(1)
    s = w / np.sqrt(np.outer(degree, degree))
    y = np.zeros((n, n_classes))
    for i, c in enumerate(given):
        if c >= 0:
            y[i, c] = 1
    return (1 - alpha) * np.linalg.solve(np.eye(n) - alpha * s, y)


def graph(points, k):
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -9)
    at = np.argsort(-similar, 1, kind="stable")[:, :k]
    return Neighbours(at, (1 - np.take_along_axis(similar, at, 1)).astype(np.float32))


@pytest.mark.parametrize("alpha", [0.5, 0.8, 0.95])
def test_the_fixed_point_is_the_closed_form(alpha):
    rng = np.random.default_rng(3)
    neighbours = graph(rng.normal(size=(40, 5)), 6)
    given = np.full(40, -1)
    given[[0, 7, 21, 33]] = [0, 1, 2, 1]
    wanted = closed_form(neighbours.indices, neighbours.distances.astype(float), given, 3, alpha)
    found = spread_labels(neighbours, given, 3, alpha=alpha)
    share = wanted.max(1) / wanted.sum(1)
    others = given < 0
    assert np.array_equal(found.labels[others], wanted.argmax(1)[others])
    assert np.allclose(found.confidence[others], share[others], atol=0.01)
    assert np.array_equal(found.labels[~others], given[~others])
    assert (found.confidence[~others] == 1).all()


def test_a_chain_passes_the_label_of_the_nearer_end_on():
    # 0 - 1 - 2 - 3 - 4, all links equally long; ends labelled 0 and 1, the middle is a tie
    neighbours = Neighbours(
        np.array([[1, 1], [0, 2], [1, 3], [2, 4], [3, 3]]), np.full((5, 2), 0.1, np.float32)
    )
    found = spread_labels(neighbours, np.array([0, -1, -1, -1, 1]), 2)
    assert found.labels.tolist()[:2] == [0, 0] and found.labels.tolist()[3:] == [1, 1]
    assert found.confidence[2] == pytest.approx(0.5, abs=1e-3)


def test_what_no_label_reaches_stays_unknown():
    neighbours = Neighbours(np.array([[1], [0], [3], [2]]), np.full((4, 1), 0.1, np.float32))
    found = spread_labels(neighbours, np.array([1, -1, -1, -1]), 2)
    assert found.labels.tolist() == [1, 1, -1, -1] and found.confidence[2] == 0


def test_bad_input_is_a_sentence():
    neighbours = Neighbours(np.array([[1], [0]]), np.full((2, 1), 0.1, np.float32))
    with pytest.raises(BadInput, match="no image is labelled"):
        spread_labels(neighbours, np.array([-1, -1]), 2)
    with pytest.raises(BadInput, match="alpha=1"):
        spread_labels(neighbours, np.array([0, -1]), 2, alpha=1)
