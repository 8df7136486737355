"""Explore: map and gallery of one result, with filters and an image drawer."""

from __future__ import annotations

from ui.components import frame
from ui.views.explore import show_explore

frame.page_header("Explore", "What is in the dataset, and which parts of it are selected?")
show_explore(frame.require_run("map"))
