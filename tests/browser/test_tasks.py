"""Everyday tasks as a user does them, by role and label, with the interactions each takes."""

from __future__ import annotations

import re
import time
import zipfile

import pytest
from chrome import wait_for_map
from playwright.sync_api import expect


class Hand:
    """Clicks and types like a user, and counts both."""

    def __init__(self, page):
        self.page = page
        self.count = 0
        self.began = time.monotonic()

    def click(self, role: str, name: str | re.Pattern, **more) -> None:
        self.count += 1
        self.page.get_by_role(role, name=name, **more).first.click()

    def type(self, label: str, text: str) -> None:
        """Type into a field and leave it with Enter; one interaction."""
        self.count += 1
        field = self.page.get_by_label(label, exact=True).first
        field.fill(text)
        field.press("Enter")

    def told(self) -> str:
        return f"{self.count} interactions, {time.monotonic() - self.began:.1f} s"


def quiet(page) -> None:
    """Nothing runs any more."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(400)


def heading(page, name: str | re.Pattern) -> None:
    page.get_by_role("heading", name=name).first.wait_for()
    quiet(page)


def test_two_hundred_with_ten_of_every_cluster_compared_and_exported(open_page, app, tmp_path):
    """Open -> 200 chosen with at least 10 of every cluster -> compared -> exported."""
    from coreset_engine.artifacts.selection_folder import read_selection

    page, witness = open_page(f"{app}/")
    hand = Hand(page)
    heading(page, "Coreset Explorer")
    hand.click("button", re.compile("Choose what to label"))
    heading(page, "Select")
    wait_for_map(page)
    hand.type("Images to keep", "200")
    quiet(page)
    hand.click("button", re.compile("^Constraints"))
    hand.type("At least", "10")
    page.get_by_text(re.compile("at least 10 of every cluster")).first.wait_for()
    quiet(page)
    page.keyboard.press("Escape")
    hand.click("link", re.compile("Compare with random"))
    heading(page, "Compare")
    page.get_by_text(re.compile("Not measured yet|Measured:")).first.wait_for()
    hand.click("link", re.compile("^Export"))
    heading(page, re.compile("^Export"))
    hand.count += 1
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("download", re.I)).first.click()
    archive = tmp_path / "selection.zip"
    download.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "out")
    folder = next((tmp_path / "out").rglob("manifest.json")).parent
    table, manifest = read_selection(folder)
    chosen = table[table["selected"]]
    assert len(chosen) == 200
    assert chosen.groupby("pseudo_label").size().min() >= 10
    print("200 with at least 10 of every cluster, compared, exported:", hand.told())
    assert hand.count <= 12
    witness.assert_clean()


def test_a_typed_number_survives_reload_undo_and_a_bare_address(open_page, app):
    page, witness = open_page(f"{app}/select?dataset=demo&p=0.9&method=elfs")
    hand = Hand(page)
    heading(page, "Select")
    hand.type("Images to keep", "123")
    page.wait_for_url(re.compile(r"k=123"))
    quiet(page)
    page.reload()
    heading(page, "Select")
    expect(page.get_by_label("Images to keep", exact=True)).to_have_value("123")
    hand.click("button", "Undo", exact=True)
    page.wait_for_function("() => !location.search.includes('k=123')")
    hand.click("button", "Redo", exact=True)
    page.wait_for_url(re.compile(r"k=123"))
    quiet(page)
    page.goto(f"{app}/select?dataset=demo")
    heading(page, "Select")
    page.wait_for_url(re.compile(r"k=123"))
    expect(page.get_by_label("Images to keep", exact=True)).to_have_value("123")
    witness.assert_clean()


@pytest.mark.parametrize("old", ["dataset", "duel", "evaluate"])
def test_old_addresses_lead_to_the_new_pages(open_page, app, old):
    page, witness = open_page(f"{app}/{old}?dataset=demo&p=0.9&method=elfs")
    page.wait_for_url(re.compile(r"/(home|compare)\?"))
    quiet(page)
    assert page.get_by_role("heading", level=1).count() == 1
    witness.assert_clean()
