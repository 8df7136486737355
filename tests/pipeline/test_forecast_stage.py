"""A forecast of a run: no true label is read, cells are kept, `auto` follows it and verifies."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits

import coreset_engine as ce
from coreset_engine.artifacts import label_log
from coreset_engine.cli.commands.forecast import lines
from coreset_engine.core.errors import BadInput, Cancelled, Missing
from coreset_engine.core.registry import portfolio
from coreset_engine.core.types import Dataset
from coreset_engine.forecasting.calibration import constants_at
from coreset_engine.pipeline import forecast_cells, forecast_labels, forecast_stage
from coreset_engine.pipeline.forecast_part import Part
from coreset_engine.pipeline.forecast_stage import (
    forecast_around,
    forecast_steps,
    known,
    rates_around,
)
from coreset_engine.pipeline.imported_labels import with_labels
from coreset_engine.pipeline.manifest import verify, write_run

RATES = [0.8, 0.95]
METHODS = ["kmedoids", "facility_location", "prototypicality"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    np.save(tmp_path / "digits.npy", load_digits().data[:400].astype(np.float32))
    return ce.Run(
        ce.open_source(str(tmp_path / "digits.npy")), seed=3, clusterer="kmeans", n_clusters=10
    )


class Guarded(Dataset):
    """A dataset whose labels must not be looked at."""

    @property
    def labels(self):
        raise AssertionError("a true label was read")


def test_no_true_label_is_read(run):
    given = {
        field.name: getattr(run.dataset, field.name)
        for field in dataclasses.fields(Dataset)
        if field.name != "labels"
    }
    guarded = object.__new__(Guarded)
    for name, value in given.items():
        object.__setattr__(guarded, name, value)
    with pytest.raises(AssertionError):
        guarded.labels  # noqa: B018
    found = ce.forecast(ce.Run(guarded, seed=3), METHODS, RATES)
    assert found.complete and len(found.rows) == 2 * 5  # random, three methods, keep=easy
    assert ce.select("auto", ce.Run(guarded, seed=3), prune_rate=0.9).info["recommended"]


def test_the_same_forecast_again_and_in_another_workspace(run, tmp_path, monkeypatch):
    first = ce.forecast(run, METHODS, RATES)
    again = ce.forecast(ce.Run(run.dataset, seed=3), METHODS, RATES)
    assert again.rows == first.rows
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "elsewhere"))
    assert ce.forecast(ce.Run(run.dataset, seed=3), METHODS, RATES).rows == first.rows
    other = ce.forecast(ce.Run(run.dataset, seed=4), METHODS, RATES)
    assert other.rows != first.rows


def test_bad_coresets_are_told_from_good_ones(run):
    found = ce.forecast(run, ["kmedoids", ("prototypicality", {"keep": "easy"})], [0.95])
    gains = {row.name: row.gain for row in found.rows}
    assert gains["random"] == 0
    assert gains["kmedoids"] > gains["prototypicality keep=easy"]


def test_it_grows_by_cells_and_goes_on_where_it_was_stopped(run, monkeypatch):
    counted = []

    def stop(done, total, unit):
        counted.append((done, total, unit))
        if done == 3:
            raise Cancelled("cancelled.")

    with pytest.raises(Cancelled):
        ce.forecast(run, METHODS, RATES, progress=stop)
    assert counted[-1] == (3, 10, "cells")
    assert len(known(run, METHODS, RATES).rows) == 3
    assert not known(run, METHODS, RATES).complete
    judged = []
    real = forecast_cells.accuracies
    monkeypatch.setattr(
        forecast_cells, "accuracies", lambda *given: judged.append(1) or real(*given)
    )
    steps = list(forecast_steps(run, METHODS, RATES))
    assert len(judged) == 7  # ten cells, of which three were known
    assert [len(step.rows) for step in steps] == [*range(11), 10]
    assert [step.complete for step in steps] == [False] * 11 + [True]
    assert known(run, METHODS, RATES).rows == steps[-1].rows


def test_auto_takes_the_best_forecast_and_is_verified(run, tmp_path):
    chosen = ce.select("auto", run, prune_rate=0.93, portfolio="kmedoids,facility_location")
    advice = run.forecast_at(0.93, ["kmedoids", "facility_location"]).best(1 - 28 / 400)
    assert chosen.info["recommended"] == advice.method
    assert chosen.info["reason"] == advice.reason
    assert chosen.info["decided"] == advice.decided
    own = ce.select(advice.method, run, prune_rate=0.93, **advice.params)
    assert chosen.ids.tolist() == own.ids.tolist()
    assert chosen.params["portfolio"] == "kmedoids,facility_location"
    folder = write_run(tmp_path / "out", run, chosen)
    assert verify(folder)["same"]


def test_auto_records_the_portfolio_it_chose_from(run):
    chosen = ce.select("auto", run, prune_rate=0.9)
    assert chosen.params["portfolio"].split(",") == list(portfolio(400))


def test_a_run_alone_is_selected_from_by_auto(run):
    assert ce.select(run, prune_rate=0.9).ids.tolist() == (
        ce.select("auto", run, prune_rate=0.9).ids.tolist()
    )
    with pytest.raises(BadInput, match="no run to select from"):
        ce.select("elfs")
    with pytest.raises(BadInput, match="the method and the run"):
        ce.select(run, 0.9)


def test_a_few_images_have_no_forecast_and_auto_is_random(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    np.save(tmp_path / "few.npy", np.random.default_rng(0).normal(size=(12, 4)))
    few = ce.Run(ce.open_source(str(tmp_path / "few.npy")))
    assert ce.forecast(few).rows == ()
    chosen = ce.select("auto", few, prune_rate=0.5)
    assert chosen.info["recommended"] == "random" and not chosen.info["decided"]
    assert chosen.ids.tolist() == ce.select("random", few, prune_rate=0.5).ids.tolist()


def test_a_beta_too_large_for_a_rate_has_no_cell_there(run):
    wanted = [("elfs", {"beta": 0.5})]
    assert forecast_cells.ForecastCells(run, 0).fits(
        forecast_stage.Candidate("elfs", (("beta", 0.5),)), 0.5
    )
    assert not forecast_cells.ForecastCells(run, 0).fits(
        forecast_stage.Candidate("elfs", (("beta", 0.5),)), 0.3
    )
    assert forecast_stage.candidates_of(run, wanted)[1].params == (("beta", 0.5),)


def test_beta_by_forecast_is_recorded_as_a_number_and_verified(run, tmp_path):
    chosen = ce.select("elfs", run, prune_rate=0.8, beta="auto")
    tried = [("elfs", {"beta": beta}) for beta in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    gains = run.forecast_at(0.8, tried).ranking(0.8)
    best = next(option for option in gains if option.method == "elfs")
    assert chosen.params["beta"] == best.params["beta"]
    assert "by the forecast" in chosen.info["reason"]
    own = ce.select("elfs", run, prune_rate=0.8, beta=best.params["beta"])
    assert chosen.ids.tolist() == own.ids.tolist()
    assert verify(write_run(tmp_path / "out", run, chosen))["same"]
    with pytest.raises(BadInput, match="beta"):
        ce.select("elfs", run, prune_rate=0.8, beta="automatic")


@pytest.mark.parametrize(
    ("methods", "rates", "message"),
    [
        (["nonsense"], None, "unknown"),
        (["auto"], None, "cannot be forecast itself"),
        (None, [1.0], "between 0 and 1"),
        ([("elfs", {"beta": 7})], None, "between"),
        ([("elfs", {"beta": "auto"})], None, "set by the forecast"),
    ],
)
def test_what_cannot_be_forecast_is_said(run, methods, rates, message):
    with pytest.raises(BadInput, match=message):
        ce.forecast(run, methods, rates)


def test_among_the_images_of_a_filter_the_forecast_is_theirs(run):
    """`auto` among some images = `auto` of a source that holds these alone."""
    cut = run.dataset.ids[199]
    chosen = ce.select("auto", run, prune_rate=0.9, where=f"id<={cut}")
    assert chosen.info["where_matched"] == 200
    part = Part(run, np.arange(200))
    advice = forecast_around(run, 0.9, portfolio(200), np.arange(200)).best(0.9)
    assert (chosen.info["recommended"], chosen.info["reason"]) == (advice.method, advice.reason)
    alone = ce.forecast(run.take(np.arange(200)), portfolio(200), [0.9])
    mine = ce.forecast(part, portfolio(200), [0.9])
    assert mine.n_images == 200
    random = [row.share for found in (mine, alone) for row in found.curve("random")]
    assert random[0] == pytest.approx(random[1])
    full = run.forecast_at(0.9, portfolio(200))
    assert [row.n_kept for row in full.rows] != [row.n_kept for row in mine.rows]
    assert known(part, portfolio(200), [0.9]).rows == mine.rows  # its cells are kept


def test_labels_from_people_judge_too_and_only_these(run, monkeypatch):
    truth = load_digits().target[:400]
    given = {str(run.dataset.ids[i]): f"digit {truth[i]}" for i in range(0, 400, 4)}
    labelled = with_labels(run, given)
    plain = ce.forecast(run, METHODS, RATES)
    found = ce.forecast(labelled, METHODS, RATES)
    assert (plain.n_labels, found.n_labels) == (0, 100)
    assert all(row.judged_by_labels is None for row in plain.rows)
    # By hand: the mean of both calibrated gains, and the coreset's accuracy on filled-in labels.
    own = next(row for row in found.rows if row.method == "kmedoids" and row.prune_rate == 0.8)
    before = next(row for row in plain.rows if row.method == "kmedoids" and row.prune_rate == 0.8)
    at = constants_at(0.8)
    wanted = (at.slope * own.judged + at.label_slope * own.judged_by_labels) / 2
    assert own.gain == pytest.approx(wanted) and own.judged == before.judged
    assert own.high - own.gain == pytest.approx(1.645 * at.label_spread)
    work = forecast_cells.ForecastCells(labelled, run.seed, forecast_labels.label_task(labelled))
    codes = np.unique(labelled.labels, return_inverse=True)[1]
    kept = ce.select("kmedoids", run, prune_rate=0.8).indices
    judged = forecast_cells.accuracies(work._label_judge, np.sort(kept)).micro[0]
    assert work._label_judge.tasks.labels.tolist() == [codes.tolist()]
    base = next(row for row in found.rows if row.method == "random" and row.prune_rate == 0.8)
    assert base.judged_by_labels == 0.0 and base.gain == 0.0
    assert 0.5 < judged <= 1.0
    # Nothing is ranked again for labels that come later, and the answer is found again.
    monkeypatch.setattr(forecast_cells, "load", None)
    fewer = with_labels(run, dict(list(given.items())[:60]))
    assert ce.forecast(fewer, METHODS, RATES).n_labels == 60
    assert known(labelled, METHODS, RATES).rows == found.rows
    few = with_labels(run, dict(list(given.items())[:20]))
    assert ce.forecast(few, METHODS, RATES).n_labels == 0


def test_stored_labels_correct_the_forecast_but_not_what_a_manifest_must_verify(run, monkeypatch):
    truth = load_digits().target[:400]
    given = {str(run.dataset.ids[i]): f"digit {truth[i]}" for i in range(0, 400, 4)}
    label_log.add_labels(run.dataset.fingerprint, run.store.home, given)
    found = ce.forecast(run, METHODS, RATES)
    assert found.n_labels == 100 and found.correction == "corrected by 100 labels"
    assert "corrected by 100 labels" in found._repr_html_()
    assert found.rows == ce.forecast(with_labels(run, given), METHODS, RATES).rows
    plain = ce.forecast(run, METHODS, RATES, stored_labels=False)
    assert plain.n_labels == 0 and plain.rows != found.rows
    assert run.forecast_at(0.8, METHODS).n_labels == 0
    # What lies finished is found without filling in a label; a new label makes it another forecast.
    monkeypatch.setattr(forecast_labels, "fill_labels", None)
    assert known(run, METHODS, RATES).rows == found.rows
    label_log.add_labels(run.dataset.fingerprint, run.store.home, {str(run.dataset.ids[1]): "x"})
    assert not known(run, METHODS, RATES).rows
    assert known(run, METHODS, RATES, stored_labels=False).rows == plain.rows


def test_fewer_than_fifty_labels_do_not_judge(run):
    given = {str(key): f"class {i % 2}" for i, key in enumerate(run.dataset.ids[:49])}
    label_log.add_labels(run.dataset.fingerprint, run.store.home, given)
    assert ce.forecast(run, ["kmedoids"], [0.9]).n_labels == 0


def test_a_candidate_that_lacks_a_score_is_set_aside_and_the_rest_goes_on(run, monkeypatch):
    real = forecast_cells.load

    def without_a_score(inputs, k, config, seed, *, preselected=None):
        raise Missing("the score was not recorded; `score` computes it.")

    def load(name):
        return without_a_score if name.endswith(":kmedoids") else real(name)

    monkeypatch.setattr(forecast_cells, "load", load)
    found = ce.forecast(run, METHODS, RATES)
    assert found.complete and len(found.rows) == 2 * 4
    assert found.set_aside == {"kmedoids": "the score was not recorded; `score` computes it."}
    with pytest.raises(BadInput, match="could not be estimated: the score was not recorded"):
        found.at("kmedoids", 0.9)
    assert "kmedoids was skipped: the score was not recorded" in "\n".join(lines(found))
    assert found.best(0.9).method != "kmedoids"
    again = known(run, METHODS, RATES)
    assert again.complete and again.set_aside == found.set_aside
    assert type(found).from_json(found.as_json()) == found
    # Once the score is there the candidate is judged.
    monkeypatch.setattr(forecast_cells, "load", real)
    assert not ce.forecast(run, METHODS, RATES).set_aside
    assert not known(run, METHODS, RATES).set_aside


def test_the_rates_around_one():
    assert rates_around(0.93, 10_000) == (0.9, 0.95)
    assert rates_around(0.9, 10_000) == (0.9,)
    assert rates_around(0.2, 10_000) == (0.5,)
    assert rates_around(0.999, 10_000) == (0.99,)
    assert rates_around(0.98, 100) == (0.95,)  # five images are the fewest judged
