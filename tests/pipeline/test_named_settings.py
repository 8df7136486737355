"""Recipes: every one is made of settings that exist, and the shell fills its options from them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from coreset_engine.cli.main import app
from coreset_engine.cli.recipe_options import take_recipe
from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import DEFAULT_METHOD, METHODS, load
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.named_settings import with_named_settings
from coreset_engine.pipeline.recipes import RECIPES, find

every = pytest.mark.parametrize("name", sorted(RECIPES))


@every
def test_a_recipe_is_made_of_settings_and_parameters_that_exist(name):
    recipe = find(name)
    config = RunConfig(recipe=name)
    assert config.recipe == name and recipe.summary and recipe.source
    row = METHODS[recipe.method]
    for rate in (0.3, 0.9, 0.99):
        make(load(row.config), recipe.params_at(rate))


def test_betas_are_those_of_table_7():
    # ELFS, table 7, CIFAR-100 (SwAV) at 70 %: 0.4; CIFAR-10 (DINO) at 90 %: 0.4; STL10 at 80 %:
    # 0.6.
    assert find("elfs-paper-cifar100-swav").params_at(0.7)["beta"] == 0.4
    assert find("elfs-paper-cifar10").params_at(0.9)["beta"] == 0.4
    assert find("elfs-paper-stl10").params_at(0.8)["beta"] == 0.6
    # Half way between 80 % (0.1) and 90 % (0.4); beyond the table the method decides.
    assert find("elfs-paper-cifar10").params_at(0.85)["beta"] == 0.25
    assert "beta" not in find("elfs-paper-cifar10").params_at(0.99)
    assert "beta" not in find("elfs-paper").params_at(0.9)


def test_elfs_paper_is_section_8():
    config = RunConfig(recipe="elfs-paper")
    temi = config.effective("clusterer_settings")
    assert config.encoder == "dino" and config.proxy == "resnet18"
    assert temi["n_heads"] == 50 and temi["epochs"] == 200 and temi["per_head_weights"] is True
    released = RunConfig(recipe="elfs-released")
    assert released.effective("proxy_settings") == {"nesterov": True, "weight_decay": 5e-4}
    assert released.effective("dynamics") == {"margin": "probability"}
    assert RunConfig(recipe="elfs-paper-imagenet").proxy == "resnet34"


def test_what_is_set_beside_a_recipe_wins():
    config = RunConfig(recipe="elfs-paper", encoder="clip").with_set(["temi.epochs=3"])
    assert config.encoder == "clip" and config.effective("clusterer_settings")["epochs"] == 3
    other = RunConfig(recipe="elfs-released", proxy="linear")
    assert other.proxy == "linear" and other.effective("proxy_settings") == {}
    again = RunConfig.from_record(config.to_record())
    assert again == config, "taken in once more it stays as it is"
    values = dict(method=DEFAULT_METHOD, param=["neighbours=7"], prune_rate=0.9, count=None)
    take_recipe("d2-released", values)
    assert values["method"] == "d2" and values["param"][-1] == "neighbours=7"
    assert "reverse=0.1" in values["param"]
    values = dict(method=DEFAULT_METHOD, param=None, prune_rate=0.9, count=None, beta=None)
    take_recipe("elfs-paper-cifar10", values)
    assert values["beta"] == 0.4
    values = dict(method=DEFAULT_METHOD, param=None, prune_rate=0.9, count=None, beta=0.1)
    take_recipe("elfs-paper-cifar10", values)
    assert values["beta"] == 0.1


def test_a_wrong_name_or_method_is_refused_in_one_sentence():
    for make_one in (find, lambda name: RunConfig(recipe=name)):
        with pytest.raises(BadInput, match="Did you mean 'elfs-paper'"):
            make_one("elfs-papers")
    values = dict(method="blindcs", param=None, prune_rate=None, count=None)
    with pytest.raises(BadInput, match="uses method 'd2'"):
        take_recipe("d2-released", values)


def test_the_shell_runs_a_recipe_keeps_its_name_and_verifies_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    labels = np.arange(60) % 3
    vectors = np.random.default_rng(0).normal(size=(60, 8)) + 3 * labels[:, None]
    np.save(tmp_path / "v.npy", vectors.astype(np.float32))
    source = str(tmp_path / "v.npy")
    out = str(tmp_path / "out")
    args = ["run", source, "--recipe", "d2-label-free", "--prune-rate", "0.5", "--out", out]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    made = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert made["recipe"] == "d2-label-free" and made["method"] == "d2"
    assert made["params"]["score"] == "uniform"
    result = CliRunner().invoke(app, ["verify", out + "/manifest.json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_the_shell_lets_a_default_win_over_a_recipe(tmp_path, monkeypatch):
    """ELFS' program trains a ResNet; `--proxy mlp` beside it is the default, and was asked for."""
    config = RunConfig.from_record({"recipe": "elfs-released", "proxy": "mlp"})
    assert config.proxy == "mlp" and config.encoder == "dino" and config.recipe == "elfs-released"
    assert replace(config, seed=3).proxy == "mlp", "nor is the recipe taken in again later"
    assert RunConfig.from_record(config.to_record()) == config
    made = manifest_of(
        tmp_path,
        monkeypatch,
        "--recipe",
        "elfs-released",
        "--proxy",
        "mlp",
        *("--set", "mlp.epochs=2", "--set", "temi.epochs=1", "--set", "temi.n_heads=2"),
    )
    assert made["run"]["proxy"] == "mlp" and made["run"]["dynamics"] == {"margin": "probability"}


def test_a_stage_setting_may_be_given_as_a_parameter(tmp_path, monkeypatch):
    args = ("--method", "blindcs", "--param", "exponent=2", "--param", "n_samples=500")
    made = manifest_of(tmp_path, monkeypatch, *args, "--param", "n_neighbours=7")
    assert made["run"]["coverage"] == {"exponent": 2.0} and made["run"]["n_samples"] == 500
    assert made["params"]["n_neighbours"] == 7, "a method's own parameter stays its own"


def manifest_of(tmp_path, monkeypatch, *options: str) -> dict:
    """Of `run` with these options on 60 vectors."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    args = ["run", str(tmp_path / "v.npy"), *options, "--out", str(tmp_path / "out")]
    args += ["--n-clusters", "3"]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_a_notebook_names_a_stage_setting_alone():
    made = with_named_settings(RunConfig(), {"margin": "probability", "exponent": "3"})
    assert made.dynamics == {"margin": "probability"} and made.coverage == {"exponent": 3.0}
    with pytest.raises(BadInput, match="temi or of mlp; say --set temi.epochs=3"):
        with_named_settings(RunConfig(), {"epochs": 3})
    with pytest.raises(BadInput, match="'colour' is an unknown setting"):
        with_named_settings(RunConfig(), {"colour": 1})
    with pytest.raises(BadInput, match="between 0.0 and 64.0"):
        with_named_settings(RunConfig(), {"exponent": 99})
