"""Open images: the page of the first edition, for scripts and tests that run it by its file.

Its address leads to Home, which holds the same form.
"""

from __future__ import annotations

from ui.components import frame
from ui.views.source_form import source_form

frame.page_header("Dataset", "Which images are opened, and how are they read?")
with frame.error_boundary():
    source_form()
