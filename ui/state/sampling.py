"""Sets too large to draw: pages get their sample in place of them
(coreset_engine.pipeline.sampled_run)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st


def drawable_view(view: Any) -> Any:
    """The RunView `view`, or of a set too large to draw that of its sample: from its clusters once
    there are any."""
    from coreset_engine.pipeline.sampled_run import too_many

    if not too_many(len(view)):
        return view
    return sample_view(
        view.key_of("pseudo_labels"), view.ready("pseudo_labels"), str(view.run.store.home), view
    )


def show_sample_note(view: Any) -> None:
    """One line where pages show a sample."""
    if view.full is not None:
        way = " from every cluster by its share" if view.ready("pseudo_labels") else ""
        st.caption(
            f"Shown is a sample of {len(view):,} of {len(view.full):,} images, drawn once{way}; jobs and "
            "exports work on all."
        )


@st.cache_resource(max_entries=4, show_spinner="Drawing a sample ...")
def sample_view(key: str, clustered: bool, home: str, _view: Any) -> Any:
    """The RunView of the sample; `full` is the one it was drawn from."""
    from coreset_engine.pipeline.sampled_run import Sampled

    run = Sampled(_view.run)
    return replace(_view, dataset=run.dataset, run=run, full=_view)
