"""Measurements that a page shows once they are there: computed in a thread, one at a time.

A page that would make its visitor wait for a second or more starts the work here and draws the
rest; a polling fragment reruns the page when the value is there. Only what is quick to repeat
belongs here. What takes minutes, or must survive a restart, is a job (`ui/components/jobs.py`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import streamlit as st

MOST = 64  # values kept; the oldest go first
EVERY = "1s"
_LOCK = threading.Lock()
_STARTED: OrderedDict[Hashable, Future[Any]] = OrderedDict()
_POOL = ThreadPoolExecutor(1, "measuring")


def start(key: Hashable, compute: Callable[[], Any]) -> Future[Any]:
    """The value of `key`, computed once for the server; `compute` must not call Streamlit."""
    with _LOCK:
        known = _STARTED.pop(key, None)
        if known is None or (known.done() and known.exception() is not None):
            known = _POOL.submit(compute)
        _STARTED[key] = known
        while len(_STARTED) > MOST:
            _, oldest = _STARTED.popitem(last=False)
            oldest.cancel()
    return known


def wait_for(value: Future[Any], text: str) -> None:
    """Draw `text`, and rerun the page once the value is available."""
    st.fragment(run_every=EVERY)(_poll)(value, text)


def _poll(value: Future[Any], text: str) -> None:
    if value.done():
        st.rerun()
    st.caption(text)
