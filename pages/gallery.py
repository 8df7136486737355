"""Gallery: the Explore page with its gallery, at the address of earlier editions."""

from __future__ import annotations

from ui.components import frame
from ui.views.explore import GALLERY, show_explore

frame.page_header(
    "Gallery", "What do the hardest, the easiest, the repeated and the doubtful images look like?"
)
show_explore(frame.require_run(), GALLERY)
