"""A source that changed since it was embedded: reported on Home, with a button to update.

What changed, once it is updated, is in `source_growth`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st

from coreset_engine.artifacts import source_states
from coreset_engine.artifacts.carried_history import carry_over
from coreset_engine.artifacts.store import Store
from coreset_engine.core.types import Dataset
from ui.components.jobs import submit
from ui.state import session
from ui.views import source_growth


def offer(view: session.RunView) -> None:
    """Show what is new since the source was last embedded and offer to update or look again."""
    full = view.full or view
    change = _change(full.spec, full.dataset.fingerprint, str(full.run.store.home), full.dataset)
    if change is None:
        _look_again(full)
        if full.ready("embeddings"):
            source_growth.show(full)
        return
    changes, since = change
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.info(
        f"{changes} since {since}. Update embeds only new images. The others keep their map "
        "positions, labels and tags."
    )
    if right.button("Update", key="source:update", type="primary", width="stretch"):
        _start(full)


def _look_again(view: session.RunView) -> None:
    """A button that reads the source again, for sources whose files may have changed."""
    if view.dataset.paths is None or not view.ready("embeddings"):
        return
    if st.button("Check for new images", key="source:look", type="tertiary"):
        session.reopen()
        _change.clear()
        st.rerun()


@st.cache_data(max_entries=8, show_spinner=False)
def _change(spec: str, fingerprint: str, home: str, _dataset: Dataset) -> tuple[str, str] | None:
    """("12 new images, 3 gone", "28 November") since the latest other state.

    None without one, or where this state was embedded already.
    """
    if source_states.state_of(spec, fingerprint, Path(home)) is not None:
        return None
    known = source_states.states(spec, Path(home))
    change = source_states.compare(known[0], _dataset) if known else None
    if not change:
        return None
    counts = dict(new=change.new, gone=change.gone, changed=change.changed, renamed=change.renamed)
    parts = [f"{len(items):,} {name}" for name, items in counts.items() if items]
    parts[0] = f"{parts[0]} image{'s' if not parts[0].startswith('1 ') else ''}"
    at = datetime.fromtimestamp(known[0].at)
    return ", ".join(parts), f"{at.day} {at:%B %Y}"


def _start(view: session.RunView) -> None:
    """Have the map continue the earlier one, then compute what is missing in the background."""
    from coreset_engine.evaluation.update import former_run, ids_now

    store = Store(view.full_run.store.home)
    for state in source_states.states(view.spec, store.home)[:1]:
        view.full_run.continue_map_of(former_run(view.full_run, state), state)
        same = ids_now(source_states.compare(state, view.dataset), view.dataset)
        carry_over(state.fingerprint, view.dataset.fingerprint, same, store.home)
    _change.clear()
    submit("prepare", view.spec, view.job_params)
