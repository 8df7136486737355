"""Corrections to pseudo-labels: rename a cluster, merge two, relabel some images. Kept, undone,
handed on as a table.

Each is one entry of the workspace's history for this dataset (`coreset_engine.artifacts.history`),
so that it can be undone; relabelled images keep their ids, never positions.
"""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from coreset_engine.artifacts import history
from coreset_engine.core.ids import places_of
from ui.components.charts import as_csv
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.frame import STAGE_NAMES
from ui.components.jobs import submit_button
from ui.state import session
from ui.views.label_quality import cluster_names

MOST_IDS = 100_000


def show_corrections(view: session.RunView) -> None:
    """Three small forms, and the list of what was corrected, with undo."""
    from ui.views.labels import quality_of

    pseudo = view.run.pseudo_labels
    names = shown_names(
        view, cluster_names(quality_of(view), view.dataset.classes, pseudo.n_clusters)
    )
    st.caption(
        "Corrections are kept for this dataset and can be undone one by one. Selections and exports made from "
        "now on carry them, and training dynamics are computed anew on the corrected labels."
    )
    if entries(view) and not view.ready("dynamics"):
        st.info(f"The {STAGE_NAMES['dynamics']} have not seen these corrections yet.")
        submit_button("Train on the corrected labels", "prepare", view, primary=True)
    left, middle, right = st.columns(3, gap="large")
    made: list[dict[str, Any] | None] = []
    with left, st.form("correct:rename"):
        made.append(_rename(names))
    with middle, st.form("correct:merge"):
        made.append(_merge(names))
    with right, st.form("correct:relabel"):
        made.append(_relabel(view, names))
    _list(view, names)
    for entry in filter(None, made):
        record(view, entry)


def _choice(label: str, names: list[str], key: str) -> int:
    return st.selectbox(
        label, range(len(names)), key=key, format_func=lambda c: plain(names[c], 60)
    )


def _rename(names: list[str]) -> dict[str, Any] | None:
    st.markdown("**Rename a cluster**")
    cluster = _choice("Cluster", names, "rename:cluster")
    name = st.text_input("Its name", key="rename:name", max_chars=80)
    if st.form_submit_button("Rename"):
        if not name.strip():
            st.error("The name is empty; type one, for example shirt.")
            return None
        return {"kind": "rename", "cluster": int(cluster), "name": plain(name, 80)}
    return None


def _merge(names: list[str]) -> dict[str, Any] | None:
    st.markdown("**Merge clusters**")
    source = _choice("Put all of", names, "merge:source")
    target = _choice("into", names, "merge:target")
    if st.form_submit_button("Merge"):
        if source == target:
            st.error(f"Both are cluster {source}; choose two different ones.")
            return None
        return {"kind": "merge", "clusters": [int(source)], "into": int(target)}
    return None


def _relabel(view: session.RunView, names: list[str]) -> dict[str, Any] | None:
    st.markdown("**Relabel images**")
    source = st.radio(
        "Which", ["Lasso on the map", "Shown probable errors", "Pasted ids"], key="relabel:source"
    )
    pasted = st.text_area("Ids, one a line", key="relabel:ids", height=80)
    target = _choice("They are", names, "relabel:target")
    if st.form_submit_button("Relabel"):
        ids = chosen_ids(view, source, pasted)
        if not ids:
            st.error(
                "No image is chosen; draw a lasso on the map, look at probable errors, or paste ids."
            )
            return None
        return {"kind": "relabel", "ids": ids, "cluster": int(target)}
    return None


def chosen_ids(view: session.RunView, source: str, pasted: str) -> list[str]:
    """Ids that exist in the dataset, from the lasso, the gallery or pasted text; unknown ones are
    said and left out."""
    if source == "Lasso on the map":
        asked = list(session.get("lasso") or ())
    elif source == "Shown probable errors":
        asked = list(session.get("errors_shown") or ())
    else:
        asked = [line.strip() for line in re.split(r"[\r\n,]+", pasted) if line.strip()][:MOST_IDS]
    asked = [str(name) for name in asked]
    known = {
        name for name, place in zip(asked, places_of(_whole(view).dataset.ids, asked)) if place >= 0
    }
    unknown = [name for name in asked if name not in known]
    if unknown:
        st.warning(
            f"{len(unknown):,} ids are not in this dataset and were left out, for example "
            f"{escaped(unknown[0])}."
        )
    return [name for name in asked if name in known]


def _list(view: session.RunView, names: list[str]) -> None:
    found = entries(view)
    everything = history.corrections(_whole(view).dataset.fingerprint, session.home())
    if not found:
        st.caption("Nothing corrected yet.")
        return
    st.subheader(f"{len(found):,} correction{'s' if len(found) > 1 else ''}", anchor=False)
    st.dataframe(
        {"What": [sentence(entry, names) for entry in reversed(found)]},
        hide_index=True,
        width="stretch",
    )
    with st.container(horizontal=True):
        other = everything[-1].get("clustering") != found[-1].get("clustering")
        if st.button(
            "Undo the last one",
            key="correct:undo",
            disabled=other,
            help="The last one was made for another clustering; undo it there." if other else None,
        ):
            undo(view)
            st.rerun()
        drawn = " of the sample" if view.full else ""
        st.download_button(
            f"Corrected labels{drawn} as CSV",
            lambda: as_csv(corrected(view)),
            "corrected-labels.csv",
            "text/csv",
            key="correct:csv",
            on_click="ignore",
        )


def corrected(view: session.RunView) -> dict[str, list]:
    """Every image with its pseudo-label before and after, and the name its cluster was given."""
    from coreset_engine.pipeline.corrections import apply, names

    pseudo = view.run.clusters
    made = entries(view)
    after = apply(pseudo.labels, view.dataset.ids, pseudo.n_clusters, made)
    called = names(pseudo.n_clusters, made)
    return {
        "id": view.dataset.ids.tolist(),
        "pseudo_label": pseudo.labels.tolist(),
        "corrected": after.tolist(),
        "name": [called.get(c, "") for c in after.tolist()],
    }


def sentence(entry: dict[str, Any], names: list[str]) -> str:
    """One correction in words."""

    def called(cluster: Any) -> str:
        return (
            plain(names[cluster], 40)
            if isinstance(cluster, int) and 0 <= cluster < len(names)
            else str(cluster)
        )

    if entry["kind"] == "rename":
        return f"cluster {entry['cluster']} is called {plain(entry['name'], 60)}"
    if entry["kind"] == "merge":
        return f"{', '.join(map(called, entry['clusters']))} merged into {called(entry['into'])}"
    return f"{len(entry['ids']):,} images are {called(entry['cluster'])}"


def shown_names(view: session.RunView, names: list[str]) -> list[str]:
    """Cluster names with the renames applied."""
    named = list(names)
    for entry in entries(view):
        if entry["kind"] == "rename" and 0 <= entry["cluster"] < len(named):
            named[entry["cluster"]] = f"{entry['cluster']} ({entry['name']})"
    return named


def entries(view: session.RunView) -> list[dict[str, Any]]:
    """The corrections of this clustering of the dataset, oldest first."""
    from coreset_engine.pipeline import corrections

    return corrections.of_clustering(
        history.corrections(_whole(view).dataset.fingerprint, session.home()), _clustering(view)
    )


def _whole(view: session.RunView) -> session.RunView:
    """Corrections belong to all images, also those made while looking at a sample."""
    return view.full or view


def _clustering(view: session.RunView) -> str:
    return str(view.run.stored_as("pseudo_labels"))


def record(view: session.RunView, entry: dict[str, Any]) -> None:
    """Keep one correction and draw the page again."""
    history.add_correction(
        _whole(view).dataset.fingerprint, entry | {"clustering": _clustering(view)}, session.home()
    )
    forget()
    session.put("news", ["The correction is kept."])
    st.rerun()


def undo(view: session.RunView) -> None:
    history.undo_correction(_whole(view).dataset.fingerprint, session.home())
    forget()


def forget() -> None:
    """Drop what the server holds in memory of the labels as they were: runs, and choices and
    numbers made of them."""
    st.cache_resource.clear()
    st.cache_data.clear()
