"""What every page shares: its head line, empty states, the strip of jobs, and the boundary that
catches errors.

An error meant for people (CoresetError) becomes its own sentence where it arose; anything else
becomes one sentence with an id, and the traceback goes to the workspace's log under that id.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from coreset_engine.core.errors import CoresetError
from ui.components.escape import markdown as escaped
from ui.components.jobs import submit_button
from ui.state import sampling, session

STAGE_NAMES = {
    "embeddings": "embeddings",
    "neighbours": "neighbours",
    "pseudo_labels": "pseudo-labels",
    "dynamics": "training dynamics",
    "coverage": "coverage scores",
    "map": "map",
}


def page_header(title: str, question: str) -> None:
    """The page's name and, in one line, the question it answers."""
    st.title(title, anchor=False)
    st.caption(question)


def empty_state(text: str, action: str | None = None, page: str | None = None) -> None:
    """Says what is missing and offers the one next step (a link to another page)."""
    with st.container(border=True):
        st.markdown(text)
        if page:
            st.page_link(page, label=action or "Go there")


def need_run(*stages: str, say: bool = True) -> session.RunView:
    """The opened run with these stages finished; else an empty state that offers the next step, and
    the page stops.

    say: tell in one line where a sample of it is shown.
    """
    view = session.current_run()
    if view is None:
        empty_state(
            "No images are open yet.", "Choose a source on the Dataset page", "pages/dataset.py"
        )
        st.stop()
    missing = view.missing(stages)
    if missing:
        names = ", ".join(STAGE_NAMES[stage] for stage in missing)
        with st.container(border=True):
            name = escaped(session.short_name(view.spec))
            st.markdown(
                f"**{name}** has no finished **{names}** yet for these settings. "
                "Preparing runs in the background; you can leave this page."
            )
            submit_button("Prepare now", "prepare", view, primary=True)
        st.stop()
    if say:
        sampling.told(view)
    return view


def tell(error: BaseException) -> None:
    """Show an error the right way: our sentence, or an id to quote."""
    if isinstance(error, CoresetError):
        st.error(escaped(str(error)))
        return
    from coreset_engine.artifacts.internal_errors import record

    st.error(
        f"Something went wrong on our side; your work is safe. This is {escaped(record(error))}"
    )


@contextmanager
def boundary() -> Iterator[None]:
    """Nothing below here shows a traceback. Streamlit's own control flow is no Exception and passes
    through."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the last fence before the user
        tell(error)


def guarded(draw: Callable[..., Any]) -> Callable[..., Any]:
    """The boundary as a decorator, for fragments (they rerun outside the page)."""

    @functools.wraps(draw)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with boundary():
            return draw(*args, **kwargs)

    return wrapped


def script_error(error: Exception) -> bool:
    """For st.App(on_script_error): callbacks and whatever else escaped a boundary."""
    tell(error)
    return True


def style() -> None:
    """The little CSS that Streamlit's theme cannot say: less empty room above, calmer captions,
    visible focus."""
    st.html("""<style>
      .stMainBlockContainer { padding-top: 3.75rem; padding-bottom: 3rem; padding-left: 2.4rem;
        padding-right: 2.4rem; max-width: 1560px; }
      h1 { font-size: 1.7rem !important; padding: 0 0 .1rem 0 !important; }
      [data-testid="stSidebarHeader"] { height: 2.2rem; min-height: 0; padding-top: .4rem; padding-bottom: 0; }
      [class*="st-key-job-"] { padding: .55rem .7rem; gap: .35rem; }
      [class*="st-key-job-"] p { font-size: .87rem; }
      [class*="st-key-job-"] button { min-height: 1.9rem; padding: 0 .6rem; }
      h3 { font-size: 1.15rem !important; }
      [data-testid="stSidebarUserContent"] { padding-bottom: 2rem; }
      [data-testid="stMetricValue"] { font-size: 1.7rem; }
      /* Plotly's colours come from the server; these follow a browser that goes dark while the page is open. */
      [data-testid="stPlotlyChart"] :is(.infolayer, .xtick, .ytick) text { fill: currentColor !important; }
      [data-testid="stPlotlyChart"] .gridlayer path {
        stroke: color-mix(in srgb, currentColor 16%, transparent) !important; }
      [data-testid="stPlotlyChart"] .shapelayer path { stroke: currentColor !important; }
      :focus-visible { outline: 2px solid var(--st-primary-color, #0068A4); outline-offset: 1px; }
    </style>""")
