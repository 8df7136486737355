"""Ties: the order of the rows never shows, no image is favoured, equal images share equally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from coreset_engine.core.errors import BadInput
from coreset_engine.core.hashing import row_keys, uniform
from coreset_engine.coverage.scores import coverage_grid, coverage_scores
from coreset_engine.sources.open import open_source

PARTS = ("score", "coverage", "redundancy")


def digits():
    """Raw pixels: 17 values, a third of them 0, so that nearly every slice is full of ties."""
    dataset = open_source("demo")
    pixels = [np.asarray(dataset.image(i).convert("L"), np.float32) for i in range(len(dataset))]
    return np.stack(pixels).reshape(len(pixels), -1)


@pytest.mark.integration
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 150),
    levels=st.integers(2, 4),
    m=st.integers(1, 3),
    alpha=st.sampled_from([1, 3, 20, 200]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    with_keys=st.booleans(),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_permuting_rows_permutes_scores(seed, n, levels, m, alpha, dtype, with_keys):
    """Bit for bit, with two to four values a dimension and many images that are equal."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, levels, size=(n, 5)).astype(dtype)
    keys = rng.permutation(n).astype(np.uint64) if with_keys else None
    order = rng.permutation(n)
    common = dict(n_samples=300, n_dims=m, seed=seed % 1000, device="cpu", workers=1)
    for automatic in (alpha, "auto"):
        settings_ = common | dict(n_neighbours=automatic, random_start=automatic == 1)
        one = coverage_scores(vectors, keys=keys, **settings_)
        moved = None if keys is None else keys[order]
        two = coverage_scores(vectors[order], keys=moved, **settings_)
        for part in PARTS:
            assert np.array_equal(getattr(one, part)[order], getattr(two, part))


def test_digits_in_another_order_have_the_same_scores():
    vectors = digits()
    order = np.random.default_rng(0).permutation(len(vectors))
    common = dict(n_samples=8_000, n_neighbours=1000, device="cpu")
    one = coverage_scores(vectors, **common).score
    two = coverage_scores(vectors[order], **common).score
    assert np.array_equal(one[order], two)
    third = len(one) // 3
    spread = one.std() / np.sqrt(third)
    assert abs(one[:third].mean() - one[-third:].mean()) < 6 * spread


@pytest.mark.integration
def test_the_key_of_an_image_does_not_decide_its_score():
    """Two seeds agree as well under other keys as under the same: keys leave no image ahead."""
    vectors = digits()[:600]
    rng = np.random.default_rng(0)
    keys = [rng.permutation(600).astype(np.uint64) for _ in range(2)]

    def scores(seed, own):
        return coverage_scores(
            vectors, 80_000, n_neighbours=100, seed=seed, keys=own, device="cpu"
        ).score

    first = scores(0, keys[0])
    same = spearmanr(first, scores(1, keys[0])).statistic
    other = spearmanr(first, scores(1, keys[1])).statistic
    assert same > 0.3 and abs(same - other) < 0.1


def test_equal_images_share_equally():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    vectors[10] = vectors[20] = vectors[30]
    found = coverage_scores(vectors, 3000, n_neighbours=10, device="cpu")
    for part in PARTS:
        values = getattr(found, part)
        assert values[10] == values[20] == values[30]
    assert found.coverage.sum() == pytest.approx(3000)
    apart = coverage_scores(
        vectors, 3000, n_neighbours=10, device="cpu", keys=np.arange(60, dtype=np.uint64)
    )
    assert apart.coverage[[10, 20, 30]].sum() == found.coverage[[10, 20, 30]].sum()


def test_each_tied_image_is_chosen_about_as_often():
    """Four corners of a square, samples in its middle: each corner covers a quarter."""
    vectors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    draws = np.tile([0, 1], (4000, 1)), np.full((4000, 2), 0.5)
    found = coverage_scores(vectors, draws=draws, n_neighbours=1, device="cpu")
    # Standard deviation sqrt(4000 * 3 / 16) = 27. Two corners are nearest to a covered one, and
    # one of them takes the penalty: a quarter each again.
    assert np.abs(found.coverage - 1000).max() < 140
    assert np.abs(found.redundancy - 1000).max() < 140


def test_explicit_draws_are_a_pure_function_of_the_input():
    rng = np.random.default_rng(2)
    vectors = rng.integers(0, 3, size=(80, 4)).astype(np.float32)
    draws = np.tile([0, 1], (50, 1)), rng.uniform(0, 2, size=(50, 2))
    one, two = (coverage_scores(vectors, draws=draws, seed=s, device="cpu") for s in (0, 1))
    assert np.array_equal(one.score, two.score)


@pytest.mark.parametrize("keys", [np.arange(9), np.zeros(10), np.zeros((10, 1), int)])
def test_keys_of_another_shape_or_kind_are_refused(keys):
    with pytest.raises(BadInput, match="keys have shape"):
        coverage_grid(np.random.default_rng(0).normal(size=(10, 3)), (2,), n_samples=10, keys=keys)


def test_keys_follow_the_values_of_a_row():
    rows = np.random.default_rng(0).normal(size=(5000, 7)).astype(np.float32)
    rows[0] = [0.0, 1, 2, 3, 4, 5, 6]
    rows[4999] = [-0.0, 1, 2, 3, 4, 5, 6]
    keys = row_keys(rows)
    assert keys[0] == keys[4999] and len(np.unique(keys)) == 4999
    assert np.array_equal(row_keys(rows[::-1]), keys[::-1])
    assert keys[0] != row_keys(rows[:1, ::-1])[0]
    for kind in (np.float16, np.float64):
        assert len(np.unique(row_keys(rows[1:100].astype(kind)))) == 99
    share = uniform(keys[1:], 5)
    assert 0 <= share.min() and share.max() < 1 and abs(share.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(share, uniform(keys[1:], 6))[0, 1]) < 0.06
