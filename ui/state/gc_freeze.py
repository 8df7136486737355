"""Garbage collection that does not walk through every loaded module after each run of a page.

Streamlit collects all generations after every rerun. With pandas, scikit-learn and the rest loaded
that is 76 ms of the 90 ms that a slider move cost the server, spent looking at functions and
classes that never die. What lives when enough new modules have been loaded is therefore set apart
(gc.freeze); this happens a handful of times in a server's life, so what a session held at that
moment and loses in a cycle later is a bounded cost.
"""

from __future__ import annotations

import gc
import sys

STEP = 50  # new modules that are worth another look
_known = [0]


def freeze_new_modules() -> bool:
    """Set apart what lives now, if at least STEP modules were loaded since the last time; whether
    it did."""
    loaded = len(sys.modules)
    if loaded - _known[0] < STEP:
        return False
    _known[0] = loaded
    gc.collect()
    gc.freeze()
    return True
