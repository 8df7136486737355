"""Home after an update: what is new, gone and changed, and the next images given the earlier picks.

The change is computed from the states kept in the workspace, so that it is there in a later session
too. Choosing the next images is a job, whose result is shown here with the change of the
certificate.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.artifacts import filesystem, source_states
from coreset_engine.artifacts.source_states import SourceChange
from coreset_engine.core.counted import counted
from coreset_engine.core.filters import TAG, Filter
from coreset_engine.core.ids import places_of
from coreset_engine.core.types import Dataset
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.jobs import list_jobs, submit
from ui.components.palette import category
from ui.components.thumbnails import Tiles, gallery
from ui.selection import controls
from ui.state import marks, session
from ui.state.result_filters import set_filters
from ui.views.certificate import MEASURES
from ui.views.export import file_stem

RECENT_S = 7 * 86_400  # how long after an update the change is shown unfolded
MORE = 200
TILES = 60
NAMES = 200  # ids of what is gone that are listed
SHOWN = ("mean_distance", "p95_distance", "worst_distance", "clusters_missed")
MOMENTS = {
    "before": "Earlier picks, source as it was",
    "now": "Earlier picks, source as it is",
    "next": "With the next images",
}


def show(view: session.RunView) -> None:
    """Draw what changed since the earlier state, and how to go on from an earlier selection."""
    change, now = _change(
        view.spec, view.dataset.fingerprint, str(view.run.store.home), view.dataset
    )
    if not change:
        return
    day = datetime.fromtimestamp(change.former.at)
    title = f"Changed since {day.day} {day:%B %Y}: {change.sentence()}"
    with st.expander(title, expanded=time.time() - now < RECENT_S):
        _come(view, change)
        _left(change)
        _next_images(view)


@st.cache_resource(max_entries=8, show_spinner=False)
def _change(
    spec: str, fingerprint: str, home: str, _dataset: Dataset
) -> tuple[SourceChange | None, float]:
    """(what differs from the latest other state, time of this state); None without another."""
    known = source_states.states(spec, Path(home))
    others = [state for state in known if state.fingerprint != fingerprint]
    now = max((state.at for state in known if state.fingerprint == fingerprint), default=0.0)
    return source_states.compare(others[0], _dataset) if others else None, now


def _come(view: session.RunView, change: SourceChange) -> None:
    """The new and changed images, and the way to see them on the map."""
    ids = [*change.new, *change.changed]
    if not ids:
        return
    positions = places_of(view.dataset.ids, ids)
    there = positions >= 0
    facts = ["new"] * len(change.new) + ["changed"] * len(change.changed)
    colours = [category(0) if fact == "new" else category(1) for fact in facts]
    rows = np.flatnonzero(there)[:TILES]
    if len(rows) and view.dataset.reader is not None:
        gallery(
            view.dataset,
            positions[rows],
            Tiles(
                [facts[row] for row in rows],
                facts=[plain(ids[row], 120) for row in rows],
                marks=[colours[row] for row in rows],
            ),
            key="growth:new",
            height=190,
        )
    left, right = st.columns([2, 3], vertical_alignment="center")
    every = f"all {len(ids):,}" if len(ids) > 1 else "it"
    if left.button(f"Show {every} on the map", key="growth:map", width="stretch"):
        tag = f"new-{datetime.now():%Y-%m-%d}"
        marks.set_tag(view, tag, ids)
        set_filters({TAG: Filter.tagged(tag)})
        session.put("news", [f"{counted(len(ids), 'image')} got the tag {tag}."])
        st.switch_page("pages/explore.py")
    right.caption("New images get a tag with today's date; filter and select by it.")


def _left(change: SourceChange) -> None:
    """Names of what is gone or renamed."""
    if not change.gone and not change.renamed:
        return
    with st.popover(f"{len(change.gone):,} gone, {len(change.renamed):,} renamed"):
        rows = [(name, "gone") for name in change.gone[:NAMES]]
        rows += [(old, f"now {new}") for old, new in change.renamed[:NAMES]]
        st.dataframe(
            {
                "Image": [plain(name, 200) for name, _ in rows],
                "What": [plain(what, 200) for _, what in rows],
            },
            hide_index=True,
            width="stretch",
        )


# -- the next images -------------------------------------------------------------------------------


def _next_images(view: session.RunView) -> None:
    st.markdown("**The next images, given all that was chosen before**")
    known = selections_of(view)
    other = "another folder ..."
    left, middle, right = st.columns([4, 1, 2], vertical_alignment="bottom")
    folder = left.selectbox(
        "Continue from the selection in",
        [*map(str, known), other],
        format_func=lambda path: path if path == other else plain(_name_of(Path(path)), 90),
        key="growth:from",
        help="Its method and settings are reused, and its images are kept.",
    )
    more = middle.number_input(
        "Images", 1, len(view), min(MORE, max(1, len(view) // 5)), key="growth:more"
    )
    if folder == other:
        folder = st.text_input(
            "Folder of a selection",
            key="growth:folder",
            placeholder="a folder with selection.parquet and manifest.json",
        ).strip()
    if right.button(
        f"Choose the next {int(more):,}", key="growth:choose", type="primary", width="stretch"
    ):
        _choose(view, folder, int(more))
    _chosen(view)


def selections_of(view: session.RunView, most: int = 30) -> list[Path]:
    """Selection folders in the workspace's exports of this source, newest first."""
    folders = []
    for path in (session.home() / "exports").glob("*/manifest.json"):
        manifest = filesystem.read_json(path)
        if isinstance(manifest, dict) and manifest.get("source") == view.spec:
            folders.append((path.stat().st_mtime, path.parent))
    return [folder for _, folder in sorted(folders, reverse=True)[:most]]


def _name_of(folder: Path) -> str:
    manifest = filesystem.read_json(folder / "manifest.json") or {}
    return f"{folder.name}: {manifest.get('k', '?')} images by {manifest.get('method', '?')}"


def _choose(view: session.RunView, folder: str, more: int) -> None:
    if not folder:
        st.error("No selection is named; type the folder of one, such as an export's.")
        return
    number = 1
    out = session.home() / "exports" / f"{file_stem(view)}-update"
    while out.exists():
        number += 1
        out = out.with_name(f"{file_stem(view)}-update-{number}")
    params = dict(selection=folder, more=more, out=str(out))
    submit("update", view.spec, {**view.job_params, **params})


def _chosen(view: session.RunView) -> None:
    """The result of the newest finished job on the source as it is."""
    done = next(
        (
            job
            for job in list_jobs()
            if job.kind == "update"
            and job.status == "done"
            and job.result.get("fingerprint") == view.dataset.fingerprint
        ),
        None,
    )
    if done is None:
        return
    result = done.result
    lost = f" (gone or changed: {len(result['lost']):,})" if result["lost"] else ""
    st.markdown(f"Earlier images kept: **{result['kept']:,}**{lost}. Next: **{result['next']:,}**.")
    table = certificate_table(result["certificate"], clusters=view.ready("pseudo_labels"))
    st.dataframe(table, hide_index=True, width="stretch")
    st.caption(sentence(result["certificate"]))
    positions = places_of(view.dataset.ids, result["next_ids"])
    positions = positions[positions >= 0]
    if view.dataset.reader is not None:
        gallery(view.dataset, positions[:TILES], key="growth:next", height=190)
    left, right = st.columns([2, 3], vertical_alignment="center")
    if left.button("Keep them all on Select", key="growth:select", width="stretch"):
        _to_select(view, [*result["kept_ids"], *result["next_ids"]])
    right.caption(f"Written to {escaped(plain(result.get('out', ''), 200))}")


def certificate_table(
    certificates: dict[str, dict[str, Any]], clusters: bool = True
) -> dict[str, list[str]]:
    """One row for each measure, one column for each moment that is known."""
    shown = [name for name in SHOWN if clusters or name != "clusters_missed"]
    moments = [name for name in MOMENTS if name in certificates]
    table = {"": [MEASURES[name] for name in shown]}
    for moment in moments:
        values = [certificates[moment].get(name) for name in shown]
        table[MOMENTS[moment]] = ["" if v is None else f"{v:.4g}" for v in values]
    return table


def sentence(certificates: dict[str, dict[str, Any]]) -> str:
    """What the change of the mean distance says."""
    names = [name for name in MOMENTS if name in certificates]
    first = certificates[names[0]]
    last = certificates["next"]
    if "before" not in certificates or "now" not in certificates:
        return "The embeddings of the earlier state were removed, so its certificate is unknown."
    now = certificates["now"]
    if now["mean_distance"] > first["mean_distance"] * 1.01:
        change = "The new images lie in poorly covered regions: the mean distance rose"
    else:
        change = (
            "The earlier picks cover the new images as well as the others: the mean distance went"
        )
    return (
        f"{change} from {first['mean_distance']:.4f} to {now['mean_distance']:.4f}, and is "
        f"{last['mean_distance']:.4f} with the next images."
    )


def _to_select(view: session.RunView, ids: list[str]) -> None:
    controls.pin(ids, "keep")
    controls.set_count(view, len(ids))
    session.put("news", [f"{counted(len(ids), 'image is', 'images are')} kept in every selection."])
    st.switch_page("pages/select.py")
