"""Export & next round: labels come back with a preview, the next images are counted, and the curve
says whether more labels pay."""

from __future__ import annotations

import numpy as np
import pytest
from finished import texts

from coreset_engine.artifacts import label_log
from coreset_engine.evaluation.learning_curve import Gain
from coreset_engine.evaluation.round_estimate import RoundEstimate, RoundPoint
from ui.views import export_rounds
from ui.views.export_import import kept_upload, prediction_sentences

# The tabs that the session has opened: each is drawn from then on.
OPENED = {"opened:export:part:Import labels": True, "opened:export:part:Next round": True}


@pytest.fixture
def labelled(tmp_path, digits):
    """A workspace in which a pilot of 40 images was asked for and 30 of them are labelled."""
    ids = [str(key) for key in digits.ids[:40]]
    label_log.add_round(digits.fingerprint, tmp_path, ids, dict(method="random", out=""))
    given = {key: str(digits.classes[digits.labels[i]]) for i, key in enumerate(ids[:30])}
    label_log.add_labels(digits.fingerprint, tmp_path, given, "/somewhere/first.csv")
    return ids


def estimate(labels=30, gain=Gain(0.002, 0.0, 0.006)):
    points = (RoundPoint(0, labels, 0.8, 0.7, 0.88, 0.75, 0.71, 0.79),)
    return RoundEstimate(points, 30, True, 200, gain, 0.01)


def button(test, label):
    return next(one for one in test.button if one.label == label)


def test_before_the_first_round_the_page_says_what_a_pilot_is(open_page):
    test = open_page("export", **OPENED)
    assert not test.exception
    assert [tab.label for tab in test.tabs] == ["Export", "Import labels", "Next round"]
    assert "pilot" in texts(test) and "With at least 20 labels" in texts(test)
    assert button(test, "Choose the next 100")
    assert "No labels were imported yet" in texts(test)


def test_the_number_typed_is_the_number_asked_for(open_page, monkeypatch):
    sent = []
    monkeypatch.setattr(export_rounds, "submit", lambda *job: sent.append(job))
    test = open_page("export", **OPENED)
    test.number_input(key="next:count:0").set_value(37).run()
    button(test, "Choose the next 37").click().run()
    kind, spec, params = sent[0]
    assert (kind, spec, params["count"]) == ("next_round", "demo", 37)
    assert params["out"].endswith("demo-round-0") and params["run"]


def test_a_round_taken_back_leaves_its_folder_to_itself(tmp_path):
    folder = tmp_path / "demo-round-0"
    assert export_rounds._free_folder(folder) == folder
    folder.mkdir()
    (tmp_path / "demo-round-0-2").mkdir()
    assert export_rounds._free_folder(folder).name == "demo-round-0-3"


def test_counts_of_labelled_and_pending_images(labelled, open_page):
    test = open_page("export", **OPENED)
    values = {metric.label: metric.value for metric in test.metric}
    assert values["Images labelled"] == "30" and values["Waiting for labels"] == "10"
    assert values["Rounds"] == "1"
    assert "30 labels from first\\.csv" in texts(test)
    assert button(test, "Choose the next 40"), "as many as the round before"


def test_a_label_file_is_shown_before_it_is_kept(labelled, open_page, tmp_path, digits):
    file = tmp_path / "more.csv"
    new = [str(key) for key in digits.ids[100:105]]
    rows = [*(f"{key},seven" for key in new), f"{labelled[0]},other", "nobody,seven"]
    file.write_text("\n".join(["id,label", *rows]))
    test = open_page("export", **OPENED)
    test.text_input(key="import:Labels:place").set_value(str(file)).run()
    message = texts(test)
    assert "6 labels read: 5 new, 1 changed" in message.replace("\\", "")
    assert "1 row names no image" in message
    before = label_log.read(digits.fingerprint, tmp_path).labels
    assert len(before) == 30, "nothing is kept yet"
    sent = []
    from ui.views import export_import

    patch = pytest.MonkeyPatch()
    patch.setattr(export_import, "submit", lambda *job: sent.append(job))
    button(test, "Keep 6 labels").click().run()
    patch.undo()
    after = label_log.read(digits.fingerprint, tmp_path).labels
    assert len(after) == 35 and after[labelled[0]] == "other"
    assert sent[0][0] == "round_estimate", "what they are worth is estimated in the background"


def test_a_file_of_something_else_is_a_sentence(open_page, tmp_path):
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    test = open_page("export", **OPENED)
    test.text_input(key="import:Labels:place").set_value(str(tmp_path / "no.csv")).run()
    message = [error.value for error in test.error]
    assert not test.exception and any("no.csv" in text.replace("\\", "") for text in message)


def test_an_import_can_be_taken_back(labelled, open_page, tmp_path, digits):
    test = open_page("export", **OPENED)
    button(test, "Undo the last import").click().run()
    assert label_log.read(digits.fingerprint, tmp_path).labels == {}


def test_the_estimate_and_its_advice(labelled, open_page, put_job):
    put_job("round_estimate", result=estimate().as_json())
    test = open_page("export", **OPENED)
    message = texts(test).replace("\\", "")
    assert "further labelling is not worth it" in message and "Outdated" not in message
    values = {metric.label: metric.value for metric in test.metric}
    assert values["Estimated accuracy"] == "80.0%"


def test_an_old_estimate_stays_and_is_marked(labelled, open_page, put_job):
    put_job("round_estimate", result=estimate(labels=25).as_json())
    test = open_page("export", **OPENED)
    assert "Outdated" in texts(test) and button(test, "Estimate accuracy")
    assert {metric.label for metric in test.metric} >= {"Estimated accuracy (outdated)"}


def test_the_curve_has_intervals_and_random_beside_it():
    points = tuple(
        RoundPoint(r, 100 * (r + 1), 0.7 + 0.05 * r, 0.65, 0.9, 0.68, 0.66, 0.7) for r in range(3)
    )
    made = RoundEstimate(points, 100, True, 200, Gain(0.02, 0.01, 0.03), 0.01)
    figure, data = export_rounds.curve(made)
    assert [trace.name for trace in figure.data] == [
        "your labels",
        "as many random labels (estimated)",
    ]
    assert list(figure.data[0].x) == [100, 200, 300]
    assert np.allclose(figure.data[0].error_y.arrayminus, [0.05, 0.1, 0.15])
    assert data["your labels: high"] == [0.9] * 3


def test_the_same_upload_is_kept_once(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    one = kept_upload("../../la bels.csv", b"id,label\n")
    assert one == kept_upload("../../la bels.csv", b"id,label\n")
    assert one.startswith(str(tmp_path / "uploads")) and one.endswith("la-bels.csv")


def test_predictions_in_words():
    found = dict(
        images=10,
        predicted=9,
        kind="logits",
        classes=["a", "b"],
        mean_confidence=0.8,
        labelled=4,
        disagree_with_labels=1,
        unmatched_rows=2,
    )
    lines = prediction_sentences(found)
    assert lines[0] == "9 of 10 images have a prediction (logits, 2 classes)."
    assert "1 of 4 labelled images" in lines[2] and "2 rows name no image" in lines[3]


def test_labels_and_rounds_colour_the_map(labelled, digits, tmp_path):
    from finished import FinishedRun

    from coreset_engine.artifacts.store import Store
    from ui.map.colour_columns import available_columns, column
    from ui.state.run_view import RunView

    run = FinishedRun(digits)
    run.store = Store(tmp_path)
    view = RunView("demo", digits, run, run.config)
    assert "given label" in available_columns(view)
    given = column(view, "given label")
    assert (np.array(given.labels)[given.codes] != "none").sum() == 30
    rounds = column(view, "round of labelling")
    assert (np.array(rounds.labels)[rounds.codes] == "round 0").sum() == 40
    new = str(digits.ids[200])
    label_log.add_labels(digits.fingerprint, tmp_path, {new: "seven"})
    again = column(view, "given label")
    assert (np.array(again.labels)[again.codes] != "none").sum() == 31, "an import is seen at once"
