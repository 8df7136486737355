"""Home: opening sources, bad input in one sentence, zip uploads, settings that name the
run."""

from __future__ import annotations

import io
import os
import resource
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from finished import ROOT, go_to, texts
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.config import RunConfig
from ui.views import source_form


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """app.py for a first visitor, with nothing faked."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    monkeypatch.delenv("CORESET_OPEN", raising=False)
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def press(test, label):
    next(button for button in test.button if button.label == label).click()
    return test.run()


def box(test, label):
    return next(one for one in test.selectbox if one.label == label)


@pytest.mark.parametrize(
    "path,message", [("/no/such/folder", "/no/such/folder"), ("", "no source was named")]
)
def test_bad_source_is_one_sentence(fresh, path, message):
    test = fresh.run()
    test.text_input(key="quick:folder").set_value(path)
    press(test, "Open")
    assert not test.exception
    assert len(test.error) == 1 and message in test.error[0].value.replace("\\", "")
    assert "Traceback" not in texts(test)


def test_a_link_to_a_strange_folder_is_not_opened(fresh, tmp_path):
    fresh.query_params["dataset"] = str(tmp_path)
    test = fresh.run()
    assert not test.exception
    assert "not been opened in this workspace" in texts(test)
    assert (
        test.session_state["state:dataset"] == "" if "state:dataset" in test.session_state else True
    )
    for page in ("clean", "select", "labels"):
        assert "not been opened in this workspace" in texts(go_to(test, page))


def zipped(**names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in names.items():
            archive.writestr(name.replace("__", "/"), content)
    out.seek(0)
    return out


def png(color):
    out = io.BytesIO()
    Image.new("RGB", (9, 9), color).save(out, "PNG")
    return out.getvalue()


def test_uploaded_zip_lands_inside_the_workspace_once(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    content = zipped(
        a__1_png=b"",
        **{"../evil.png": png("red"), "cat/1.png": png("red"), "dog/2.png": png("blue")},
    )
    folder = source_form.unpacked(content)
    content.seek(0)
    assert source_form.unpacked(content) == folder
    assert folder.startswith(str(tmp_path)) and not (tmp_path / "evil.png").exists()
    from coreset_engine.sources.open import open_source

    dataset = open_source(folder)
    assert len(dataset) == 2 and dataset.classes == ("cat", "dog")
    assert [(one.name, one.reason) for one in dataset.rejected if "evil" in one.name] == [
        ("../evil.png", "has a name that points outside the folder")
    ]
    assert sorted(path.name for path in (tmp_path / "uploads").iterdir()) == [
        folder.rpartition("/")[2]
    ]


def test_the_same_zip_from_two_visitors_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    full = zipped(**{f"{i}.png": png("red") for i in range(60)}).getvalue()
    with ThreadPoolExecutor(4) as visitors:
        folders = set(visitors.map(lambda _: source_form.unpacked(io.BytesIO(full)), range(4)))
    assert len(folders) == 1 and len(list(Path(folders.pop()).glob("*.png"))) == 60


def test_an_upload_that_does_not_fit_on_the_disk_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(BadInput, match="make room"):
            source_form.unpacked(io.BytesIO(os.urandom(2_000_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "uploads").iterdir()) == []


def test_settings_change_the_run_and_the_address(open_page):
    test = open_page("home")
    test.session_state["home:settings"] = True
    test.run()
    test.number_input(key="widget:n_clusters").set_value(12).run()
    assert test.session_state["state:n_clusters"] == 12
    assert test.query_params["clusters"] in ("12", ["12"])
    test.number_input(key="widget:n_clusters").set_value(0).run()
    assert "clusters" not in test.query_params


def test_a_recipe_fills_the_widgets_and_what_is_set_after_it_wins(open_page):
    test = open_page("home")
    test.session_state["home:settings"] = test.session_state["advanced"] = True
    test.run()
    box(test, "Recipe").set_value("elfs-paper-cifar10").run()
    assert not test.exception
    kept = test.session_state
    assert box(test, "Pseudo-labels").value == "temi"
    assert box(test, "Encoder").value == "dino"
    assert kept["state:proxy"] == "resnet18" and kept["state:method"] == "elfs"
    assert kept["state:beta"] == 0.4  # ELFS, table 7: CIFAR-10 with DINO at 90 %
    assert kept["state:advanced"]["temi"] == {"preset": "paper", "per_head_weights": True}
    box(test, "Training dynamics").set_value("mlp").run()  # the default, chosen by hand
    assert not test.exception
    assert kept["state:proxy"] == "mlp" and kept["state:recipe"] == "elfs-paper-cifar10"
    box(test, "Recipe").set_value(None).run()
    assert box(test, "Encoder").value == RunConfig().encoder
    assert "temi" not in kept["state:advanced"] and kept["state:params"] == {}


def test_a_default_chosen_beside_a_recipe_reaches_the_run():
    from streamlit.testing.v1 import AppTest

    def page():
        import streamlit as st

        from ui.state import session

        held = {"preset": "cpu", "per_head_weights": False}
        session.put_all({"recipe": "elfs-paper", "proxy": "mlp", "advanced": {"temi": held}})
        st.session_state["record"] = session.run_config().to_record()

    record = AppTest.from_function(page).run().session_state["record"]
    config, _ = RunConfig.from_job({"run": record})
    assert config.recipe == "elfs-paper" and config.proxy == RunConfig().proxy == "mlp"
    assert config.clusterer_settings == {"preset": "cpu", "per_head_weights": False}


def test_numbers_on_the_page(open_page, digits):
    test = open_page("home")
    assert not test.metric  # closed: nothing is drawn
    test.session_state["home:source"] = test.session_state["home:stages"] = True
    test.run()
    values = {metric.label: metric.value for metric in test.metric}
    assert (
        values["Usable images"] == "400"
        and values["Labelled"] == "400"
        and values["Classes"] == "10"
    )
    table = test.table[0].value
    assert list(table["State"]) == ["Ready, 1.23 MB"] * 6


def test_the_demo_opens_by_itself_when_asked(fresh, monkeypatch):
    monkeypatch.setenv("CORESET_OPEN", "demo")
    test = fresh.run()
    assert not test.exception and not test.error
    assert "1,797 images" in texts(test)
    assert any(button.label == "Compute" for button in test.button)


def test_a_link_restores_dataset_and_knobs(fresh):
    for name, value in {
        "dataset": "demo",
        "clusters": "12",
        "p": "0.8",
        "beta": "nonsense",
        "alpha": "9e999",
    }.items():
        fresh.query_params[name] = value
    test = fresh.run()
    assert not test.exception and not test.error
    kept = test.session_state
    assert (
        kept["state:dataset"] == "demo"
        and kept["state:n_clusters"] == 12
        and kept["state:prune_rate"] == 0.8
    )
    assert "state:beta" not in kept and "state:alpha" not in kept
    test.session_state["home:settings"] = True
    assert test.run().number_input(key="widget:n_clusters").value == 12


@pytest.mark.parametrize(
    "param,value",
    [
        ("clusters", "-5"),
        ("seed", "-1"),
        ("p", "7"),
        ("encoder", "<img src=x>"),
        ("method", "no-such"),
        ("samples", "-3"),
        ("color", "x" * 5000),
    ],
)
def test_a_hostile_link_breaks_nothing(fresh, param, value):
    fresh.query_params["dataset"] = "demo"
    fresh.query_params[param] = value
    test = fresh.run()
    assert not test.exception
    assert "results are unchanged" not in " ".join(e.value for e in test.error)


def test_advanced_settings_of_a_part_become_the_runs(open_page):
    test = open_page("home")
    assert not any(box.label == "Preset" for box in test.selectbox)  # closed: nothing is loaded
    test.session_state["home:settings"] = True
    test.session_state["advanced"] = True
    test.run()
    assert not test.exception
    labels = [box.label for box in test.selectbox]
    assert "Neighbour search" in labels and "Device" in labels
    forms = [button for button in test.button if button.label == "Apply"]
    assert len(forms) == 4  # clusterer, proxy, dynamics, coverage
    number = next(box for box in test.number_input if box.label.startswith("Exponent"))
    number.set_value(2.0)
    forms[-1].click()
    test.run()
    assert not test.exception
    assert test.session_state["state:advanced"]["coverage"] == {"exponent": 2.0}


def test_home_shows_goals_without_a_dataset(fresh):
    test = fresh.run()
    labels = [button.label for button in test.button]
    for goal in ("Choose what to label", "Remove duplicates", "Find label errors"):
        assert f"{goal} →" in labels
    assert "Open the demo" in labels


def test_a_goal_leads_to_its_page_with_its_settings(open_page):
    test = press(open_page("home"), "Choose what to label →")
    assert not test.exception and test.title[0].value == "Select"
    assert test.session_state["state:method"] == "auto"
    assert test.session_state["state:count"] == 200
    assert test.session_state["state:prune_rate"] == 0.5


def test_settings_say_what_they_recompute():
    from ui.views.settings import recomputes, weights_state

    assert recomputes("encoder").startswith("Recomputes everything")
    assert recomputes("proxy") == "Recomputes: training dynamics."
    assert "map" not in recomputes("n_clusters") and "pseudo-labels" in recomputes("n_clusters")
    assert recomputes("device") == "Recomputes nothing."
    assert weights_state("efficientnet_lite0") == "installed"


def test_weights_not_on_this_machine_need_a_download(tmp_path, monkeypatch):
    from ui.views.settings import weights_state

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert weights_state("resnet18") == "needs download"
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").touch()
    assert weights_state("resnet18") == "installed"


def test_a_moved_source_is_checked_and_opened(fresh, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for i in range(3):
        (old / "a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (80 * i, 9, 9)).save(old / "a" / f"{i}.png")
    test = fresh.run()
    test.text_input(key="quick:folder").set_value(str(old))
    press(test, "Open")
    old.rename(new)
    test.session_state["home:open"] = True
    test.run()
    test.text_input(key="moved:folder").set_value(str(tmp_path))
    press(test, "Check and open")
    assert "different images" in test.error[0].value
    test.text_input(key="moved:folder").set_value(str(new))
    press(test, "Check and open")
    assert not test.error and str(new) in test.session_state["state:dataset"]
