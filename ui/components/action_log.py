"""What a component reports as one growing log, passed on entry by entry.

A component that reports single events loses some when two come while a page is drawn. One that
reports everything it did, numbered by order, loses none; the session remembers how far it read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st


def new_acts(messages: Any, seen_key: str) -> list[dict[str, Any]]:
    """Of a log that a component reports whole, the entries that are new."""
    if not isinstance(messages, Mapping) or not isinstance(messages.get("acts"), list):
        return []
    mount, seen = st.session_state.get(seen_key, ("", 0))
    if mount != messages.get("mount"):
        seen = 0
    acts = [dict(act) for act in messages["acts"][seen:] if isinstance(act, Mapping)]
    st.session_state[seen_key] = (messages.get("mount"), len(messages["acts"]))
    return acts
