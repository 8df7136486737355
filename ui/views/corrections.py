"""Corrections to pseudo-labels: rename a cluster, merge two, relabel images.

Each is one entry of the workspace's history for this dataset (`coreset_engine.artifacts.history`),
so that it can be undone. Relabelled images are stored by id, never by position.
"""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from coreset_engine.artifacts import history
from coreset_engine.core.ids import positions_of
from ui.components.charts import as_csv
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.frame import STAGE_NAMES
from ui.components.jobs import submit_button
from ui.state import session
from ui.state.clusters import (
    cluster_names,
    clustering_key,
    corrections_of,
    n_corrections_elsewhere,
)

MAX_IDS = 100_000
LASSO = "Images in the lasso"
ERRORS = "Images listed under Review"
PASTED = "Ids below"


def show_corrections(view: session.RunView) -> None:
    """Draw the form that relabels many images, and the list of corrections with undo."""
    names = cluster_names(view)
    st.caption(
        "Corrections belong to this dataset and can be undone one by one. New selections and "
        "exports use them, and training dynamics are recomputed on the corrected labels."
    )
    if corrections_of(view) and not view.ready("dynamics"):
        st.info(f"The {STAGE_NAMES['dynamics']} do not include these corrections yet.")
        submit_button("Recompute with corrections", "prepare", view, primary=True)
    with st.form("correct:relabel"):
        made = _relabel_form(view, names)
    _show_list(view, names)
    if made is not None:
        record(view, made)


def _select_cluster(label: str, names: list[str], key: str) -> int:
    return st.selectbox(
        label, range(len(names)), key=key, format_func=lambda c: plain(names[c], 60)
    )


def _relabel_form(view: session.RunView, names: list[str]) -> dict[str, Any] | None:
    st.markdown("**Relabel images**")
    source = st.radio("Images", [LASSO, ERRORS, PASTED], key="relabel:source")
    pasted = st.text_area("Ids, one per line", key="relabel:ids", height=80)
    target = _select_cluster("New label", names, "relabel:target")
    if not st.form_submit_button("Relabel"):
        return None
    ids = chosen_ids(view, source, pasted)
    if not ids:
        st.error("No images: draw a lasso on Explore, open Review, or paste ids.")
        return None
    return {"kind": "relabel", "ids": ids, "cluster": int(target)}


def chosen_ids(view: session.RunView, source: str, pasted: str) -> list[str]:
    """Ids of the dataset from the lasso, the gallery or pasted text.

    Unknown ids are left out, with a warning.
    """
    if source == LASSO:
        asked = list(session.get("lasso") or ())
    elif source == ERRORS:
        asked = list(session.get("errors_shown") or ())
    else:
        asked = [line.strip() for line in re.split(r"[\r\n,]+", pasted) if line.strip()][:MAX_IDS]
    asked = [str(name) for name in asked]
    positions = positions_of((view.full or view).dataset.ids, asked)
    known = {name for name, position in zip(asked, positions, strict=True) if position >= 0}
    unknown = [name for name in asked if name not in known]
    if unknown:
        st.warning(
            f"{len(unknown):,} ids are not in this dataset and were left out, for example "
            f"{escaped(unknown[0])}."
        )
    return [name for name in asked if name in known]


def _show_list(view: session.RunView, names: list[str]) -> None:
    made = corrections_of(view)
    elsewhere = n_corrections_elsewhere(view)
    if elsewhere:
        st.caption(
            f"{elsewhere:,} earlier correction{'s' if elsewhere > 1 else ''} of these images "
            f"{'belong' if elsewhere > 1 else 'belongs'} to a clustering made with other settings "
            "or by another version, and cannot be applied to these clusters."
        )
    if not made:
        st.caption("No corrections yet.")
        return
    st.subheader(f"{len(made):,} correction{'s' if len(made) > 1 else ''}", anchor=False)
    st.dataframe(
        {"Correction": [sentence(entry, names) for entry in reversed(made)]},
        hide_index=True,
        width="stretch",
    )
    with st.container(horizontal=True):
        _undo_button(view, made)
        of_sample = " of the sample" if view.full else ""
        st.download_button(
            f"Corrected labels{of_sample} (CSV)",
            lambda: as_csv(corrected(view)),
            "corrected-labels.csv",
            "text/csv",
            key="correct:csv",
            on_click="ignore",
        )


def _undo_button(view: session.RunView, made: list[dict[str, Any]]) -> None:
    """Undo the newest correction of the dataset, unless it belongs to another clustering."""
    everything = history.corrections((view.full or view).dataset.fingerprint, session.home())
    of_another = everything[-1].get("clustering") != made[-1].get("clustering")
    help_text = None
    if of_another:
        help_text = "The newest correction was made with other cluster settings; undo it there."
    if st.button("Undo last", key="correct:undo", disabled=of_another, help=help_text):
        undo(view)
        st.rerun()


def corrected(view: session.RunView) -> dict[str, list]:
    """Every image with its pseudo-label before and after, and the name of its cluster."""
    from coreset_engine.pipeline.corrections import apply, names

    pseudo = view.run.clusters
    made = corrections_of(view)
    after = apply(pseudo.labels, view.dataset.ids, pseudo.n_clusters, made)
    cluster_names = names(pseudo.n_clusters, made)
    return {
        "id": view.dataset.ids.tolist(),
        "pseudo_label": pseudo.labels.tolist(),
        "corrected": after.tolist(),
        "name": [cluster_names.get(cluster, "") for cluster in after.tolist()],
    }


def sentence(entry: dict[str, Any], names: list[str]) -> str:
    """One correction in words."""

    def name_of(cluster: Any) -> str:
        if isinstance(cluster, int) and 0 <= cluster < len(names):
            return plain(names[cluster], 40)
        return str(cluster)

    if entry["kind"] == "rename":
        return f"Cluster {entry['cluster']} renamed to {plain(entry['name'], 60)}"
    if entry["kind"] == "merge":
        merged = ", ".join(map(name_of, entry["clusters"]))
        return f"{merged} merged into {name_of(entry['into'])}"
    count = len(entry["ids"])
    return f"{count:,} image{'s' if count > 1 else ''} relabelled as {name_of(entry['cluster'])}"


def record(view: session.RunView, entry: dict[str, Any]) -> None:
    """Save one correction and rerun the page."""
    history.add_correction(
        (view.full or view).dataset.fingerprint,
        entry | {"clustering": clustering_key(view)},
        session.home(),
    )
    clear_caches()
    session.put("news", ["Correction saved."])
    st.rerun()


def undo(view: session.RunView) -> None:
    """Remove the newest correction of the dataset."""
    history.undo_correction((view.full or view).dataset.fingerprint, session.home())
    clear_caches()


def clear_caches() -> None:
    """Drop everything the server caches that was derived from the labels before a correction."""
    st.cache_resource.clear()
    st.cache_data.clear()
