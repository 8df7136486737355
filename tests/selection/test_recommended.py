"""`auto` takes the method its rule names, says so in words, and is not below random where it is
cheap to see."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import digits

from coreset_engine.selection.select import choose


@pytest.fixture(scope="module")
def run():
    return digits(900)


@pytest.mark.parametrize(
    ("rate", "name", "word"),
    [
        (0.9, "kmedoids", "90 of 900 images (10 %) are few"),
        (0.75, "kmedoids", "225 of 900"),
        (0.7, "probcover", "are many"),
    ],
)
def test_the_rule_and_its_reason(run, rate, name, word):
    chosen = choose("auto", run, prune_rate=rate)
    assert chosen.info["recommended"] == name and word in chosen.info["reason"]
    assert chosen.ids.tolist() == choose(name, run, prune_rate=rate).ids.tolist()
    assert choose("auto", run, prune_rate=rate, switch=0.0).info["recommended"] == "probcover"


def test_not_below_random_on_digits(run):
    """Logistic regression on the kept, judged on 600 other digits, mean of paired differences over
    seeds."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    data = load_digits()
    test = data.data[900:1500] / 16
    truth = data.target[900:1500]

    def accuracy(method, rate, seed):
        kept = choose(method, run, prune_rate=rate, seed=seed).indices
        return (
            LogisticRegression(C=1.0, max_iter=200)
            .fit(run.vectors[kept] / 16, run.labels[kept])
            .score(test, truth)
        )

    for rate in (0.95, 0.5):
        gap = np.mean(
            [accuracy("auto", rate, seed) - accuracy("random", rate, seed) for seed in range(6)]
        )
        assert gap > 0, (rate, gap)
