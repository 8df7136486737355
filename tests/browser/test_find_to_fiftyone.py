"""From an example to FiftyOne, by role and label: images like one are found, tagged, filtered by their
tag, 40 of them are selected, and the tag and the selection arrive in FiftyOne."""

from __future__ import annotations

import re

import pytest
import scenes_found
from hand import Hand, quiet


def settled(page) -> None:
    quiet(page, 400)


def find_and_tag(page, address: str) -> None:
    page.goto(f"{address}/explore?dataset=demo&image=digit-0123&p=0.9&method=elfs")
    page.get_by_role("button", name="More like this").click()
    page.get_by_role("heading", name="201 of 1,797 images").wait_for()
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_role("textbox", name="Tag").fill("example")
    page.get_by_role("button", name="Tag 201 images").click()
    settled(page)
    page.keyboard.press("Escape")


def select_among_them(page) -> None:
    page.get_by_role("button", name=re.compile("^Similar: ")).click()
    page.get_by_role("heading", name="All 1,797 images").wait_for()
    page.get_by_role("checkbox", name="example, 201 images").check()
    page.get_by_role("heading", name="201 of 1,797 images").wait_for()
    page.get_by_role("button", name="Start a selection").click()
    page.get_by_role("spinbutton", name="Images to keep").fill("40")
    page.get_by_role("spinbutton", name="Images to keep").press("Tab")
    page.get_by_role("button", name="Select 40 among these 201").click()
    page.get_by_role("heading", name="Select", level=1).wait_for()


def export_to_fiftyone(page, name: str) -> None:
    page.get_by_role("link", name=re.compile("^Export")).first.click()
    page.get_by_role("heading", name=re.compile("^Export"), level=1).wait_for()
    hand = Hand(page)
    hand.pick("Target", "FiftyOne dataset")
    hand.type("Name of the dataset", name, "Tab")
    page.get_by_role("button", name="Export to FiftyOne dataset").click()
    page.get_by_role("button", name="Open FiftyOne here").wait_for()


@pytest.mark.slow
def test_forty_found_by_an_example_arrive_in_fiftyone_with_their_tag(
    open_page, app_with_fiftyone, fiftyone
):
    page, witness = open_page(app_with_fiftyone, height=1300)
    page.set_default_timeout(120_000)
    find_and_tag(page, app_with_fiftyone)
    select_among_them(page)
    export_to_fiftyone(page, "found by example")
    witness.assert_clean()
    tags = fiftyone(scenes_found.tags_of, "found by example")
    chosen = [set(row) for row in tags if "coreset" in row]
    assert len(chosen) == 40 and all("example" in row for row in chosen)
    assert len(tags) == 1797
