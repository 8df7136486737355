"""A source of a single image goes through every stage."""

from __future__ import annotations

import numpy as np

import coreset_engine as ce
from coreset_engine.artifacts.store import Store


def test_one_vector_is_mapped_and_kept_by_every_family(tmp_path):
    np.save(tmp_path / "one.npy", np.array([[1.0, 2.0, 3.0]], np.float32))
    run = ce.Run(ce.open_source(tmp_path / "one.npy"), store=Store(tmp_path / "home"))
    assert run.neighbours.indices.shape == (1, 0)
    assert run.map.shape == (1, 2) and np.isfinite(run.map).all()
    for method in ("random", "blindcs", "elfs"):
        assert ce.select(method, run, prune_rate=0.5).ids.tolist() == ["row-0000000"]
