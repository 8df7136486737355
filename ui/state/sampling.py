"""Datasets too large to draw: pages get a sample instead (coreset_engine.pipeline.sampled_run)."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ui.state.run_view import RunView


def drawable_view(view: RunView) -> RunView:
    """`view`, or the RunView of its sample where it is too large to draw."""
    from coreset_engine.pipeline.sampled_run import too_many

    if not too_many(len(view)):
        return view
    return sample_view(
        view.key_of("pseudo_labels"), view.ready("pseudo_labels"), str(view.run.store.home), view
    )


def show_sample_note(view: RunView) -> None:
    """Say in one line that a page shows a sample."""
    if view.full is not None:
        way = ", stratified by cluster" if view.ready("pseudo_labels") else ""
        st.caption(
            f"This page shows a sample of {len(view):,} of {len(view.full):,} images{way}. Jobs "
            "and exports use all images."
        )


@st.cache_resource(max_entries=4, show_spinner="Drawing a sample ...")
def sample_view(key: str, clustered: bool, home: str, _view: RunView) -> RunView:
    """The RunView of the sample; its `full` is the one it was drawn from.

    Parameters
    ----------
    key : str
        Key of the pseudo-labels, from which the sample is drawn.
    clustered : bool
        Whether they are computed; else images are drawn evenly.
    home : str
        The workspace.
    _view : RunView
        Of all images; no part of the cache's key.
    """
    from coreset_engine.pipeline.sampled_run import Sampled

    run = Sampled(_view.full_run)
    return replace(_view, dataset=run.dataset, run=run, full=_view)
