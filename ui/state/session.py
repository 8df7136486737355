"""What a session remembers, what the address bar holds, and the one opened run, shared by sessions.

Three kinds of state. *Session* values (`get`, `put`) survive page changes. *Linked* values
(`LINKED`) are also written into the URL by `sync`, so that reload and shared links bring them back.
The *run* (dataset + finished artefacts) is cached for the whole server by spec and settings,
bounded to a few. Pages never compute: they ask `RunView.ready(stage)` and submit a job
when something is missing.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.types import Dataset
from coreset_engine.core.user_paths import workspace
from coreset_engine.pipeline.config import RunConfig, Settings, TakenRecipe, setting_groups
from coreset_engine.pipeline.recipes import RECIPES
from coreset_engine.selection.budget import TABLE_7, guessed_beta, kept_count
from ui.state import last_state, link_storage, links, recent_sources, sampling
from ui.state.links import ALWAYS_LINKED, LINKED
from ui.state.run_view import STAGES, RunView

_PREFIX = "state:"
LATE = 3.0  # seconds in which messages with a replaced address may still arrive


def get(name: str, default: Any = None) -> Any:
    """The session's value of `name`; linked names fall back to their own default."""
    if name == "beta" and default is None and not chosen(name):
        return guessed_beta(get("prune_rate"))
    fallback = LINKED[name][2] if name in LINKED and default is None else default
    return st.session_state.get(_PREFIX + name, fallback)


def chosen(name: str) -> bool:
    """Whether the session has its own value of `name`, from a widget, a link or `put`."""
    return st.session_state.get(_PREFIX + name) is not None


def beta_guesses() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Pruning rates and the betas that the engine takes there when none is named."""
    return TABLE_7


def put(name: str, value: Any) -> None:
    """Store `value` in this session; linked names also appear in the URL at once."""
    put_all({name: value})


def put_all(values: Mapping[str, Any]) -> None:
    """Store several values as one change: no address ever holds some of them without the others."""
    for name, value in values.items():
        st.session_state[_PREFIX + name] = value
    stored = any(name in link_storage.STORED for name in values)
    if stored:
        st.session_state[_PREFIX + "memo"] = link_storage.save_values(
            {long: get(long) for long in link_storage.STORED}, home()
        )
    if stored or any(name in LINKED for name in values):
        _write_url()


def bind(name: str, default: Any = None) -> str:
    """A widget key tied to `name`.

    `st.slider(..., key=bind("prune_rate"))` starts at the session's value and, on every later run,
    writes back what the user chose. Survives page changes, which drop plain widget values.
    """
    key = _widget_key(name)
    if key not in st.session_state:
        st.session_state[key] = get(name, default)
    elif st.session_state[key] != get(name, default):
        put(name, st.session_state[key])
    return key


def rebind(name: str, value: Any) -> None:
    """Set `name` from code (undo, snapshot) before its widget is drawn in this run."""
    rebind_all({name: value})


def rebind_all(values: Mapping[str, Any]) -> None:
    """`rebind` of several values, as one change."""
    for name, value in values.items():
        if st.session_state.get(_widget_key(name)) != value:
            _renew_widget(name)
    put_all(values)


def field(name: str, value: Any) -> str:
    """A widget key for a field that shows `value`, which other controls change too.

    While the field holds the value, as after typing it there, its key stays, and with it the focus.
    Otherwise the field is a new one, see `_renew_widget`.
    """
    if st.session_state.get(_widget_key(name)) != value:
        _renew_widget(name)
        st.session_state[_widget_key(name)] = value
    return _widget_key(name)


def typed(name: str, key: str) -> Any:
    """What was typed into the field `name`; None for a late message of an earlier `key`."""
    return st.session_state.get(key) if key == _widget_key(name) else None


def _widget_key(name: str) -> str:
    turn = st.session_state.get(f"{_PREFIX}turn:{name}", 0)
    return f"widget:{name}:{turn}" if turn else f"widget:{name}"


def _renew_widget(name: str) -> None:
    """Let the widget of `name` be a new one from now on.

    Until the browser has drawn a value that code set, each of its messages still carries the old
    one, which would count as typed. A widget with another key is not concerned.
    """
    if st.session_state.pop(_widget_key(name), None) is not None:
        turn = st.session_state.get(f"{_PREFIX}turn:{name}", 0)
        st.session_state[f"{_PREFIX}turn:{name}"] = turn + 1


def home() -> Path:
    """The workspace: CORESET_HOME or ~/.cache/coreset-explorer."""
    return workspace()


# -- the address bar -------------------------------------------------------------------------------


def sync() -> None:
    """Adopt the URL when it changed (first run, link, back button), else write the state to it."""
    for name in LINKED:  # what the user has just moved counts from the first line of this run
        if _widget_key(name) in st.session_state:
            st.session_state[_PREFIX + name] = st.session_state[_widget_key(name)]
    confirm_address()
    seen = dict(st.query_params)
    written = st.session_state.get(_PREFIX + "url")
    if seen and seen != written and not _is_late(seen):
        if written is not None and any(row[0] in seen for row in LINKED.values()):
            _forget_linked()  # the address of a step back lacks what has its default there
        _adopt(seen)
    elif written is None and os.environ.get("CORESET_OPEN"):
        st.session_state[_PREFIX + "dataset"] = os.environ["CORESET_OPEN"]
    if written is None and get("dataset"):
        bare = not any(row[0] in seen for name, row in LINKED.items() if name != "dataset")
        _bring_back(everything=bare)
    _write_url()


# -- the last state of a dataset -------------------------------------------------------------------


def _state_values() -> dict[str, Any]:
    """All that the workspace keeps of this session, as plain values."""
    defaults = {name: row[2] for name, row in LINKED.items() if name not in ("dataset", "memo")}
    values = {
        name: st.session_state.get(_PREFIX + name) for name in (*defaults, *link_storage.STORED)
    }
    return {
        name: value
        for name, value in values.items()
        if value not in (None, (), [], {}) and value != defaults.get(name)
    }


def save_state() -> None:
    """Keep this session's state as the dataset's last, where it changed.

    Called before the address changes, since a visitor may reload at once, and after each run.
    """
    spec = get("dataset")
    if not spec:
        return
    values = _state_values() | {name: get(name) or [] for name in last_state.STACKS}
    values |= {name: get(name) for name in last_state.LOCAL if get(name)}
    saved = st.session_state.get(_PREFIX + "saved")
    if saved is None or saved[0] != spec or not last_state.same(saved[1], values):
        last_state.save(spec, values, home())
        st.session_state[_PREFIX + "saved"] = (spec, values)


def _bring_back(*, everything: bool) -> None:
    """Restore the dataset's last state.

    Where an address says the state, only what belongs to the same state and is in no address.
    """
    saved = last_state.load(get("dataset"), home())
    stacks = {name: saved.pop(name, []) for name in last_state.STACKS}
    local = last_state.take_local(saved)
    if everything:
        for name, value in saved.items():
            if name in LINKED and not links.has_right_type(name, value):
                continue
            if name in LINKED or name in link_storage.STORED:
                st.session_state[_PREFIX + name] = value
                _renew_widget(name)
    if last_state.same(links.comparable(saved), links.comparable(_state_values())):
        for name, value in {**stacks, **local}.items():
            st.session_state[_PREFIX + name] = value
            _renew_widget(name)


def _forget_linked() -> None:
    """Give every linked and stored value its default."""
    for name in (*LINKED, *link_storage.STORED):
        st.session_state.pop(_PREFIX + name, None)
        _renew_widget(name)


def _adopt(seen: dict[str, str]) -> None:
    """Take over well-formed values.

    A link never makes the server read a path that was not opened here before.
    """
    for name, (param, kind, _) in LINKED.items():
        try:
            value = kind(seen[param])
        except (KeyError, ValueError, OverflowError):
            continue
        if not links.in_bounds(name, value):
            continue
        if name == "dataset" and not recent_sources.is_known(value):
            st.session_state[_PREFIX + "proposed"] = value
            continue
        st.session_state[_PREFIX + name] = value
        _renew_widget(name)
        if name == "memo":
            for long, content in link_storage.load_values(value, home()).items():
                st.session_state[_PREFIX + long] = content


def _write_url() -> None:
    params = {}
    has_dataset = bool(st.session_state.get(_PREFIX + "dataset"))
    for name, (param, _, default) in LINKED.items():
        value = st.session_state.get(_PREFIX + name, default)
        if value != default or (has_dataset and name in ALWAYS_LINKED):
            params[param] = links.url_text(value)
    others = {
        key: value
        for key, value in st.query_params.items()
        if key not in {row[0] for row in LINKED.values()}
    }
    params = others | params
    if dict(st.query_params) != params:
        save_state()  # a reload at the new address finds its undo stack
        _note_replaced(dict(st.query_params))
        st.query_params.from_dict(params)
    st.session_state[_PREFIX + "url"] = params


def _note_replaced(address: dict[str, str]) -> None:
    now = time.monotonic()
    replaced = [
        one for one in st.session_state.get(_PREFIX + "replaced", ()) if one[1] > now - LATE
    ]
    st.session_state[_PREFIX + "replaced"] = [*replaced, (address, now)]
    st.session_state[_PREFIX + "written"] = True


def _is_late(seen: dict[str, str]) -> bool:
    """Whether a message was sent before the browser had the address that is in force.

    Its address was replaced a moment ago, and no message with the new one has come since. Later, or
    after such a message, an earlier address is the work of the back button.
    """
    since = time.monotonic() - LATE
    replaced = st.session_state.get(_PREFIX + "replaced", ())
    return any(address == seen and at > since for address, at in replaced)


def confirm_address() -> None:
    """Note that the browser has the address in force, where this run's message carries it.

    An address that this very run has written, in a callback, says nothing about the browser.
    """
    written = st.session_state.get(_PREFIX + "url")
    if not st.session_state.get(_PREFIX + "written") and dict(st.query_params) == written:
        st.session_state[_PREFIX + "replaced"] = []


def end_run() -> None:
    """Call last in each run of a page."""
    save_state()
    st.session_state[_PREFIX + "written"] = False


# -- the opened run --------------------------------------------------------------------------------


def open_dataset(spec: str, images: str = "") -> None:
    """Open `spec` for this session and remember it in the workspace; CoresetError with the reason.

    images: the folder that belongs to a vectors file. What is remembered is the dataset's own full
        spec.
    """
    if not spec.strip():
        raise BadInput("no source was named; give 'demo', a folder, an .npy file or fiftyone:NAME.")
    dataset = _dataset(spec.strip(), str(home()), images.strip())
    for note in dataset.notes:
        if note.confirm:
            raise BadInput(f"{note.text}: {'; '.join(note.examples)}")
    spec = dataset.spec
    recent_sources.remember(spec, dataset.fingerprint)
    looked_at = ("lasso", "errors_shown", "filters", "found", "basket", "tag_keys", "finding")
    own = ("must_keep", "never", "constraints", "count", "memo", "predictions", "clean_thresholds")
    for name in (*looked_at, *own):
        st.session_state.pop(_PREFIX + name, None)
    put("image", "")
    put("dataset", spec)
    _bring_back(everything=True)
    put("dataset", spec)


def dataset_of(spec: str) -> Dataset:
    """Another source than the session's, opened and remembered in the workspace.

    Raises
    ------
    CoresetError
        With the reason why it cannot be opened.
    """
    dataset = _dataset(spec, str(home()))
    if dataset.spec not in recent_sources.recent():
        recent_sources.remember(dataset.spec, dataset.fingerprint)
    return dataset


def short_name(spec: str) -> str:
    """What people call a spec: the last part of a folder or file, the word itself otherwise.

    Not escaped.
    """
    kind, _, rest = spec.partition(":")
    if kind in ("folder", "vectors") and rest.startswith("{"):
        try:
            rest = str(json.loads(rest)["path"])
        except (ValueError, KeyError, TypeError):
            return spec
        spec = rest
    return (
        spec.rstrip("/").rpartition("/")[2] or spec if "/" in spec and kind != "fiftyone" else spec
    )


def settle_count(n: int) -> None:
    """Bring the pruning rate in line with the number of images that was typed or linked.

    n: images of the whole dataset.
    """
    count = min(get("count"), n)
    if count and (count != get("count") or kept_count(n, get("prune_rate")) != count):
        rebind_all({"count": count, "prune_rate": 1 - count / n})


def close_dataset() -> None:
    put("dataset", "")


def reopen() -> None:
    """Forget cached runs, so that changed files are seen."""
    _open_dataset.cache_clear()
    for kept in (_dataset, _run, _earlier, sampling.sample_view):
        kept.clear()


def current_run() -> RunView | None:
    """The opened run, or None when no dataset is open.

    Raises CoresetError when it cannot be opened any more.
    """
    spec = get("dataset")
    if not spec:
        return None
    config = run_config()
    return sampling.drawable_view(_run(spec, config, str(home())))


def note_complete(view: RunView) -> None:
    """Remember, for each finished stage, the settings and corrections it was finished with."""
    run = view.full_run
    note = (view.spec, json.dumps(view.config.to_record()), json.dumps(run.corrections))
    notes = dict(get("complete") or {})
    notes.update({stage: note for stage in STAGES if view.ready(stage)})
    put("complete", notes)


def earlier_run(view: RunView, stages: Iterable[str]) -> RunView | None:
    """The run as it was when these stages were last finished, to show while they are not.

    None where neither this session nor the one of the last state has seen such a run of the
    dataset, or it was deleted.
    """
    notes = get("complete") or {}
    for stage in reversed(list(stages)):
        note: tuple[str, ...] = tuple(notes.get(stage) or ())
        if len(note) != 3 or note[0] != view.spec:
            continue
        try:
            earlier = _earlier(note[0], note[1], note[2], str(home()))
        except (CoresetError, TypeError, ValueError):  # of another version, or damaged
            continue
        if earlier.ready(*stages):
            return dataclasses.replace(sampling.drawable_view(earlier), outdated=True)
    return None


def run_config() -> RunConfig:
    """The settings of this session's run, as Home has them.

    Settings of stages count where they belong to the chosen clusterer and proxy.

    Raises
    ------
    BadInput
        For a setting that is out of bounds.
    """
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(RunConfig):
        if "settings_of" in field.metadata:
            continue
        value = get(field.name, field.default)
        plain[field.name] = (value or None) if field.default is None else value
    recipe = plain["recipe"]  # its values are in the session already
    plain["recipe"] = TakenRecipe(recipe) if recipe in RECIPES else None
    config = RunConfig(**plain)
    for group, field in setting_groups(config).items():
        kept = (get("advanced") or {}).get(group)
        if kept:
            config = _with_group(config, group, field.name, kept)
    return config


def _with_group(config: RunConfig, group: str, name: str, kept: dict[str, Any]) -> RunConfig:
    """`config` with the stored settings of a part.

    Settings from an older link or version that the part does not take are dropped, and reported.
    """
    try:
        changes: dict[str, Any] = {name: Settings(kept)}
        return dataclasses.replace(config, **changes)
    except BadInput as error:
        put("advanced", {one: held for one, held in get("advanced").items() if one != group})
        put("news", [*(get("news") or ()), f"Settings of {group} were reset: {error}"])
        return config


def job_encoder(params: Mapping[str, Any]) -> str:
    """The encoder of a job's run."""
    return str((params.get("run") or params).get("encoder", ""))


@st.cache_resource(max_entries=8, show_spinner="Opening the images ...")
def _dataset(spec: str, home: str, images: str = "") -> Dataset:
    return _open_dataset(spec, home, images)


def preload(spec: str) -> None:
    """Open the images of `spec` before anyone asks for them; raises what opening raises."""
    _open_dataset(spec, str(home()), "")


@functools.lru_cache(maxsize=8)
def _open_dataset(spec: str, home: str, images: str) -> Dataset:
    """The dataset, kept when Streamlit's caches are cleared after a correction."""
    from coreset_engine.sources.open import open_source

    return open_source(spec, images=images or None)


@st.cache_resource(max_entries=4, show_spinner=False)
def _earlier(spec: str, settings: str, corrections: str, home: str) -> RunView:
    """The run with these settings and exactly these corrections, both as JSON."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.pipeline.run import Run

    config = RunConfig.from_record(json.loads(settings))
    dataset = _dataset(spec, home)
    made = json.loads(corrections)
    return RunView(
        spec, dataset, Run(dataset, config, store=Store(home), corrected_by=made), config
    )


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={RunConfig: RunConfig.to_record})
def _run(spec: str, config: RunConfig, home: str) -> RunView:
    from coreset_engine.artifacts.store import Store
    from coreset_engine.pipeline.run import Run

    dataset = _dataset(spec, home)
    run = Run(dataset, config, store=Store(home))
    return RunView(spec, dataset, run, config)
