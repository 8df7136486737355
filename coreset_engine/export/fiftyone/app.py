"""A FiftyOne App of our own, started on demand: we set its view and read its selection.

A FiftyOne session is global to a process and so is this: it belongs to one user at a time
(`owner`), and the next one to open it takes it over explicitly.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from coreset_engine.core import fiftyone_database
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.export_tags import is_export_tag
from coreset_engine.export.fiftyone.bulk_writes import every_sample, quiet
from coreset_engine.export.fiftyone.layers import ID_FIELD, MAIN, Names
from coreset_engine.export.fiftyone.mongodb import free_port

SHOWN = {
    "all": "",
    "kept": "kept",
    "dropped": "dropped",
    "suspected errors": "suspected label errors",
}
_LOCK = threading.RLock()
_app: App | None = None


@dataclass(eq=False)
class App:
    """A running FiftyOne App. url: for the browser. showing: a key of SHOWN, or "chosen images"."""

    session: Any
    dataset: Any
    selection: str
    owner: str
    url: str
    showing: str = "kept"
    names: Names = field(default_factory=Names)

    def show(self, what: str | Sequence[str]) -> int:
        """Show a key of SHOWN, or the images of these ids (ours); how many samples that is."""
        with _LOCK:
            self.dataset.reload()
            if isinstance(what, str):
                view = self._named(what)
                self.showing = what
            else:
                view = every_sample(self.dataset).select(self._samples(list(what)))
                self.showing = "chosen images"
            _patiently(lambda: setattr(self.session, "view", view))
            return len(view)

    def _named(self, what: str) -> Any:
        if what not in SHOWN:
            raise BadInput(f"view {what!r} is unknown; known: {', '.join(SHOWN)}.")
        if not SHOWN[what]:
            return self.dataset.view()
        name = self.names.view(SHOWN[what])
        if name not in self.dataset.list_saved_views():
            raise BadInput(
                f"dataset {self.dataset.name!r} has no view {name!r} (its export had no scores for "
                "it); "
                "export again."
            )
        return self.dataset.load_saved_view(name)

    def _samples(self, ids: list[str]) -> list[str]:
        """Our ids as sample ids."""
        if not self.dataset.has_sample_field(ID_FIELD):
            return ids
        samples = every_sample(self.dataset)
        sample_of = dict(zip(*samples.values([ID_FIELD, "id"]), strict=True))
        return [sample_of[key] for key in ids if key in sample_of]

    def _ours(self, samples: Any) -> list[str]:
        return [
            str(key)
            for key in samples.values(ID_FIELD if self.dataset.has_sample_field(ID_FIELD) else "id")
            if key is not None
        ]

    def selected(self) -> list[str]:
        """Our ids of the samples now selected in the App."""
        chosen = list(self.session.selected)
        return self._ours(every_sample(self.dataset).select(chosen)) if chosen else []

    def tags(self) -> dict[str, int]:
        """Tags the user gave in the App (not ours), with their counts."""
        counts = every_sample(self.dataset).count_sample_tags()
        return {tag: n for tag, n in sorted(counts.items()) if not is_export_tag(tag)}

    def tagged(self, tag: str) -> list[str]:
        """Our ids of the samples with this tag."""
        return self._ours(every_sample(self.dataset).match_tags(tag))


def running() -> App | None:
    """The App of this process, or None."""
    return _app


def open_app(name: str, *, owner: str, selection: str = MAIN, address: str = "127.0.0.1") -> App:
    """Open the FiftyOne App on a dataset's coreset view; starts it if needed (15-20 s).

    Parameters
    ----------
    name : str
        The dataset.
    owner : str
        Session that owns the App from now on.
    selection : str
        Name of the selection whose view is shown.
    address : str
        What the App listens on.

    Returns
    -------
    App

    Raises
    ------
    Missing
        When it does not start.
    """
    global _app
    with _LOCK:
        fo = (
            fiftyone_database.connect()
        )  # touched before launch_app, or parent and child would each start a MongoDB
        if not fo.dataset_exists(name):
            raise BadInput(
                f"FiftyOne has no dataset {name!r} any more; send the selection there first."
            )
        dataset = fo.load_dataset(name)
        if _app is not None and _alive(_app.url):
            session = _app.session
            _patiently(lambda: setattr(session, "dataset", dataset))
            _app = App(_app.session, dataset, selection, owner, _app.url, "all", Names(selection))
            with contextlib.suppress(BadInput):  # a dataset without our views is shown whole
                _app.show("kept")
        else:
            _app = _start(fo, dataset, selection, owner, address)
        return _app


def close_app() -> None:
    """Stop the App's server."""
    global _app
    with _LOCK:
        if _app is not None:
            import fiftyone as fo

            fo.close_app()
            _app = None


def _start(fo: Any, dataset: Any, selection: str, owner: str, address: str) -> App:
    import fiftyone.core.session.session as sessions
    from fiftyone.core.service import ServerService

    port = free_port()
    host = "127.0.0.1" if address in ("", "0.0.0.0", "::") else address
    url = f"http://{host}:{port}/"
    with quiet():
        # Started first, and passed to FiftyOne, which stops it with its last session: a session
        # that finds no server
        # waits ten seconds before it looks again.
        sessions._server_services[port] = ServerService(port, address=address, do_not_track=True)
        deadline = time.monotonic() + 60
        while not _alive(url):
            if time.monotonic() > deadline:
                del sessions._server_services[port]
                raise Missing(
                    "the FiftyOne App did not start within a minute; see this program's log."
                )
            time.sleep(0.2)
        kept = Names(selection).view("kept")
        view = dataset.load_saved_view(kept) if kept in dataset.list_saved_views() else None
        session = fo.launch_app(
            dataset,
            view=view,
            port=port,
            address=address,
            remote=True,
            auto=False,
            spaces=_spaces(fo, dataset),
        )
    _wait_until_heard(session, url)
    return App(
        session, dataset, selection, owner, url, "all" if view is None else "kept", Names(selection)
    )


def _wait_until_heard(session: Any, url: str, seconds: float = 30) -> None:
    """Wait until an event sent to the server returns to the session.

    The session sends its first state from a thread of its own, whenever that gets to it; a view set
    before then may be overwritten by it, and the App would show every sample. The event closes an
    opened sample, where there is none.
    """
    heard = threading.Event()

    def on_event(_: Any) -> None:
        heard.set()

    session._client.add_event_listener("set_sample", on_event)
    nothing = dict(event="set_sample", subscription="", data=dict(group_id=None, sample_id=None))
    request = urllib.request.Request(
        url + "event", json.dumps(nothing).encode(), {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + seconds
    while not heard.wait(0.3):
        if time.monotonic() > deadline:
            raise Missing(
                "the FiftyOne App started but does not answer; close it and open it again."
            )
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=5).read()
    session._client.remove_event_listener("set_sample", on_event)


def _patiently(act: Callable[[], None], seconds: float = 30) -> None:
    """Retry while the session connects to its server in the background."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except RuntimeError as error:
            if time.monotonic() > deadline:
                raise Missing(
                    f"the FiftyOne App does not answer ({error}); close it and open it again."
                ) from None
            time.sleep(0.3)


def _spaces(fo: Any, dataset: Any) -> Any:
    """The grid, and the map as a second tab. Without `active_child` the App shows blank panels."""
    grid = fo.Panel(type="Samples", pinned=True)
    maps = [
        key
        for key in dataset.list_brain_runs()
        if key.startswith("coreset_") and key.endswith("umap")
    ]
    plots = [fo.Panel(type="Embeddings", state=dict(brainResult=maps[0]))] if maps else []
    return fo.Space(
        children=[grid, *plots], orientation="horizontal", active_child=grid.component_id
    )


def _alive(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "fiftyone", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
