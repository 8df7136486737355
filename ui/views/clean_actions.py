"""What the Clean page does about a finding: exclude all, all but one per group, or some; undo.

Exclusions belong to the dataset and lie in the workspace, so that no selection of any page, job or
shell keeps them.
"""

from __future__ import annotations

from typing import Literal

import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.findings.copies import KEEP_RULES, surplus
from coreset_engine.findings.report import FINDINGS, Report
from coreset_engine.pipeline import exclusions
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.thumbnails import MAX_TILES
from ui.state import session
from ui.views.clean import material_of
from ui.views.corrections import clear_caches

KEEP_TITLES = {
    "first": "first in the source",
    "largest": "largest",
    "oldest": "oldest file",
    "labelled": "labelled",
    "quality": "sharpest",
}


def buttons(view: session.RunView, report: Report, name: str) -> None:
    """Draw the buttons of a finding and handle clicks."""
    finding = report[name]
    grouped = finding.groups is not None
    excluded = set(view.run.excluded_ids)
    left = sum(1 for key in report.ids[finding.positions] if str(key) not in excluded)
    if not left:
        subject = "The image is" if len(finding) == 1 else f"All {len(finding):,} images are"
        st.success(f"{subject} excluded from every selection.")
        return
    keep = _keep_rule(view) if grouped else "first"
    columns = st.columns([3, 2, 2] if grouped else [2, 5])
    if grouped and columns[0].button(
        f"Exclude all but one per group ({finding.n_surplus:,})", type="primary", width="stretch"
    ):
        rows = surplus(finding, material_of(view).keep_facts(), keep)
        _exclude(view, [str(key) for key in report.ids[rows]], name, finding.threshold)
    column = columns[1] if grouped else columns[0]
    kind: Literal["primary", "secondary"] = "secondary" if grouped else "primary"
    if column.button(f"Exclude all ({len(finding):,})", type=kind, width="stretch"):
        _exclude(view, report.ids_of(name), name, finding.threshold)
    with st.expander("Exclude some of them"):
        _some(view, report, name, excluded)


def _keep_rule(view: session.RunView) -> str:
    """Which image of a group stays, from those rules whose facts this source has."""
    facts = material_of(view).keep_facts()
    known = dict(
        first=True,
        largest=facts.area is not None,
        oldest=facts.modified is not None,
        labelled=facts.labels is not None,
        quality=facts.blur is not None,
    )
    return str(
        st.selectbox(
            "Of each group, keep the image that is",
            [rule for rule in KEEP_RULES if known[rule]],
            format_func=KEEP_TITLES.__getitem__,
            key="clean:keep",
        )
    )


def _some(view: session.RunView, report: Report, name: str, excluded: set[str]) -> None:
    ids = [key for key in report.ids_of(name)[:MAX_TILES] if key not in excluded]
    chosen = st.multiselect(
        "Images", ids, key=f"clean:some:{name}", format_func=lambda key: plain(key, 60)
    )
    if st.button("Exclude selected", disabled=not chosen, key=f"clean:exclude:{name}"):
        _exclude(view, chosen, name, report[name].threshold)


def _exclude(view: session.RunView, ids: list[str], name: str, threshold: float | None) -> None:
    count = exclusions.exclude(
        view.dataset.fingerprint, ids, session.home(), reason=name, threshold=threshold
    )
    if len(exclusions.excluded(view.run.exclusions)) >= len(view.dataset):
        exclusions.undo(view.dataset.fingerprint, session.home())
        raise BadInput(
            "excluding these would leave no image to select from; exclude fewer, or lower the "
            "threshold."
        )
    clear_caches()
    title = FINDINGS[name].title.lower()
    session.put("news", [f"{counted(count, 'image')} excluded: {title}."])
    st.rerun()


def undo_button(view: session.RunView) -> None:
    """Undo the newest exclusion; says what it was."""
    made = exclusions.entries(view.dataset.fingerprint, session.home())
    if not made:
        return
    last = made[-1]
    reason = str(last.get("reason", ""))
    kind = FINDINGS.get(reason)
    word = "restored" if last.get("kind") == "restore" else "excluded"
    what = kind.title.lower() if kind else reason or "chosen by hand"
    if st.button("Undo", key="clean:undo", help="Undo the last exclusion"):
        exclusions.undo(view.dataset.fingerprint, session.home())
        clear_caches()
        session.put("news", ["The last exclusion was undone."])
        st.rerun()
    st.caption(f"Last: {counted(len(last.get('ids', ())), 'image')} {word} ({escaped(what)}).")
