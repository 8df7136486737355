"""Memory is asked about before a stage starts; what cannot fit is refused with advice, and nothing
is left behind."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.artifacts.store import Store
from coreset_engine.core import device
from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline import memory_limits
from coreset_engine.pipeline.run import STAGES, Run
from coreset_engine.sources.open import open_source


@pytest.fixture
def run(tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32))
    return Run(
        open_source(str(tmp_path / "v.npy")),
        n_samples=500,
        n_clusters=3,
        store=Store(tmp_path / "home"),
    )


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("embeddings", "map")])
def test_a_stage_that_cannot_fit_says_so_before_it_starts(run, stage, set_limits):
    for needs in STAGES[stage][1]:
        getattr(run, needs)
    set_limits(free_bytes=100)
    with pytest.raises(
        BadInput, match="80 images with 6 dimensions needs at least .* GB are free; .*with more"
    ):
        getattr(run, stage)
    assert not run.ready(stage)
    set_limits(free_bytes=None)
    getattr(run, stage)
    assert run.ready(stage)
    set_limits(free_bytes=0)
    getattr(
        Run(run.dataset, n_samples=500, n_clusters=3, store=run.store), stage
    )  # found, so nothing is asked


def test_needs_grow_with_the_data_and_a_stage_that_streams_needs_nothing():
    for stage in memory_limits.NEEDS:
        assert 0 < memory_limits.needed(stage, 1000, 64) < memory_limits.needed(stage, 2000, 64)
    assert memory_limits.needed("coverage", 1_280_000, 1280, 2) == 1_280_000 * 1280 * 4
    assert memory_limits.needed("embeddings", 10**9, 10**4) == 0 and set(
        memory_limits.ADVICE
    ) == set(memory_limits.NEEDS)


def test_a_container_s_limit_counts(tmp_path):
    for name, text in dict(
        max="5000", current="4000", stat="inactive_file 300\nactive_file 9"
    ).items():
        (tmp_path / name).write_text(text)
    files = tuple(str(tmp_path / name) for name in ("max", "current", "stat"))
    assert device.free_memory([files]) == 1300
    (tmp_path / "max").write_text("max")
    assert device.free_memory([files]) > 10**6


@pytest.mark.parametrize("clusterer", ["temi", "kmeans"])
def test_a_large_set_is_clustered_where_its_rows_would_not_fit(run, set_limits, clusterer):
    """Rows stay on disk and (N, C) probabilities are not kept: no stage after it misses either."""
    from coreset_engine.pipeline.select import select

    run = run.with_config(clusterer=clusterer)
    run.neighbours  # noqa: B018 - made before memory gets scarce
    set_limits(free_bytes=3000)
    with pytest.raises(BadInput, match="pseudo-labels"):
        run.clusters  # noqa: B018
    set_limits(in_memory_bytes=1000)
    set_limits(table_bytes=100)
    assert run.clusters.probabilities is None and len(run.clusters.labels) == 80
    set_limits(free_bytes=10**9)
    assert len(select("elfs", run, prune_rate=0.5)) == 40
    assert memory_limits.needed("pseudo_labels", 10**9, 256) == 24 * 10**9
