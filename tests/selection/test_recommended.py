"""`auto` follows the forecast, says so in words, and keeps its first rule by name."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import digits

from coreset_engine.core.errors import BadInput
from coreset_engine.core.forecast import Forecast, ForecastRow
from coreset_engine.selection.select import choose


@pytest.fixture(scope="module")
def run():
    return digits(900)


@pytest.mark.parametrize(
    ("rate", "name", "word"),
    [
        (0.9, "kmedoids", "90 of 900 images (10%) are few"),
        (0.75, "kmedoids", "225 of 900"),
        (0.7, "probcover", "are many"),
    ],
)
def test_the_measured_rule_and_its_reason(run, rate, name, word):
    chosen = choose("auto", run, prune_rate=rate, rule="measured")
    assert chosen.info["recommended"] == name and word in chosen.info["reason"]
    assert chosen.ids.tolist() == choose(name, run, prune_rate=rate).ids.tolist()
    other = choose("auto", run, prune_rate=rate, rule="measured", switch=0.0)
    assert other.info["recommended"] == "probcover"


class Foretold:
    """A run whose forecast is given."""

    def __init__(self, run, *rows, safest):
        self._run = run
        self._forecast = Forecast(rows, len(run.dataset), safest={"0.9": safest})

    def __getattr__(self, name):
        return getattr(self._run, name)

    def forecast_at(self, prune_rate, methods=None):
        return self._forecast


def row(method, gain, reach, **params):
    ends = (gain, gain - reach, gain + reach)
    return ForecastRow(method, params, 0.9, 90, *ends, *ends, 0.8, 0.7, 0.9)


def test_the_best_forecast_is_taken_with_its_parameters(run):
    given = Foretold(
        run, row("kmedoids", 2, 1), row("prototypicality", 3, 1, keep="easy"), safest="kmedoids"
    )
    chosen = choose("auto", given, prune_rate=0.9)
    assert chosen.info["recommended"] == "prototypicality"
    assert chosen.info["recommended_params"] == {"keep": "easy"}
    assert chosen.info["decided"] is True
    assert (chosen.info["gain"], chosen.info["low"], chosen.info["high"]) == (3, 2, 4)
    own = choose("prototypicality", run, prune_rate=0.9, keep="easy")
    assert chosen.ids.tolist() == own.ids.tolist()


def test_undecided_it_takes_the_safest_and_says_so(run):
    given = Foretold(run, row("kmedoids", 2, 3), row("d2", 1, 3), safest="d2")
    chosen = choose("auto", given, prune_rate=0.9)
    assert chosen.info["recommended"] == "d2" and chosen.info["decided"] is False
    assert "cannot decide" in chosen.info["reason"]


def test_a_portfolio_names_known_methods_that_do_not_choose_themselves(run):
    with pytest.raises(BadInput, match="unknown"):
        choose("auto", run, prune_rate=0.9, portfolio="kmedoids,nonsense")
    with pytest.raises(BadInput, match="itself chooses among methods"):
        choose("auto", run, prune_rate=0.9, portfolio="auto")


@pytest.mark.integration
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

    for rate in (0.95, 0.9):
        gap = np.mean(
            [accuracy("auto", rate, seed) - accuracy("random", rate, seed) for seed in range(6)]
        )
        assert gap > 0, (rate, gap)
