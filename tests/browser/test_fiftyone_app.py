"""The real FiftyOne App inside the Export page: sent there by a job, shown, steered, and listened
to."""

from __future__ import annotations

import re

import pytest
from chrome import ARTEFACTS, keep_picture
from hand import Hand


@pytest.mark.slow
def test_the_app_opens_on_the_coreset_follows_and_gives_back(
    open_page, app_with_fiftyone, tmp_path
):
    page, _ = open_page(f"{app_with_fiftyone}/export?dataset=demo&method=blindcs", height=1300)
    page.set_default_timeout(240_000)
    page.get_by_text("then its App opens here").wait_for()
    hand = Hand(page)
    hand.pick("Target", "FiftyOne dataset")
    hand.type("Name of the dataset", "browser test", "Tab")
    hand.click("button", "Export to FiftyOne dataset")
    hand.click("button", "Open FiftyOne here")
    inside = page.frame_locator("iframe[src^='http://127.0.0.1']")
    inside.get_by_text("180 samples", exact=True).wait_for()
    hand.done("a selection in FiftyOne, shown inside the page")
    page.locator("iframe[src^='http://127.0.0.1']").scroll_into_view_if_needed()
    # A notice at the edge of a page that is not ours: the press itself is all that matters.
    inside.locator("button.MuiButton-root", has_text="Dismiss").dispatch_event("click")
    page.get_by_role("button", name="Not selected", exact=True).click()
    inside.get_by_text("1,617 samples", exact=True).wait_for()
    page.get_by_role("button", name="Selected", exact=True).click()
    inside.get_by_text("180 samples", exact=True).wait_for()

    page.get_by_text("Selected in FiftyOne: 0").wait_for()
    first = inside.locator("[data-cy=looker]").first
    first.hover()
    first.locator("label[data-cy^=looker-checkbox]").click()
    page.get_by_text("Selected in FiftyOne: 1").wait_for()
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "export-fiftyone.png")
    keep_picture(page.locator("iframe").first.screenshot(), "fiftyone", 1000)
    chosen = (
        page.get_by_text(re.compile(r"Selected in FiftyOne: 1")).locator("xpath=..").inner_text()
    )
    picked = re.search(r"digit.\d{4}", chosen).group().replace("\\", "")
    page.get_by_role("button", name="Always include", exact=True).first.click()
    page.locator("[data-testid=stMetric]", has_text="Always included").get_by_text(
        "1", exact=True
    ).wait_for()
    with page.expect_download() as download:  # what must be kept comes first
        page.get_by_role("button", name="Download", exact=True).nth(1).click()
    download.value.save_as(tmp_path / "ids.txt")
    assert (tmp_path / "ids.txt").read_text().split()[0] == picked


@pytest.mark.slow
def test_a_second_visitor_is_told_and_can_take_it_over(open_page, app_with_fiftyone):
    page, _ = open_page(f"{app_with_fiftyone}/export?dataset=demo&method=blindcs", height=1300)
    page.set_default_timeout(240_000)
    page.get_by_text("It serves one at a time").wait_for()
    page.get_by_role("button", name="Take over").click()
    page.frame_locator("iframe[src^='http://127.0.0.1']").get_by_text(
        "180 samples", exact=True
    ).wait_for()
    page.get_by_role("button", name="Close the App").click()
    page.get_by_role("button", name="Open FiftyOne here").wait_for()
    assert not page.locator("iframe[src^='http://127.0.0.1']").count()
