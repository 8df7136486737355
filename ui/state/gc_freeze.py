"""Keep garbage collection from traversing every loaded module after each run of a page.

Streamlit collects all generations after every rerun. With pandas and scikit-learn loaded that is
76 ms of the 90 ms that a slider move cost the server, spent on functions and classes that are never
freed. Objects alive after enough new modules were loaded are therefore frozen (gc.freeze). This
happens a few times in a server's life, so the memory that cycles frozen then can leak is bounded.
"""

from __future__ import annotations

import gc
import sys

STEP = 50  # new modules before the next freeze
_known = [0]


def freeze_new_modules() -> bool:
    """Freeze all objects alive now if at least STEP modules were loaded since the last time.

    Returns whether it did.
    """
    loaded = len(sys.modules)
    if loaded - _known[0] < STEP:
        return False
    _known[0] = loaded
    gc.collect()
    gc.freeze()
    return True
