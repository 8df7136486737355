"""What every page shares: title, empty states, CSS, and the boundary that catches errors.

An error meant for people (CoresetError) is shown as its own sentence where it arose. Anything else
is shown as one sentence with an id; the traceback goes to the workspace's log under that id.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from coreset_engine.core.errors import CoresetError
from ui.components.escape import markdown as escaped
from ui.components.jobs import recompute_once, submit_button
from ui.state import sampling, session

STAGE_NAMES = {
    "embeddings": "embeddings",
    "neighbours": "neighbours",
    "pseudo_labels": "pseudo-labels",
    "dynamics": "training dynamics",
    "coverage": "coverage scores",
    "map": "map",
}
TITLE_FIRST = 0.03  # seconds in which the browser begins to draw the title alone
_CSS = Path(__file__).with_name("page.css")


def stage_names(stages: Iterable[str]) -> str:
    """The stages in words, e.g. "pseudo-labels, training dynamics"."""
    return ", ".join(STAGE_NAMES.get(stage, stage) for stage in stages)


def page_header(title: str, question: str) -> None:
    """The page's title and, in one line, the question it answers.

    On the way to a page, the rest follows after a moment: what reaches the browser together with
    the title is built before anything is drawn.
    """
    st.title(title, anchor=False)
    st.caption(question)
    if session.get("titled") != title:
        session.put("titled", title)
        time.sleep(TITLE_FIRST)


def empty_state(text: str, action: str | None = None, page: str | None = None) -> None:
    """Show what is missing, with a link to the page that computes it."""
    with st.container(border=True):
        st.markdown(text)
        if page:
            st.page_link(page, label=action or "Open that page")


def proposed_dataset() -> str:
    """Say which dataset the address names and why it is not opened; empty where it names none."""
    proposed = session.get("proposed")
    if not proposed:
        return ""
    return (
        f"This link asks for {escaped(proposed)}, which has not been opened in this workspace "
        "before. Open it yourself if you trust it."
    )


def require_run(*stages: str, note_sample: bool = True) -> session.RunView:
    """Return the opened run with these stages computed, or stop the page with the next step.

    Parameters
    ----------
    stages : str
        Names from `session.STAGES`.
    note_sample : bool
        Say in one line when a sample of the dataset is shown.

    Returns
    -------
    session.RunView
        The run of this session.
    """
    view = session.current_run()
    if view is None:
        empty_state(
            proposed_dataset() or "No dataset is open.", "Open one on Home", "pages/home.py"
        )
        st.stop()
    session.settle_count(len(view.full or view))
    missing = view.missing(stages)
    if missing:
        earlier = outdated_run(view, stages, missing)
        if earlier is None:
            _offer_to_compute(view, missing)
            st.stop()
        view = earlier
    else:
        session.note_complete(view)
    if note_sample:
        sampling.show_sample_note(view)
    return view


def outdated_run(
    view: session.RunView, stages: Sequence[str], missing: list[str]
) -> session.RunView | None:
    """The results of before, marked as outdated while the new ones are computed.

    None where this session has seen no such results.
    """
    earlier = session.earlier_run(view, stages)
    if earlier is None:
        return None
    same_settings = earlier.config == view.config
    cause = "your last corrections" if same_settings else "your last change of settings"
    words, button = st.columns([5, 1], vertical_alignment="center")
    words.markdown(
        f":orange-badge[Outdated] Shown as computed before {cause}: the "
        f"{stage_names(missing)} are not up to date yet."
    )
    with button:
        if same_settings:
            recompute_once(view, missing)
        else:
            submit_button("Compute", "prepare", view, primary=True)
    return earlier


def say_outdated(view: session.RunView, stages: Sequence[str], what: str) -> None:
    """Mark a selection made from results of before, while those of `stages` are not up to date.

    what: the selection in words, the start of the sentence.
    """
    missing = view.missing(stages)
    if missing and session.earlier_run(view, stages) is not None:
        st.caption(
            f":orange-badge[Outdated] {what} was made before your last change: the "
            f"{stage_names(missing)} are not up to date yet."
        )


def _offer_to_compute(view: session.RunView, missing: list[str]) -> None:
    name = escaped(session.short_name(view.spec))
    with st.container(border=True):
        st.markdown(
            f"This page needs the **{stage_names(missing)}** of **{name}**, not computed yet for "
            "these settings. They are computed in the background; you can leave this page."
        )
        submit_button("Compute", "prepare", view, primary=True)


def show_error(error: BaseException) -> None:
    """Show a CoresetError as its sentence, anything else as an id to look up in the log."""
    if isinstance(error, CoresetError):
        st.error(escaped(str(error)))
        return
    from coreset_engine.artifacts.internal_errors import record

    sentence = record(error)
    st.error(f"{escaped(sentence[:1].upper() + sentence[1:])} Your data and results are unchanged.")


@contextmanager
def error_boundary() -> Iterator[None]:
    """Show any error raised inside instead of a traceback.

    Streamlit's own control flow does not derive from Exception and passes through.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the last boundary before the user
        show_error(error)


def with_error_boundary(draw: Callable[..., Any]) -> Callable[..., Any]:
    """`error_boundary` as a decorator, for fragments (they rerun outside the page)."""

    @functools.wraps(draw)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with error_boundary():
            return draw(*args, **kwargs)

    return wrapped


def script_error(error: Exception) -> bool:
    """For st.App(on_script_error): callbacks and whatever else escaped a boundary."""
    show_error(error)
    return True


def apply_css() -> None:
    """Apply the few rules that Streamlit's theme cannot express."""
    st.html(f"<style>{_CSS.read_text('utf-8')}</style>")
