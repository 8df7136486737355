"""Our panel inside the real FiftyOne App: it previews, its slider answers, its button writes and
shows the choice."""

from __future__ import annotations

import pytest
import scenes_panel as scenes
from chrome import ARTEFACTS, keep_picture


@pytest.fixture
def panel_app(fiftyone, tmp_path):
    address = fiftyone(scenes.start, tmp_path, "panel")
    answer = {}
    yield address, lambda: answer.update(fiftyone(scenes.end, "panel")) or answer
    if not answer:
        fiftyone(scenes.end, "panel")


@pytest.mark.slow
def test_the_panel_previews_and_writes(open_page, panel_app):
    address, end = panel_app
    page, _ = open_page(address, height=1000)
    page.set_default_timeout(120_000)
    page.get_by_text("120 samples", exact=True).wait_for()
    page.locator("button.MuiButton-root", has_text="Dismiss").click()
    page.get_by_text("12 of 120 images kept.").wait_for()
    page.locator("input[type=range]").nth(-3).press(
        "ArrowLeft"
    )  # the first of our three knobs: 90 % -> 89 %
    page.get_by_text("13 of 120 images kept.").wait_for()
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "fiftyone-panel.png")
    keep_picture(page.screenshot(), "fiftyone-panel", 1000)
    page.get_by_role("button", name="Write this selection").click()
    page.get_by_text("13 samples", exact=True).wait_for()
    written = end()
    assert written["tags"] == {"coreset": 13, "coreset:main": 13} and written["rate"] == 0.89
    assert "coreset: kept" in written["views"]
