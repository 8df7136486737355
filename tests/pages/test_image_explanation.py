"""The panel of one image: what each aim of a mixed selection added."""

from __future__ import annotations

import numpy as np

from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source
from ui.views.image_explanation import term_lines


def mixed(tmp_path, **weights):
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    return select("mix", Run(open_source(str(tmp_path / "v.npy"))), count=10, **weights)


def test_a_mixed_selection_says_what_each_aim_added(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    selection = mixed(tmp_path, diversity=1, typicality=0.5)
    for i in (int(selection.indices[0]), int(selection.indices[-1])):
        diversity = selection.columns["mix_diversity"][i]
        typicality = selection.columns["mix_typicality"][i]
        assert term_lines(selection, i) == [
            f"Terms when it was ranked: diversity {diversity:.2f}, typicality {typicality:.2f}."
        ]


def test_other_methods_have_no_terms(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    np.save(tmp_path / "v.npy", np.eye(8, dtype=np.float32))
    selection = select("random", Run(open_source(str(tmp_path / "v.npy"))), count=3)
    assert term_lines(selection, int(selection.indices[0])) == [] == term_lines(None, 0)
