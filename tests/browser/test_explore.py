"""Explore and Labels as people use them, by role and label: search by an example, filter, tag, pick,
select among what was found, and review labels by key press."""

from __future__ import annotations

import json
import re
import zipfile

import pytest
from chrome import map_value, wait_for_map
from hand import Hand, quiet
from playwright.sync_api import expect

from coreset_engine.artifacts import label_log
from coreset_engine.sources.open import open_source


def settled(page) -> None:
    quiet(page)


def opened(open_page, app, address: str, **how):
    """Open an address with a selection: a bare one would bring back what another test left."""
    page, witness = open_page(f"{app}/{address}&p=0.9&method=elfs", **how)
    page.get_by_role("heading", level=1).wait_for()
    settled(page)
    return page, witness


@pytest.mark.slow
def test_found_by_an_example_tagged_filtered_selected_and_exported(open_page, app, tmp_path):
    page, witness = opened(open_page, app, "explore?dataset=demo&image=digit-0123")
    page.get_by_role("button", name="More like this").click()
    page.get_by_role("heading", name="201 of 1,797 images").wait_for()
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_role("textbox", name="Tag").fill("example")
    page.get_by_role("button", name="Tag 201 images").click()
    settled(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("^Similar: ")).click()
    page.get_by_role("heading", name="All 1,797 images").wait_for()
    page.get_by_role("checkbox", name="example, 201 images").check()
    page.get_by_role("heading", name="201 of 1,797 images").wait_for()
    page.get_by_role("button", name="Start a selection").click()
    page.get_by_role("spinbutton", name="Images to keep").fill("40")
    page.get_by_role("spinbutton", name="Images to keep").press("Tab")
    page.get_by_role("button", name="Select 40 among these 201").click()
    page.get_by_role("heading", name="Select", level=1).wait_for()
    page.locator(".cm-count", has_text="40 of 1,797 images selected").wait_for()
    page.get_by_text(re.compile("only images where tag")).wait_for()
    page.get_by_role("link", name=re.compile("^Export")).first.click()
    page.get_by_role("heading", name=re.compile("^Export"), level=1).wait_for()
    settled(page)
    with page.expect_download() as download:
        page.locator("[class*=st-key-download][class*='-zip'] button").first.click()
    archive = tmp_path / "selection.zip"
    download.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        files = {name.rpartition("/")[2]: packed.read(name) for name in packed.namelist()}
    chosen = files["ids.txt"].decode().split()
    assert len(chosen) == 40
    assert b"tag = example" in files["manifest.json"] or b"tag=example" in files["manifest.json"]
    witness.assert_clean()


def test_bars_and_ranges_filter_each_other(open_page, app):
    page, witness = opened(open_page, app, "explore?dataset=demo")
    three = page.get_by_role("group", name="Class").get_by_role("checkbox", name=re.compile("^3, "))
    three.check()
    page.get_by_role("heading", name="183 of 1,797 images").wait_for()
    page.get_by_text("AUM", exact=True).first.click()
    low = page.get_by_role("slider", name="AUM: show from")
    low.evaluate("(e) => { e.value = 15; e.dispatchEvent(new Event('change')); }")
    fewer = page.get_by_role("heading", name=re.compile(r"^\d+ of 1,797 images"))
    fewer = fewer.filter(has_not_text="183")
    fewer.wait_for()
    left = int(fewer.inner_text().split()[0])
    assert 0 < left < 183
    wait_for_map(page)
    shown = page.locator(".cm").evaluate(
        "(map) => { const v = map.getRootNode().coresetMap; let k = 0;"
        " for (let i = 0; i < v.n; i++) if (!(v.state[i] & 2)) k++; return k; }"
    )
    assert shown == left  # the map draws the same images
    page.get_by_role("button", name="Clear all filters").click()
    page.get_by_role("heading", name="All 1,797 images").wait_for()
    witness.assert_clean()


def test_basket_and_tags_by_key(open_page, app):
    page, witness = opened(open_page, app, "gallery?dataset=demo")
    tiles = page.locator(".gallery .tile")
    tiles.nth(3).wait_for()
    tiles.nth(0).locator("button").focus()
    page.keyboard.press("b")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("b")
    page.get_by_role("link", name="Basket: 2 images").wait_for()
    page.get_by_test_id("stMain").get_by_text("Basket: 2 images").click()
    settled(page)
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_role("textbox", name="Tag").fill("doubtful")
    page.get_by_role("button", name="Tag 2 images").click()
    settled(page)
    page.keyboard.press("Escape")
    # The gallery is told of the new tag and its key by the run that follows.
    number = page.wait_for_function(
        "() => { const find = (root) => [...root.querySelectorAll('*')].reduce((hit, e) => hit ||"
        " (e.matches('.root') && e.state?.data ? e : e.shadowRoot && find(e.shadowRoot)), null);"
        " return find(document)?.state.data.tag_keys.indexOf('doubtful') + 1; }"
    ).json_value()
    third = tiles.nth(2)
    third.locator("button").focus()
    page.keyboard.press(str(number))
    third.locator(".tags", has_text="doubtful").wait_for()
    page.get_by_role("checkbox", name="doubtful, 3 images").wait_for()
    page.get_by_role("button", name="Empty basket").click()
    page.get_by_role("link", name="Basket: 2 images").wait_for(state="detached")
    witness.assert_clean()


def computing_jobs(home):
    """The jobs that compute stages; Select may start a forecast of its own."""
    requests = (home / "jobs").glob("*/request.json")
    return {file.parent for file in requests if json.loads(file.read_text())["kind"] == "prepare"}


def test_ten_labels_are_corrected_in_ten_key_presses_and_nothing_is_recomputed(
    open_page, app, demo_home
):
    page, witness = opened(open_page, app, "labels?dataset=demo")
    page.get_by_role("button", name=re.compile("^Accept ")).wait_for()
    computed = computing_jobs(demo_home)
    artefacts = sorted(path.name for path in (demo_home / "artefacts").glob("*/*"))
    hand = Hand(page)
    for pressed in range(1, 11):
        hand.press("Enter")
        page.get_by_text(re.compile(f"{pressed} corrected, 0 confirmed")).wait_for(timeout=10_000)
    hand.done("ten wrong labels found and corrected")
    page.wait_for_timeout(1500)
    settled(page)
    page.reload()  # what was decided is on disk
    page.get_by_text(re.compile("10 corrected, 0 confirmed")).wait_for()
    page.get_by_text(re.compile("10 labels corrected")).first.wait_for()
    page.get_by_role("link", name="Select", exact=True).click()
    wait_for_map(page)
    assert map_value(page, "kept") == "180"  # the result stands
    assert not page.get_by_text(re.compile("not computed yet")).count()
    assert computing_jobs(demo_home) == computed
    assert artefacts == sorted(path.name for path in (demo_home / "artefacts").glob("*/*"))
    witness.assert_clean()


@pytest.mark.slow
def test_a_label_is_corrected_in_the_larger_view(open_page, app, demo_home):
    page, witness = opened(open_page, app, "home?dataset=demo")
    tile = page.locator(".gallery .tile button").first
    choice = page.get_by_role("dialog").get_by_label("It is")
    tile.click()
    expect(choice.locator("option:checked")).to_have_text("no correction")
    choice.select_option("8")
    page.wait_for_timeout(1000)  # marks are reported together
    settled(page)
    page.reload()
    tile.click()
    expect(choice.locator("option:checked")).to_have_text("8")
    label_log.undo_decision(open_source("demo").fingerprint, demo_home)  # others count them
    witness.assert_clean()


def test_review_undoes_confirms_and_takes_several_at_once(open_page, app):
    page, witness = opened(open_page, app, "labels?dataset=demo")
    page.get_by_role("button", name=re.compile("^Accept ")).wait_for()
    message = page.get_by_role("status").filter(has_text="reviewed")
    before = message.inner_text()
    page.keyboard.press("k")
    message.filter(has_text=re.compile("1 confirmed")).wait_for()
    page.keyboard.press("u")
    message.filter(has_text=before).wait_for()
    for key in ("x", "ArrowRight", "x"):
        page.keyboard.press(key)
    page.get_by_text("It is (2 images):").wait_for()
    page.keyboard.press("i")
    message.filter(has_text=re.compile("2 ignored")).wait_for()
    page.keyboard.press("u")
    message.filter(has_text=before).wait_for()
    page.wait_for_timeout(1000)
    witness.assert_clean()
