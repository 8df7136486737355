"""The plugin in a real FiftyOne: found beside others, its operators run, at once and delegated."""

from __future__ import annotations

from pathlib import Path

import pytest
import scenes_plugin as scenes

from coreset_engine.core.errors import BadInput
from coreset_engine.export.fiftyone import plugin_backend


@pytest.fixture(scope="module")
def installed(fiftyone, tmp_path_factory):
    return fiftyone(scenes.install_beside, tmp_path_factory.mktemp("plugin"))


def test_it_is_linked_beside_other_plugins_and_loads(installed):
    assert (
        installed["listed"] == ["@coreset-explorer/coreset", "theirs"] and installed["errors"] == []
    )
    assert installed["operators"] == [
        scenes.URI + name
        for name in (
            "compare_selections",
            "compute_scores",
            "coreset_panel",
            "select_coreset",
            "take_labels",
        )
    ]
    assert Path(installed["link"]).is_symlink() and installed["again"] == installed["link"]


def test_scores_then_two_selections_then_their_comparison(fiftyone, installed):
    fiftyone(scenes.dataset, "plugin")
    assert "press *Compute scores*" in fiftyone(scenes.panel, "plugin")["before"]
    scored = fiftyone(
        scenes.run, "compute_scores", "plugin", dict(embeddings="vec", n_clusters=3, seed=0)
    )
    wanted = {
        "coreset_aum",
        "coreset_forgetting",
        "coreset_coverage",
        "coreset_redundancy",
        "coreset_cluster",
        "coreset_pseudo_label",
        "coreset_vector",
    }
    assert wanted <= set(scored["filled"]) and set(scored["filled"].values()) == {120}, scored
    assert scored["tags"] == {} and scored["views"] == [] and "coreset_umap" in scored["brain"]

    params = dict(method="elfs", prune_rate=0.75)  # on the scores that are there
    first = fiftyone(scenes.run, "select_coreset", "plugin", params)
    assert (
        first["tags"] == {"coreset": 30, "coreset:main": 30} and "coreset: kept" in first["views"]
    )
    assert first["filled"]["coreset_rank"] == 30 and first["filled"]["coreset_aum"] == 120
    second = fiftyone(
        scenes.run, "select_coreset", "plugin", params | dict(method="random", selection="second")
    )
    assert second["tags"]["coreset:second"] == 30 and second["tags"]["coreset:main"] == 30
    assert {"coreset_main", "coreset_second"} <= set(second["runs"])

    compared = fiftyone(
        scenes.run, "compare_selections", "plugin", dict(one="main", other="second", show=False)
    )
    answer = fiftyone(scenes.disagreement, "plugin")
    assert answer["told"]["differ"] == answer["wanted"] and "'nobody'" in answer["refused"]
    assert (
        compared["result"]["only_one"]
        == 30 - compared["result"]["both"]
        == len(answer["wanted"]) / 2
    )


def test_scores_again_leave_the_selection_alone(fiftyone, installed):
    before = fiftyone(
        scenes.run, "compare_selections", "plugin", dict(one="main", other="second", show=False)
    )
    after = fiftyone(
        scenes.run, "compute_scores", "plugin", dict(embeddings="vec", n_clusters=3, seed=0)
    )
    assert (
        after["tags"] == before["tags"]
        and after["views"] == before["views"]
        and after["filled"] == before["filled"]
    )


def test_delegated_with_progress(fiftyone, installed):
    fiftyone(scenes.dataset, "delegated", 60)
    answer = fiftyone(
        scenes.run,
        "select_coreset",
        "delegated",
        dict(embeddings="vec", n_clusters=3, method="blindcs", prune_rate=0.5),
        True,
    )
    assert answer["result"]["state"] == "completed", answer["result"]
    assert (
        answer["tags"] == {"coreset": 30, "coreset:main": 30}
        and " of " in answer["result"]["progress"]
    )


def test_what_cannot_be_done_is_said_in_the_form(fiftyone, installed):
    answer = fiftyone(
        scenes.run, "select_coreset", "delegated", dict(embeddings="none", method="elfs")
    )
    assert answer["result"]["said"].startswith(
        "Not done: dataset 'delegated' has neither a field nor a brain run 'none'"
    )


def test_the_panels_preview_follows_the_knob(fiftyone, installed):
    half, tenth = fiftyone(scenes.previews, "plugin")
    assert (half["kept"], tenth["kept"]) == (60, 12) and "**12** of 120" in tenth["said"]
    for seen in (half, tenth):
        kept, dropped = (sum(trace["y"]) for trace in seen["traces"])
        assert (kept, dropped) == (seen["kept"], 120 - seen["kept"])


def test_somebody_elses_folder_is_not_replaced(tmp_path):
    (tmp_path / "coreset-explorer").mkdir()
    with pytest.raises(BadInput, match="was not created by this program"):
        plugin_backend.install(tmp_path)
    assert plugin_backend.uninstall(tmp_path) is False and (tmp_path / "coreset-explorer").is_dir()
    assert plugin_backend.install(tmp_path / "new").is_symlink() and plugin_backend.uninstall(
        tmp_path / "new"
    )


def test_labels_of_every_group_slice_are_taken_and_stay_in(fiftyone, installed):
    labelled = fiftyone(scenes.grouped, "grouped")
    assert len(labelled) == 6
    params = dict(embeddings="vec", n_clusters=2, method="random", prune_rate=0.5, field="mine")
    found = fiftyone(scenes.run, "take_labels", "grouped", params)
    assert found["result"]["labelled"] == 6, found["result"]
    kept = fiftyone(scenes.kept_in, "grouped", "coreset:labelled")
    assert set(labelled) <= set(kept) and len(kept) == 30
    assert "has no label field 'nope'" in fiftyone(scenes.refused_labels, "grouped", "nope")


@pytest.mark.parametrize("how", ["view", "selected"])
def test_a_selection_among_the_view_or_the_selected_samples(fiftyone, installed, how):
    name = f"among-{how}"
    fiftyone(scenes.dataset, name)
    params = dict(method="random", prune_rate=0.75, selection="part", embeddings="vec")
    done = fiftyone(scenes.among, name, how, params)
    assert done["kept"] == 10 and done["inside"], done
    assert done["views"] == ["coreset scope: part"] and "coreset scope: part" in done["source"]
    again = fiftyone(scenes.among, name, "dataset", params)
    assert again["kept"] == 30 and again["views"] == []


def test_a_view_of_somebody_else_is_not_replaced(fiftyone, installed):
    fiftyone(scenes.dataset, "theirs")
    fiftyone(scenes.foreign_scope, "theirs", "part")
    params = dict(method="random", prune_rate=0.75, selection="part", embeddings="vec")
    done = fiftyone(scenes.among, "theirs", "view", params)
    assert "not made by Coreset Explorer" in done["said"] and done["kept"] == 0
    assert done["views"] == ["coreset scope: part"]


def test_recipes_and_settings_of_stages_and_methods_reach_the_manifest(fiftyone, installed):
    fiftyone(scenes.dataset, "settings")
    wanted = dict(
        method="blindcs",
        prune_rate=0.75,
        embeddings="vec",
        n_clusters=3,
        settings="coverage.exponent=2, coverage.max_samples=2048",
        n_neighbours=7,
    )
    made = fiftyone(scenes.settings_written, "settings", wanted)
    assert made["run"]["coverage"] == {"exponent": 2.0, "max_samples": 2048}
    assert made["params"]["n_neighbours"] == 7
    wanted = dict(method="d2", recipe="d2-label-free", embeddings="vec", param_neighbours="4")
    made = fiftyone(scenes.settings_written, "settings", wanted)
    assert made["recipe"] == "d2-label-free"
    assert made["params"]["score"] == "uniform" and made["params"]["neighbours"] == 4
    wrong = dict(embeddings="vec", method="blindcs", settings="coverage.exponent=99")
    assert "between 0.0 and 64.0" in fiftyone(scenes.settings_written, "settings", wrong)["said"]
