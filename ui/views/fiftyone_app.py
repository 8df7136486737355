"""The FiftyOne App inside the Export page: started on demand, follows our buttons; its selection
comes back as pins.

The engine keeps one App per server process (`export.fiftyone_app`); here is whose it is, what it
shows, and what is taken over from it.
"""

from __future__ import annotations

import uuid
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.ids import places_of
from coreset_engine.export.fiftyone import app as fiftyone_app
from ui.components.escape import escape_option as option
from ui.components.escape import markdown as escaped
from ui.components.jobs import list_jobs
from ui.selection import controls
from ui.state import session

HEIGHT = 760


def side_by_side(view: session.RunView) -> None:
    """The section: a line on how to get it, a button that starts it, or the App with our controls
    above it."""
    from coreset_engine.export.targets import database_state

    st.subheader("FiftyOne, side by side", anchor=False)
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
            "Send the selection to a FiftyOne dataset above; then its App opens here, on the coreset."
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
            f"The embedded App is open on {escaped(app.dataset.name)} in another tab or for another person (or "
            "in this tab before it was reloaded). It serves one at a time: taking it over turns them away."
        )
    if right.button(
        "Take it over" if taken else "Open FiftyOne here",
        type="primary",
        width="stretch",
        key="fiftyone:open",
    ):
        _open(*sent[chosen])


def _open(name: str, selection: str) -> None:
    with st.status(
        "Starting the FiftyOne App; the first time takes 15 to 20 seconds ..."
    ) as progress:
        try:
            fiftyone_app.open_app(name, owner=owner(), selection=selection, address=_address())
        except CoresetError as error:
            progress.update(label="The FiftyOne App did not start.", state="error")
            st.error(escaped(str(error)))
            return
    st.rerun()


def _address() -> str:
    """What the App listens on: this machine only, unless our own server was opened to others."""
    return str(st.get_option("server.address") or "127.0.0.1")


def embedded_url(url: str, page: str) -> str:
    """The App's address for the browser that looks at `page` (our own address as that browser wrote
    it)."""
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
                name.capitalize(), key=f"fiftyone:show:{name}", disabled=app.showing == name
            ):
                _show(app, name)
        lassoed = [str(key) for key in session.get("lasso") or ()]
        if st.button(
            f"Lasso on the map ({len(lassoed):,})",
            key="fiftyone:show:lasso",
            disabled=not lassoed,
            help="Draw a lasso on the map of Explore or Select first.",
        ):
            _show(app, lassoed)
        if st.button("Close the App", key="fiftyone:close"):
            fiftyone_app.close_app()
            st.rerun()
    st.caption(
        f"Showing {escaped(app.showing)} of {escaped(app.dataset.name)}. Select samples or tag them in the App; "
        "they can be taken over below."
    )
    st.iframe(embedded_url(app.url, st.context.url or ""), height=HEIGHT, alt="FiftyOne App")
    st.fragment(run_every="2s")(_taken_over)(view, app)


def _show(app: Any, what: Any) -> None:
    try:
        app.show(what)
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    st.rerun()


def _taken_over(view: session.RunView, app: Any) -> None:
    """What is selected or tagged over there, with buttons that pin it here. Polled."""
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
    here = known(view, ids)
    line, keep, never = st.columns([4, 1, 1], vertical_alignment="center")
    away = f", {len(ids) - len(here):,} of them not in this source" if len(here) < len(ids) else ""
    some = ", ".join(here[:5]) + (" ..." if here[5:] else "")
    line.markdown(f"**{title}: {len(ids):,}**{away}  \n{escaped(some, 300)}")
    for place, label, kind in ((keep, "Must keep", "keep"), (never, "Never", "never")):
        if place.button(label, key=f"fiftyone:{key}:{kind}", disabled=not here, width="stretch"):
            controls.pin(here, kind)
            st.toast(f"{len(here):,} images: {label.lower()}.")
            st.rerun()


def known(view: session.RunView, ids: list[str]) -> list[str]:
    """Those of `ids` that this source has, in order."""
    return [key for key, place in zip(ids, places_of(view.dataset.ids, ids)) if place >= 0]
