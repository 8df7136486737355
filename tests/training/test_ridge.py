"""Ridge regression against the definition, in both of its forms."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.training.ridge import fit_ridge, folds_of, one_hot


@pytest.mark.parametrize("shape", [(12, 30), (50, 7)], ids=["fewer images", "fewer inputs"])
def test_both_forms_minimise_the_penalised_squares(shape):
    rng = np.random.default_rng(1)
    x = rng.normal(size=shape).astype(np.float32)
    y = one_hot(rng.integers(3, size=shape[0]), 3)
    found = fit_ridge(x, y, penalty=0.5)
    centred = x - x.mean(0)
    size = 0.5 * (centred**2).sum() / len(x)
    wanted = np.linalg.solve(
        centred.T @ centred + size * np.eye(shape[1]), centred.T @ (y - y.mean(0))
    )
    assert np.allclose(found.weights, wanted, atol=1e-4)
    assert np.allclose(found.outputs(x[:4]), centred[:4] @ wanted + y.mean(0), atol=1e-4)


def test_folds_deal_every_class_out_evenly():
    labels = np.array([0] * 10 + [1] * 5)
    fold = folds_of(labels, np.arange(15)[::-1].astype(np.uint64))
    assert np.bincount(fold).tolist() == [3] * 5
    assert np.bincount(fold[labels == 1]).tolist() == [1] * 5
    again = folds_of(labels[::-1], np.arange(15).astype(np.uint64))
    assert np.array_equal(again[::-1], fold), "by key, not by row"
