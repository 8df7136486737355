"""Components that a script of ours draws in the browser: NAME.js and NAME.css beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


def register(name: str, *shared: str) -> Any:
    """The Streamlit component `coreset_explorer.NAME`.

    Parameters
    ----------
    name
        Of the script and its style sheet.
    shared
        Scripts whose functions it calls, put before it; Streamlit sends one text and no modules.
    """
    scripts = [(_HERE / f"{part}.js").read_text("utf-8") for part in (*shared, name)]
    return st.components.v2.component(
        f"coreset_explorer.{name}",
        js="".join(scripts),
        css=(_HERE / f"{name}.css").read_text("utf-8"),
    )
