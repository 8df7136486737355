"""A dataset with computed scores and FiftyOne's App on it with our panel open, in a process with a
real FiftyOne."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def start(folder, name):
    """120 small pictures in three colours, scores computed, the App with grid and panel side by
    side; its URL."""
    import fiftyone as fo

    from coreset_engine.export.fiftyone import app, plugin_backend

    plugin_backend.install()
    rng = np.random.default_rng(0)
    samples = []
    for i in range(120):
        shade = np.clip(np.eye(3)[i % 3] * 160 + rng.normal(60, 15, (16, 16, 3)), 0, 255).astype(
            np.uint8
        )
        path = Path(folder) / f"{i}.png"
        Image.fromarray(shade).save(path)
        samples.append(fo.Sample(filepath=str(path), vec=rng.normal(6 * (i % 3), 1, 16)))
    fo.Dataset(name).add_samples(samples, progress=False)
    plugin_backend.compute(name, embeddings="vec", n_clusters=3)
    app._spaces = _beside
    return app.open_app(name, owner="test").url


def _beside(fo, dataset):
    grid = fo.Panel(type="Samples", pinned=True)
    panel = fo.Panel(type="coreset_panel")
    return fo.Space(
        children=[
            fo.Space(children=[grid], active_child=grid.component_id),
            fo.Space(children=[panel], active_child=panel.component_id),
        ],
        orientation="horizontal",
    )


def end(name):
    """What the App's button has written; the App is closed."""
    import fiftyone as fo

    from coreset_engine.export.fiftyone import app

    app.close_app()
    dataset = fo.load_dataset(name)
    dataset.reload()
    return dict(
        tags=dataset.count_sample_tags(),
        views=dataset.list_saved_views(),
        rate=dataset.get_run_info("coreset_main").config.manifest["params"].get("prune_rate"),
    )
