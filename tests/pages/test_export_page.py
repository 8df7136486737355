"""The Export page hands on exactly the coreset that is chosen, and says so before it does."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pandas as pd
from finished import FinishedRun, texts

from coreset_engine.artifacts.store import Store
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.select import select
from ui.state import session
from ui.views import export


def view_of(dataset):
    return session.RunView("demo", dataset, FinishedRun(dataset), RunConfig())


def test_the_zip_holds_the_selection(digits, tmp_path):
    view = view_of(digits)
    view.run.store = Store(tmp_path)
    chosen = select("elfs", view.run, 0.9, beta=0.1)
    with zipfile.ZipFile(io.BytesIO(export.packed(view, chosen))) as archive:
        names = set(archive.namelist())
        ids = archive.read("ids.txt").decode().split()
        manifest = json.loads(archive.read("manifest.json"))
        table = pd.read_parquet(io.BytesIO(archive.read("selection.parquet")))
    assert {"selection.parquet", "ids.txt", "manifest.json"} <= names
    assert ids == chosen.ids.tolist() and len(ids) == 40
    assert manifest["params"]["beta"] == 0.1 and manifest["method"] == "elfs"
    assert table["selected"].sum() == 40 and np.array_equal(table["aum"], view.run.dynamics.aum)


def test_headline_numbers_and_knobs(open_page):
    test = open_page("export", prune_rate=0.8, beta=0.25)
    values = {metric.label: metric.value for metric in test.metric}
    assert values["Selected"] == "80" and values["Images in all"] == "400"
    assert "80 images" in texts(test) and "hardest 25% skipped" in texts(test)


def test_pins_are_counted_and_obeyed(open_page, digits):
    pinned = [str(digits.ids[0]), str(digits.ids[1])]
    test = open_page("export", must_keep=pinned, never=[str(digits.ids[2])])
    values = {metric.label: metric.value for metric in test.metric}
    assert (
        values["Always included"] == "2"
        and values["Excluded"] == "1"
        and values["Selected"] == "40"
    )


def test_file_names_are_safe(digits):
    import dataclasses

    view = dataclasses.replace(view_of(digits), spec="/data/../<img>\u202e birds")
    chosen = select("random", view.run, 0.5)
    name = export.file_name(view, chosen)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_groups_are_classes_or_clusters(digits, unlabelled_digits):
    assert export.groups_of(view_of(digits))[0] == list(digits.classes)
    assert export.groups_of(view_of(unlabelled_digits))[0][0] == "cluster 0"


def test_the_report_page_holds_map_certificate_and_manifest(digits):
    view = view_of(digits)
    page = export.report_page(view, select("elfs", view.run, 0.9))
    assert (
        "40 of 400 images kept (10.0%)" in page and "mean distance" in page and "artefacts" in page
    )
    assert page.count('src="data:image/') == 2 and "<script" not in page


def test_tabs_and_expanders_are_drawn_once_opened_and_then_stay(open_page):
    test = open_page("export")
    assert not test.exception and not test.get("json") and not test.get("file_uploader")
    test.session_state["export:part"] = "Import labels"
    test.session_state["export:manifest"] = True
    test.run()
    assert not test.exception and test.get("json") and test.get("file_uploader")
    test.text_input(key="import:Labels:place").set_value("no such file").run()
    test.session_state["export:part"] = "Export"
    test.run()
    assert test.text_input(key="import:Labels:place").value == "no such file"
    assert "With at least 20 labels" not in texts(test)  # of the tab that was not opened
