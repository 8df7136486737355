"""The FiftyOne App inside the Export page; samples selected there can be pinned here.

The engine keeps one App per server process (`coreset_engine.export.fiftyone.app`). This module
shows it to one session at a time, changes its view, and reads its selection and tags.
"""

from __future__ import annotations

import uuid
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import CoresetError
from coreset_engine.core.ids import positions_of
from coreset_engine.export.fiftyone import app as fiftyone_app
from ui.components.escape import escape_option as option
from ui.components.escape import markdown as escaped
from ui.components.jobs import list_jobs
from ui.selection import controls
from ui.state import session

HEIGHT = 760
VIEW_NAMES = {
    "all": "All",
    "kept": "Selected",
    "dropped": "Not selected",
    "suspected errors": "Suspected label errors",
}


def side_by_side(view: session.RunView) -> None:
    """Draw how to get the App, a button that starts it, or the App with controls above it."""
    from coreset_engine.export.targets import database_state

    st.subheader("FiftyOne App", anchor=False)
    usable, sentence = database_state()
    if not usable:
        st.caption(escaped(sentence))
        return
    sent = exported(view)
    app = fiftyone_app.running()
    if app is not None and app.owner == owner() and (app.dataset.name, app.selection) in sent:
        _shown(view, app)
    elif not sent:
        st.caption(
            "Export the selection to a FiftyOne dataset above; then its App opens here, showing "
            "the coreset."
        )
    else:
        _offer(sent, app)


def exported(view: session.RunView) -> list[tuple[str, str]]:
    """(dataset, selection name) of this source's finished exports to FiftyOne, newest first."""
    done = [
        job
        for job in list_jobs()
        if job.kind == "export"
        and job.spec == view.spec
        and job.status == "done"
        and job.params.get("target") == "fiftyone"
    ]
    return list(
        dict.fromkeys(
            (str(job.result.get("name")), str(job.result.get("selection", "main"))) for job in done
        )
    )


def owner() -> str:
    """This browser tab, as far as the server can tell: a reload makes a new one."""
    if not session.get("fiftyone_owner"):
        session.put("fiftyone_owner", uuid.uuid4().hex)
    return session.get("fiftyone_owner")


def _offer(sent: list[tuple[str, str]], app: Any) -> None:
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Dataset",
        range(len(sent)),
        key="fiftyone:dataset",
        format_func=lambda i: option(f"{sent[i][0]} · {sent[i][1]}"),
    )
    taken = app is not None and app.owner != owner()
    if taken:
        st.warning(
            f"The App is open on {escaped(app.dataset.name)} in another tab, for another person, "
            "or in this tab before it was reloaded. It serves one at a time: taking it over closes "
            "it there."
        )
    if right.button(
        "Take over" if taken else "Open FiftyOne here",
        type="primary",
        width="stretch",
        key="fiftyone:open",
    ):
        _open(*sent[chosen])


def _open(name: str, selection: str) -> None:
    with st.status(
        "Starting the FiftyOne App; the first start takes 15 to 20 seconds ..."
    ) as progress:
        try:
            fiftyone_app.open_app(name, owner=owner(), selection=selection, address=_address())
        except CoresetError as error:
            progress.update(label="The FiftyOne App did not start.", state="error")
            st.error(escaped(str(error)))
            return
    st.rerun()


def _address() -> str:
    """The address the App listens on: this machine only, unless this server is open to others."""
    return str(st.get_option("server.address") or "127.0.0.1")


def embedded_url(url: str, page: str) -> str:
    """The App's address for a browser that shows `page`, our address as that browser knows it."""
    host = urlsplit(page).hostname or "127.0.0.1"
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if local:
        return url
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{urlsplit(url).port}/"


def _shown(view: session.RunView, app: Any) -> None:
    with st.container(horizontal=True):
        for name in fiftyone_app.SHOWN:
            if st.button(
                VIEW_NAMES.get(name, name.capitalize()),
                key=f"fiftyone:show:{name}",
                disabled=app.showing == name,
            ):
                _show(app, name)
        lassoed = [str(key) for key in session.get("lasso") or ()]
        if st.button(
            f"Lasso ({len(lassoed):,})",
            key="fiftyone:show:lasso",
            disabled=not lassoed,
            help="Draw a lasso on the Map or Select page first.",
        ):
            _show(app, lassoed)
        if st.button("Close the App", key="fiftyone:close"):
            fiftyone_app.close_app()
            st.rerun()
    st.caption(
        f"Dataset {escaped(app.dataset.name)}. Samples that you select or tag in the App can be "
        "always included or excluded below."
    )
    st.iframe(embedded_url(app.url, st.context.url or ""), height=HEIGHT, alt="FiftyOne App")
    st.fragment(run_every="2s")(_show_picked)(view, app)


def _show(app: Any, what: Any) -> None:
    try:
        app.show(what)
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    st.rerun()


def _show_picked(view: session.RunView, app: fiftyone_app.App) -> None:
    """Draw what is selected or tagged in the App, with buttons that pin it here. Polled."""
    if fiftyone_app.running() is not app or app.owner != owner():
        st.rerun()
    try:
        _pins(view, "Selected in FiftyOne", app.selected(), "selected")
        tags = app.tags()
        if tags:
            tag = st.selectbox(
                "Tag",
                list(tags),
                key="fiftyone:tag",
                format_func=lambda name: option(f"{name} ({tags[name]:,})"),
            )
            _pins(view, "Tagged in FiftyOne", app.tagged(tag), "tagged")
    except CoresetError as error:
        st.error(escaped(str(error)))


def _pins(view: session.RunView, title: str, ids: list[str], key: str) -> None:
    positions = known(view, ids)
    line, keep, never = st.columns([4, 1, 1], vertical_alignment="center")
    unknown = len(ids) - len(positions)
    missing = f", {unknown:,} of them not in this source" if unknown else ""
    some = ", ".join(positions[:5]) + (" ..." if positions[5:] else "")
    line.markdown(f"**{title}: {len(ids):,}**{missing}  \n{escaped(some, 300)}")
    for column, label, kind in ((keep, "Always include", "keep"), (never, "Exclude", "never")):
        if column.button(
            label, key=f"fiftyone:{key}:{kind}", disabled=not positions, width="stretch"
        ):
            controls.pin(positions, kind)
            st.toast(
                f"{counted(len(positions), 'image')} "
                f"{'included' if kind == 'keep' else 'excluded'}."
            )
            st.rerun()


def known(view: session.RunView, ids: list[str]) -> list[str]:
    """Those of `ids` that this source has, in order."""
    positions = positions_of(view.dataset.ids, ids)
    return [name for name, position in zip(ids, positions, strict=True) if position >= 0]
