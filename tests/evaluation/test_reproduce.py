"""Papers' tables measured again: what is printed is what the papers print, and a miniature of each
step from recipe to JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from labelled_digits import first_digits
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from coreset_engine.artifacts.store import Store
from coreset_engine.cli.commands.reproduce import _row_labels, lines
from coreset_engine.cli.main import app
from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.core.registry import METHODS, load
from coreset_engine.evaluation import experiment
from coreset_engine.evaluation.published_tables import TABLES, find_table
from coreset_engine.evaluation.reproduce import Reproduction, _grid, needs, reproduce
from coreset_engine.evaluation.sampling_figure import (
    bars,
    drawn_on,
    histogram,
    sampling_shares,
)
from coreset_engine.evaluation.stage_tables import (
    STAGE_TABLES,
    STAGES,
    StageReproduction,
    reproduce_stages,
)
from coreset_engine.evaluation.subset_training import EvaluationConfig
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.recipes import find
from coreset_engine.pipeline.run import Run

N = 300
every = pytest.mark.parametrize("name", sorted(TABLES))


@pytest.fixture(scope="module")
def dataset():
    return first_digits(N)


@pytest.fixture
def run(dataset, tmp_path):
    return Run(dataset, store=Store(tmp_path), n_samples=2000)


@every
def test_a_table_is_complete_and_every_row_can_be_asked_for(name):
    table = TABLES[name]
    assert table.rows and 0 < table.full <= 100
    for row in table.rows:
        expected = 1 if table.mean_over_rates else len(table.rates)
        assert len(row.figures) == expected and row.method in METHODS
        printed = [figure for figure in row.figures if figure is not None]
        assert all(0 < figure <= table.full + 1.5 for figure in printed)
        assert (np.diff(printed) < 1).all(), "accuracy falls with the pruning rate"
        config = RunConfig(**({"recipe": row.recipe} if row.recipe else {}), **row.run)
        assert config.encoder == row.run.get("encoder", config.encoder)
        params = dict(row.params)
        if row.recipe:
            assert find(row.recipe).method == row.method
            params = find(row.recipe).params_at(table.rates[0]) | params
        make(load(METHODS[row.method].config), params)
        make(EvaluationConfig, {"model": table.model} | dict(row.options))


def test_figures_are_those_of_the_papers():
    # Read off the tables: ELFS 1 and 9, BlindCS 3 and 4.
    def figure(name, label, rate):
        table = TABLES[name]
        row = next(row for row in table.rows if row.label == label)
        return row.figures[table.rates.index(rate)]

    assert figure("elfs-1-cifar10", "ELFS (DINO)", 0.9) == 86.9
    assert figure("elfs-1-cifar100", "Badge", 0.8) == 58.9
    assert figure("elfs-9-stl10", "D2 (label free)", 0.3) == 76.2
    assert figure("blindcs-3-cifar100", "BlindCS", 0.9) == 52.11
    assert figure("blindcs-4", "TDDS", 0.8) == 62.56
    assert figure("blindcs-6-eurosat10", "Random", 0.9) == 72.81
    # BlindCS, table 5: one mean a row.
    ablations = {row.label: row.figures for row in find_table("blindcs-5").rows}
    assert ablations["Full method"] == (65.77,) and ablations["m = 100"] == (62.20,)
    assert ablations["No redundancy score"] == (61.71,)
    # ELFS, tables 2, 6 and 10.
    swav = find_table("elfs-2-cifar100").rows[0]
    assert (swav.label, swav.figures) == ("TEMI (SwAv)", (60.23, 57.73, 26.51))
    assert find_table("elfs-10-cinic10").rows[0].figures == (33.94, 16.67, 9.55)
    assert find_table("elfs-6-cinic10").rows[0].figures == (14, 286, 80, 2)


def test_a_small_reproduction_from_rows_to_cells(run):
    answer = []
    wanted = Reproduction(
        find_table("elfs-1-cifar10"), 2, (0.5, 0.9), ("Random", "ELFS (DINO)"), small=True
    )
    assert wanted.trainings == 2 * (2 * 2 + 1)
    found = reproduce(run, wanted, lambda done, total, cells: answer.append((done, total)))
    assert answer[0] == (1, 10) and answer[-1] == (10, 10)
    assert [(cell["row"], cell["prune_rate"], cell["paper"]) for cell in found["cells"]] == [
        ("Random", 0.5, 93.4),
        ("Random", 0.9, 79.0),
        ("ELFS (DINO)", 0.5, 94.9),
        ("ELFS (DINO)", 0.9, 86.9),
    ]
    for cell in found["cells"]:
        a, b = cell["accuracies"]
        assert cell["n"] == 2 and cell["mean"] == pytest.approx((a + b) / 2)
        # Of two values the standard error is half their distance.
        assert cell["standard_error"] == pytest.approx(abs(a - b) / 2)
        assert cell["difference"] == pytest.approx(cell["mean"] - cell["paper"])
    assert found["full"]["paper"] == 95.5 and found["full"]["mean"] > found["cells"][1]["mean"]
    printed = "\n".join(lines(found))
    assert "ELFS (arXiv 2406.04273), table 1" in printed and "at small scale" in printed
    assert json.loads(json.dumps(found)) == found
    elfs = found["cells"][3]
    assert elfs["recipe"] == "elfs-paper-cifar10" and elfs["method"] == "elfs"


def test_the_beta_of_the_papers_table_is_used(run, monkeypatch):
    from coreset_engine.pipeline.select import select

    seen = []

    def spy(method, given, rate, **params):
        seen.append((method, rate, params))
        return select(method, given, rate, **params)

    monkeypatch.setattr(experiment, "select", spy)
    table = find_table("elfs-1-cifar10")
    reproduce(run, Reproduction(table, 1, (0.5, 0.9), ("ELFS (DINO)",), small=True))
    # ELFS, table 7: CIFAR-10 with DINO, 0 at 50 % and 0.4 at 90 %.
    assert [(rate, params["beta"]) for _, rate, params in seen] == [(0.5, 0.0), (0.9, 0.4)]


def test_a_stopped_reproduction_goes_on(dataset, tmp_path, monkeypatch):
    calls = []
    train = experiment.evaluate_subset
    monkeypatch.setattr(
        experiment, "evaluate_subset", lambda *a, **b: calls.append(1) or train(*a, **b)
    )

    def fresh():
        return Run(dataset, store=Store(tmp_path), n_samples=2000)

    wanted = Reproduction(find_table("elfs-3"), 2, (0.8,), ("ELFS (DINO)",), small=True)

    def stop(done, total, cells):
        if done == 3:
            raise Cancelled("enough.")

    with pytest.raises(Cancelled):
        reproduce(fresh(), wanted, stop)
    before = len(calls)
    first = reproduce(fresh(), wanted)
    assert len(calls) == before + 1, "one cell was left"
    assert reproduce(fresh(), wanted) == first and len(calls) == before + 1


def test_passes_over_a_coreset_become_steps(run):
    table = find_table("blindcs-3-cifar10")
    grid = _grid(run, Reproduction(table, 1), table.rows[0], 0.5)
    # 150 of 300 images fill one batch of 256: 200 passes are 200 steps; weights as in eq. 10.
    assert grid.config.steps == 200 and grid.config.loss_weights and grid.config.model == "resnet18"
    assert _grid(run, Reproduction(table, 1, small=True), table.rows[0], 0.5).config.steps == 0
    elfs = find_table("elfs-4")
    rows = {row.label: row for row in elfs.rows}
    config = _grid(run, Reproduction(elfs, 1), rows["ELFS (ResNet50)"], 0.5).config
    assert config.model == "resnet50" and config.steps == 40_000


def test_what_a_full_reproduction_takes():
    # 7 rows at 5 rates and one training on all, 5 seeds: 180 trainings of 65 minutes, 195 hours.
    table = find_table("elfs-1-cifar10")
    assert len(table.rows) == 7 and table.trainings == 5 * (7 * 5 + 1) == 180
    assert "180 trainings of resnet18 on CIFAR-10, some 195 hours" in needs(table, 5)


@pytest.mark.parametrize(
    "words, message",
    [
        ("elfs-1-cifar", "Did you mean 'elfs-1-cifar10'?"),
        ("elfs-1-cifar10", "give that data as a folder, or --small"),
        ("elfs-1-cifar10 demo", "there is no GPU here; add --small"),
        ("elfs-1-cifar10 demo --small --prune-rates 0.4", "rate 0.4 is not in elfs-1-cifar10"),
        ("elfs-1-cifar10 demo --small --rows Badger", "row 'Badger' is not in"),
        ("elfs-1-cifar10 demo --small --seeds -1", "--seeds -1 must be 0"),
        ("elfs-2-cifar10 demo --small --prune-rates 0.5", "has no pruning rate"),
        ("elfs-2-cifar10 demo --small --rows Swav", "row 'Swav' is not in elfs-2-cifar10"),
        # Three clusterings of 2 + 41 minutes.
        ("elfs-2-cifar10 demo", "some 2.1 hours on a GPU of the paper"),
        ("blindcs-fig-2", "needs the vectors of CIFAR-100 and no training"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(words, message, monkeypatch, tmp_path):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = CliRunner().invoke(app, ["reproduce", *words.split()])
    assert isinstance(done.exception, BadInput) and message in str(done.exception), done.output


def test_a_table_of_means_averages_each_seed_over_the_rates(run):
    rates = (0.5, 0.9)
    wanted = Reproduction(
        find_table("blindcs-5"), 2, rates, ("Full method", "No redundancy score"), small=True
    )
    answer = []
    found = reproduce(run, wanted, lambda done, total, cells: answer.append((done, total)))
    assert answer[-1] == (2 * (2 * 2 + 1),) * 2
    single = Reproduction(find_table("blindcs-3-cifar100"), 2, rates, ("BlindCS",), small=True)
    half, tenth = (cell["accuracies"] for cell in reproduce(run, single)["cells"])
    full, coverage_alone = found["cells"]
    assert full["accuracies"] == pytest.approx([(a + b) / 2 for a, b in zip(half, tenth)])
    assert (full["prune_rate"], full["paper"], full["n"]) == (None, 65.77, 2)
    assert full["difference"] == pytest.approx(full["mean"] - 65.77)
    assert coverage_alone["accuracies"] != full["accuracies"], "the row's own setting is kept"
    assert "mean of rates" in "\n".join(lines(found))


def test_where_a_paper_prints_no_figure_there_is_no_difference(run):
    run = run.with_config(clusterer="kmeans")
    wanted = Reproduction(find_table("elfs-fig-6b"), 1, (0.3,), ("beta = 0.2",), small=True)
    found = reproduce(run, wanted)
    (cell,) = found["cells"]
    assert cell["paper"] is None and cell["mean"] > 0 and "difference" not in cell
    assert lines(found)[-2].split()[-1] == "-"
    too_large = Reproduction(find_table("elfs-fig-6b"), 1, (0.3,), ("beta = 0.8",), small=True)
    (cell,) = reproduce(run, too_large)["cells"]
    assert cell["mean"] is None and "beta" in cell["error"]


def test_clustering_figures_are_those_of_the_definitions(run, dataset):
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, confusion_matrix, normalized_mutual_info_score

    run = run.with_config(clusterer="kmeans")
    wanted = StageReproduction(find_table("elfs-2-cifar10"), 2, ("TEMI (DINO)",), small=True)
    found = reproduce_stages(run, wanted)
    pseudo = run.pseudo_labels.labels
    counts = confusion_matrix(dataset.labels, pseudo)
    rows, columns = linear_sum_assignment(-counts)
    expected = (
        100 - 100 * counts[rows, columns].sum() / N,
        100 * normalized_mutual_info_score(dataset.labels, pseudo),
        100 * adjusted_rand_score(dataset.labels, pseudo),
    )
    for cell, value, paper in zip(found["cells"], expected, (7.50, 86.49, 85.07), strict=True):
        a, b = cell["values"]
        assert a == pytest.approx(value) and cell["paper"] == paper
        assert cell["mean"] == pytest.approx((a + b) / 2)
        assert cell["standard_error"] == pytest.approx(abs(a - b) / 2)
    assert "NMI, %" in "\n".join(lines(found))
    unlabelled = run.with_dataset(replace(dataset, labels=None, classes=()))
    with pytest.raises(BadInput, match="no true labels"):
        reproduce_stages(unlabelled, wanted)


def test_shares_of_samples_by_hand():
    # Ten bins of width 1 over 0 ... 10. Images: five near 0, three near 1, one near 2, one at 10.
    images = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.1, 1.2, 1.3, 2.5, 10.0])
    # Half of the images lie in the first bin: 2 of 8 samples do. 5.5 and 6.5 lie in empty bins and
    # -1 and 11 beyond all images: 4 of 8. Below the 0.5 % and above the 99.5 % quantile: -1 and 11.
    points = np.array([0.5, 0.6, 1.5, 2.5, 5.5, 6.5, -1.0, 11.0])
    assert sampling_shares(images, points, bins=10) == [25.0, 25.0, 50.0]
    found = histogram(images, points, bins=10)
    assert found.images.tolist() == [5, 3, 1, 0, 0, 0, 0, 0, 0, 1] and found.outside == 2
    assert found.samples.tolist() == [2, 1, 1, 0, 0, 1, 1, 0, 0, 0]
    assert bars([8, 4, 0, 1], width=4) == "█▄ ▁"


def test_figure_2_bears_out_what_it_says_of_the_triangular_distribution(run, dataset):
    # An exponential and a normal column stand for ResNet18's and CLIP's shapes (BlindCS 5.2).
    rng = np.random.default_rng(0)
    for column in (rng.exponential(size=20_000), rng.normal(size=20_000)):
        dense, outer, empty = {}, {}, {}
        for name in ("images", "triangular", "gaussian", "uniform"):
            found = sampling_shares(column, drawn_on(column, name, seed=1))
            dense[name], outer[name], empty[name] = found
        assert dense["triangular"] > dense["uniform"] and empty["images"] == 0
        assert outer["triangular"] > 5 * outer["images"]
        assert empty["triangular"] < empty["uniform"]
    wanted = StageReproduction(find_table("blindcs-fig-2"), 2, small=True)
    found = reproduce_stages(run, wanted)
    assert len(found["cells"]) == 8 * 3 and len(found["histograms"]) == 8
    for cell in found["cells"]:
        a, b = cell["values"]
        assert cell["paper"] is None and cell["mean"] == pytest.approx((a + b) / 2)
        assert 0 <= cell["mean"] <= 100 and "difference" not in cell
    first = found["histograms"][0]
    assert sum(first["images"]) == N and sum(first["samples"]) + first["outside"] == N
    printed = "\n".join(lines(found))
    assert "CLIP, gaussian" in printed and "samples |" in printed
    assert json.loads(json.dumps(found)) == found


def test_the_runtime_of_figure_4_scores_as_many_samples_as_the_row_says(run, monkeypatch):
    from coreset_engine.coverage import scores

    asked = []
    real = scores.coverage_scores
    monkeypatch.setattr(
        scores, "coverage_scores", lambda *a, **b: asked.append(b["n_samples"]) or real(*a, **b)
    )
    wanted = StageReproduction(find_table("blindcs-fig-4-runtime"), 1, ("T = 1,000",), small=True)
    (cell,) = reproduce_stages(run, wanted)["cells"]
    assert asked == [64, 1000] and cell["mean"] > 0 and cell["measure"] == "coverage scores, s"


def test_the_random_coverage_sample_of_table_5_counts_uniform_draws(run):
    rows = {row.label: row for row in find_table("blindcs-5").rows}
    row = rows["Random coverage sample"]
    assert row.figures == (64.74,)
    made = run.with_config(**{"n_samples": 30 * N} | {"coverage": row.run["coverage"]})
    score = made.coverage.score
    # Multinomial counts of 30 N draws over N images: mean 30, variance 30 (1 - 1 / N).
    assert score.sum() == 30 * N and score.mean() == 30
    assert 0.75 < score.var() / (30 * (1 - 1 / N)) < 1.25
    kept = rows["Random coverage sample, with redundancy"].run["coverage"]
    assert made.with_config(coverage=kept).coverage.redundancy.sum() == pytest.approx(30 * N)


def test_minutes_of_stages_do_not_count_what_lay_finished(run, monkeypatch):
    from coreset_engine.artifacts import log

    run = run.with_config(clusterer="kmeans")
    assert run.dynamics is not None, "every stage lies finished in the run's own store"
    computed = []
    monkeypatch.setattr(log, "write", lambda home, event, **about: computed.append(about))
    found = reproduce_stages(run, StageReproduction(find_table("elfs-6-cifar10"), 1, small=True))
    made = {about["stage"] for about in computed if "stage" in about}
    assert {"neighbours", "pseudo_labels", "dynamics"} <= made
    assert [cell["measure"] for cell in found["cells"]] == list(STAGES)
    assert [cell["paper"] for cell in found["cells"]] == [2, 41, 65, 1]
    assert all(cell["mean"] > 0 for cell in found["cells"])


def test_rows_with_commas_in_their_labels_can_be_asked_for():
    sampling = [row.label for row in find_table("blindcs-fig-2").rows]
    assert _row_labels("resnet18, Triangular, CLIP, images", sampling) == (
        "resnet18, Triangular",
        "CLIP, images",
    )
    counts = [row.label for row in find_table("blindcs-fig-4").rows]
    assert _row_labels("T = 1,000,000,T = 100", counts) == ("T = 1,000,000", "T = 100")
    ablations = [row.label for row in find_table("blindcs-5").rows]
    asked = "Random coverage sample, with redundancy, Random coverage sample, Lost"
    assert _row_labels(asked, ablations) == (
        "Random coverage sample, with redundancy",
        "Random coverage sample",
        "Lost",
    )
    assert _row_labels("", ablations) == ()


def test_one_command_from_local_files_to_json(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    vectors = tmp_path / "v.npz"
    data = load_digits()
    np.savez(vectors, vectors=data.data[:200].astype(np.float32), labels=data.target[:200])
    words = (
        f"reproduce blindcs-3-cifar10 {vectors} --small --seeds 2 --prune-rates 0.7 --n-samples 500"
    )
    words += f" --rows BlindCS,Random --out {tmp_path / 'cells.json'}"
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, (done.output, done.exception)
    assert "BlindCS (ZCore, arXiv 2411.15349), table 3: CIFAR10" in done.output
    found = json.loads((tmp_path / "cells.json").read_text())
    assert [cell["n"] for cell in found["cells"]] == [2, 2] and found["small"]
    listed = CliRunner().invoke(app, ["reproduce", "list"])
    assert all(name in listed.output for name in (*TABLES, *STAGE_TABLES))
