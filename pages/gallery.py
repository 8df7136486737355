"""Gallery: the images themselves, in any order that was computed: hardest, easiest,
near-duplicates, most redundant."""

from __future__ import annotations

from ui.components import frame
from ui.views.gallery import show_gallery

frame.page_header(
    "Gallery", "What do the hardest, the easiest, the repeated and the doubtful images look like?"
)
show_gallery(frame.require_run())
