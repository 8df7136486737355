"""The one record of settings: everything that speaks of settings is derived from its fields."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import coreset_engine as ce
from coreset_engine.artifacts.store import Store, digest
from coreset_engine.cli.main import app
from coreset_engine.cli.options import RunSettings, with_run_settings
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset
from coreset_engine.evaluation.experiment import EvaluationGrid, Plan
from coreset_engine.evaluation.subset_training import EvaluationConfig
from coreset_engine.jobs import worker
from coreset_engine.pipeline.config import NONE_SET, RunConfig, setting
from coreset_engine.pipeline.executor import LocalExecutor
from coreset_engine.pipeline.manifest import manifest, verify, write_run
from coreset_engine.pipeline.run import STAGES, Run
from coreset_engine.pipeline.run_spec import open_run, run_spec
from coreset_engine.sources.open import open_source

# The record with one more setting, which no line of the product knows.
Extended = dataclasses.make_dataclass(
    "Extended",
    [("flavour", str, setting("plain", "a made-up setting", stages=("coverage",)))],
    bases=(RunConfig,),
    frozen=True,
)


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=60)
    vectors = rng.normal(size=(3, 8))[labels] * 3 + rng.normal(size=(60, 8))
    np.save(tmp_path / "v.npy", vectors.astype(np.float32))
    return str(tmp_path / "v.npy")


def run_of(source, tmp_path, config=None, **settings):
    store = Store(tmp_path / "home")
    return Run(open_source(source), config, store=store, **dict(n_samples=2000) | settings)


def test_a_new_field_is_in_keys_of_its_stages_and_no_others(source, tmp_path):
    plain, spicy = (run_of(source, tmp_path, Extended(flavour=name)) for name in ("plain", "spicy"))
    changed = {stage for stage in STAGES if plain.key_of(stage) != spicy.key_of(stage)}
    assert changed == {"coverage"}


def test_a_new_field_is_in_the_manifest_and_verified(source, tmp_path):
    run = run_of(source, tmp_path, Extended(flavour="spicy"))
    chosen = ce.select("blindcs", run, 0.5)
    assert manifest(run, chosen)["run"]["flavour"] == "spicy"
    out = write_run(tmp_path / "out", run, chosen)
    found = verify(out, run.store, config_type=Extended)
    assert found["same"] and not found["differs"]
    with pytest.raises(BadInput, match="'flavour' is an unknown setting"):
        verify(out, run.store)


def test_a_new_field_is_an_option_of_the_command_line():
    commands = typer.Typer()

    @commands.command()
    @with_run_settings(config_type=Extended)
    def show(settings: RunSettings) -> None:
        print(settings.config.flavour, settings.config.seed)

    assert "a made-up setting" in CliRunner().invoke(commands, ["--help"]).output
    done = CliRunner().invoke(commands, ["--flavour", "spicy", "--seed", "4"])
    assert done.output.split() == ["spicy", "4"]


def test_a_new_field_is_in_job_spec_node_spec_inclusion_and_evaluation(source, tmp_path):
    run = run_of(source, tmp_path, Extended(flavour="spicy"))
    params = {"run": run.config.to_record(), "method": "elfs"}
    assert Extended.from_job(params) == (run.config, {"method": "elfs"})
    assert json.loads(run_spec(run))["run"]["flavour"] == "spicy"
    assert run.with_config(seed=5).config == dataclasses.replace(run.config, seed=5)
    plain = run_of(source, tmp_path, Extended())
    keys = {
        EvaluationGrid(
            one, EvaluationConfig(labels="pseudo"), Plan(("blindcs",), (0.5,), (0,), {})
        ).key("blindcs", 0.5, 0)
        for one in (run, plain)
    }
    assert len(keys) == 2


def test_keys_are_made_of_what_they_were_before_settings_had_a_record():
    """The recipe by hand: what lies in a workspace is found again."""
    dataset = ce.open_source("demo")
    run = ce.Run(dataset, seed=3, n_clusters=7, clusterer="kmeans", proxy="linear", n_samples=9)

    def key(stage, params, *inputs):
        version = STAGES[stage][0]
        return digest(dict(stage=stage, version=version, params=params, inputs=list(inputs)))

    vectors = key(
        "embeddings",
        dict(source=dataset.fingerprint, encoder="efficientnet_lite0", weights=None),
    )
    neighbours = key("neighbours", dict(k=50), vectors)
    pseudo = key("pseudo_labels", dict(method="kmeans", n_clusters=7, seed=3), vectors, neighbours)
    assert run.key_of("embeddings") == vectors and run.key_of("neighbours") == neighbours
    assert run.key_of("pseudo_labels") == pseudo
    assert run.key_of("dynamics") == key(
        "dynamics", dict(proxy="linear", seed=3, labels="pseudo"), vectors, pseudo
    )
    assert run.key_of("coverage", n_neighbours=50) == key(
        "coverage", dict(n_samples=9, seed=3, n_neighbours=50), vectors
    )
    assert run.key_of("map") == key("map", dict(seed=3), vectors, neighbours)


@pytest.mark.parametrize(
    "item, field, value, stages",
    [
        (
            "temi.preset=paper",
            "clusterer_settings",
            {"preset": "paper"},
            {"pseudo_labels", "dynamics"},
        ),
        ("temi.n_heads=3", "clusterer_settings", {"n_heads": 3}, {"pseudo_labels", "dynamics"}),
        ("mlp.epochs=40", "proxy_settings", {"epochs": 40}, {"dynamics"}),
        ("dynamics.margin=probability", "dynamics", {"margin": "probability"}, {"dynamics"}),
        ("coverage.exponent=2", "coverage", {"exponent": 2.0}, {"coverage"}),
    ],
)
def test_set_reaches_the_settings_of_a_part(source, tmp_path, item, field, value, stages):
    config = RunConfig().with_set([item])
    assert dict(getattr(config, field)) == value
    plain, changed = (run_of(source, tmp_path, one) for one in (RunConfig(), config))
    assert {s for s in STAGES if plain.key_of(s) != changed.key_of(s)} == stages


def test_what_a_setting_names_is_what_happens(source, tmp_path):
    config = RunConfig(n_clusters=3).with_set(
        ["temi.n_heads=2", "temi.min_steps=5", "mlp.epochs=4", "dynamics.margin=probability"]
    )
    run = run_of(source, tmp_path, config)
    assert run.clusters.info["heads"] == 2
    assert run.dynamics.info["epochs"] == 4 and run.dynamics.margins.shape == (60, 4)
    assert np.abs(run.dynamics.aum).max() <= 1  # differences of probabilities


def test_the_paper_preset_is_that_of_its_table():
    """ELFS 8.1: 50 heads, 200 epochs, learning rate 1e-4, heads with a hidden layer."""
    found = RunConfig(clusterer_settings={"preset": "paper"}).effective("clusterer_settings")
    assert (found["n_heads"], found["epochs"], found["lr"], found["hidden"]) == (50, 200, 1e-4, 512)
    over = RunConfig(clusterer_settings={"preset": "paper", "epochs": "7"})
    assert over.effective("clusterer_settings")["epochs"] == 7


def test_defaults_written_out_change_no_key(source, tmp_path):
    plain = run_of(source, tmp_path, RunConfig())
    spelt = run_of(source, tmp_path, RunConfig(clusterer_settings={"preset": "cpu", "n_heads": 16}))
    assert all(plain.key_of(stage) == spelt.key_of(stage) for stage in STAGES)


@pytest.mark.parametrize(
    "items, sentence",
    [
        (["temi"], "must read GROUP.NAME=VALUE"),
        (["kmeans.n_starts=2"], "add --clusterer kmeans"),
        (["nonsense.x=1"], "is not a group of settings; known: temi, mlp, dynamics, coverage"),
        (["temi.nonsense=1"], "nonsense"),
        (["temi.n_heads=0"], "must lie between 1 and 500"),
        (["temi.preset=huge"], "choose one of cpu, paper"),
        (["coverage.n_samples=9"], "give n_samples itself"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(items, sentence):
    with pytest.raises(BadInput, match=sentence):
        RunConfig().with_set(items)


@pytest.mark.parametrize(
    "values, sentence",
    [
        (dict(seed=-1), "seed=-1"),
        (dict(seed="many"), "whole number"),
        (dict(n_samples=0), "n_samples=0"),
        (dict(search="quick"), "exact, approximate"),
        (dict(clusterer="nobody"), "clusterer 'nobody' is unknown"),
        (dict(proxy="nobody"), "proxy 'nobody' is unknown"),
        (dict(encoder=3), "must be text"),
        (dict(coverage=4), "must be a mapping"),
    ],
)
def test_the_record_checks_itself(values, sentence):
    with pytest.raises(BadInput, match=sentence):
        RunConfig(**values)


def test_a_misspelt_keyword_of_a_run_is_refused(source):
    with pytest.raises(BadInput, match="'sed' is an unknown setting of a run"):
        Run(open_source(source), sed=3)


def test_records_are_values_that_travel_as_json():
    config = RunConfig(seed=2, coverage={"exponent": 2})
    assert config == RunConfig.from_record(json.loads(json.dumps(config.to_record())))
    assert hash(config) == hash(dataclasses.replace(config)) and config.dynamics is NONE_SET
    assert "device" in config.to_record() and "device" not in config.to_record(results_only=True)


def test_jobs_of_the_first_edition_are_read():
    config, rest = RunConfig.from_job({"encoder": "clip", "seed": 3, "cluster": "local", "n": 1})
    assert config == RunConfig(encoder="clip", seed=3) and rest == {"cluster": "local", "n": 1}


def test_a_job_opens_the_run_it_was_given(source, tmp_path):
    config = RunConfig(seed=4, search="exact", device="cpu", coverage={"exponent": 2})
    params = {"run": config.to_record(), "oracle": True}
    run, rest = worker._open(source, params, Store(tmp_path), lambda *reported: None)
    assert run.config == config and rest == {"oracle": True}


def test_a_node_opens_the_very_run(source, tmp_path):
    run = run_of(source, tmp_path, RunConfig(seed=2, n_clusters=4, search="exact"))
    there = open_run(run_spec(run))
    assert {s: there.key_of(s) for s in STAGES} == {s: run.key_of(s) for s in STAGES}


def test_the_shell_takes_settings_of_parts(source, tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    command = ["run", source, "--method", "blindcs", "--n-samples", "500", "--out"]
    command += [str(tmp_path / "out"), "--set", "coverage.exponent=2", "--set", "temi.preset=paper"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    own = json.loads((tmp_path / "out" / "manifest.json").read_text())["run"]
    assert own["coverage"] == {"exponent": 2.0}
    assert own["clusterer_settings"] == {"preset": "paper"}
    assert verify(tmp_path / "out")["same"]


def test_a_manifest_of_the_first_edition_verifies(source, tmp_path):
    run = run_of(source, tmp_path)
    out = write_run(tmp_path / "out", run, ce.select("blindcs", run, 0.5))
    answer = json.loads((out / "manifest.json").read_text())
    kept = ("seed", "n_clusters", "clusterer", "proxy", "n_samples")
    answer["run"] = {name: answer["run"][name] for name in kept}
    (out / "manifest.json").write_text(json.dumps(answer))
    assert verify(out, run.store) | {"k": 0} == dict(same=True, differs=[], method="blindcs", k=0)


def test_an_executor_is_asked_and_named(source, tmp_path):
    class Noted(LocalExecutor):
        asked: list[str] = []

        def compute_stage(self, run, stage, params, progress=None):
            self.asked.append(stage)

    run = Run(open_source(source), RunConfig(clusterer="kmeans", n_clusters=3), Noted())
    run.store = Store(tmp_path)
    run.with_config(seed=1).take(np.arange(30)).clusters  # noqa: B018 - asked for what it computes
    assert "pseudo_labels" in Noted.asked and run.cluster is None


def test_take_is_a_dataset_of_its_own():
    full = Dataset(
        "here",
        np.array(["a", "b", "c", "d"]),
        "whole",
        reader=lambda i: i,
        labels=np.array([0, 1, -1, 1]),
        classes=("x", "y"),
        paths=np.array(["1", "2", "3", "4"]),
        columns={"n": np.arange(4)},
        vectors=np.arange(8.0).reshape(4, 2),
        test_spec="elsewhere",
    )
    part = full.take(np.array([3, 1]))
    assert part.ids.tolist() == ["d", "b"] and part.labels.tolist() == [1, 1]
    assert part.paths.tolist() == ["4", "2"] and part.columns["n"].tolist() == [3, 1]
    assert part.vectors.tolist() == [[6, 7], [2, 3]] and part.reader(0) == 3
    assert part.classes == ("x", "y") and part.test_spec is None
    assert full.reopenable and not part.reopenable
    others = {full.take(np.array(at)).fingerprint for at in ([1, 3], [3, 1], [3])}
    assert len(others | {full.fingerprint, part.fingerprint}) == 4
    assert full.take(np.array([0]), "mine").fingerprint == "mine"
