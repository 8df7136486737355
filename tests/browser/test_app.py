"""The app in a real Chromium on the finished demo: every page, and the ways through it that people
take."""

from __future__ import annotations

import re
import zipfile

import pytest
from chrome import ARTEFACTS, ROOT, looks, map_value, wait_for_map
from hand import quiet
from playwright.sync_api import expect

PAGES = {
    "home": "Coreset Explorer",
    "explore": "Explore",
    "clean": "Clean",
    "compare_datasets": "Compare datasets",
    "gallery": "Gallery",
    "labels": "Labels",
    "coverage": "Coverage",
    "select": "Select",
    "compare": "Compare",
    "export": "Export & next round",
}
# The script of the first edition's Dataset page has no address of its own any more.
SCRIPTS = {path.stem for path in (ROOT / "pages").glob("*.py")} - {"dataset"}
assert set(PAGES) == SCRIPTS, "a page without a browser test"
WITH_MAP = ("explore", "select", "compare")


def settled(page, name: str) -> None:
    """The page's own title stands there, nothing runs any more, the map (if any) is drawn."""
    page.get_by_role("heading", name=PAGES[name], level=1).wait_for()
    if name in WITH_MAP:
        wait_for_map(page)
    quiet(page)


def go(open_page, app, name: str, query: str = "", **how):
    if "&p=" not in query:  # a bare address would bring back what another test left
        query += "&p=0.9"
    if "&method=" not in query:
        query += "&method=elfs"
    page, witness = open_page(f"{app}/{name}?dataset=demo{query}", **how)
    settled(page, name)
    return page, witness


def scrub(page, value: float) -> None:
    """Drag the pruning rate inside the map and release it."""
    slider = page.locator("input[data-slider=p]")
    slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", value)
    slider.evaluate("(e) => e.dispatchEvent(new Event('change'))")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_clean_and_has_its_picture_taken(open_page, app, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page, witness = go(open_page, app, name)
    assert not page.get_by_text(re.compile("nternal error|Traceback|results are unchanged")).count()
    for look in looks(page, lambda page: settled(page, name)):
        page.screenshot(path=ARTEFACTS / f"{name}-{look}.png")
    witness.assert_clean()


def test_the_root_leads_to_the_first_page_and_keeps_what_the_link_says(open_page, app):
    page, witness = open_page(f"{app}/?p=0.5")
    settled(page, "home")
    page.wait_for_url(re.compile(r"/home\?.*p=0\.5"))
    witness.assert_clean()


def test_from_demo_to_an_export_that_reads_back(open_page, app, tmp_path):
    from coreset_engine.artifacts.selection_folder import read_selection

    page, witness = go(open_page, app, "select")
    assert map_value(page, "kept") == "180"
    scrub(page, 0.8)
    page.locator(".cm-count", has_text="359").wait_for()
    page.wait_for_url(re.compile(r"p=0\.8"))
    page.get_by_role("link", name=PAGES["export"], exact=True).click()
    settled(page, "export")
    with page.expect_download() as download:  # by name: under load the page still moves
        page.locator("[class*=st-key-download][class*='359-zip'] button").click()
    archive = tmp_path / "selection.zip"
    download.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "out")
    folder = next((tmp_path / "out").rglob("manifest.json")).parent
    table, manifest = read_selection(folder)
    ids = (folder / "ids.txt").read_text().split()
    assert len(ids) == 359 == int(table["selected"].sum())
    assert set(ids) == set(table.loc[table["selected"], "id"])
    assert "0.8" in str(manifest)
    witness.assert_clean()


@pytest.mark.slow
def test_reload_keeps_the_knobs(open_page, app):
    page, _ = go(open_page, app, "select")
    scrub(page, 0.5)
    page.wait_for_url(re.compile(r"p=0\.5"))
    page.reload()
    settled(page, "select")
    assert map_value(page, "kept") == "899"
    assert page.locator("input[data-slider=p]").input_value() == "0.5"


@pytest.mark.slow
def test_two_tabs_do_not_cross(open_page, app):
    one, _ = go(open_page, app, "select", "&p=0.7")
    two, _ = go(open_page, app, "select", "&p=0.6")
    scrub(two, 0.3)
    two.wait_for_url(re.compile(r"p=0\.3"))
    one.reload()
    settled(one, "select")
    assert map_value(one, "kept") == "539"
    assert map_value(two, "kept") == "1258"


@pytest.mark.slow
def test_undo_and_redo_move_the_knobs(open_page, app):
    page, _ = go(open_page, app, "select")
    scrub(page, 0.5)
    page.wait_for_url(re.compile(r"p=0\.5"))
    page.get_by_role("button", name="Undo").click()
    page.locator(".cm-count", has_text="180").wait_for()
    page.get_by_role("button", name="Redo").click()
    page.locator(".cm-count", has_text="899").wait_for()


@pytest.mark.slow
def test_click_tells_why_and_pins(open_page, app):
    page, witness = go(open_page, app, "select")
    point = page.locator(
        ".cm"
    ).evaluate("""(map) => { const view = map.getRootNode().coresetMap;
        let low = 0; for (let i = 0; i < view.n; i++) if (view.xy[2 * i] < view.xy[2 * low]) low = i;
        return [...view.camera.toPixel(view.xy[2 * low], view.xy[2 * low + 1]), view.membership.keeps(low)]; }""")
    box = page.locator(".cm canvas").first.bounding_box()
    page.mouse.click(box["x"] + point[0], box["y"] + point[1])
    page.get_by_role("heading", name=re.compile("^Why ")).wait_for()
    page.get_by_text(re.compile(r"elected by Mid-difficulty \(ELFS\): rank")).wait_for()
    page.get_by_role("button", name="Always include", exact=True).first.click()
    page.get_by_text("you chose to always include it").wait_for()
    page.reload()  # the address holds the pins
    page.get_by_text("you chose to always include it").wait_for()
    assert map_value(page, "kept") == "180"
    witness.assert_clean()


@pytest.mark.slow
def test_a_picture_of_a_gallery_leads_to_its_reasons(open_page, app):
    page, witness = go(open_page, app, "compare")
    name = open_a_tile(page)
    message = "(viewer) => { window.said = []; viewer.parentElement.report = (i) => window.said.push(i); }"
    page.locator("dialog.viewer[open]").evaluate(message)
    page.get_by_role("button", name="Why this image?").click()
    page.get_by_role("heading", name=re.compile(f"^Why {name} is")).wait_for()
    assert page.url.rpartition("/")[2].startswith("explore?")
    page.wait_for_timeout(500)
    assert (
        page.evaluate("window.said") == []
    )  # a second message, on its way while the page changes, would empty it
    page.get_by_role("button", name="Close").click()
    page.get_by_role("heading", name=re.compile(f"^Why {name} is")).wait_for(state="detached")
    witness.assert_clean()


def open_a_tile(page, name: str = "") -> str:
    """Open the picture of that id, else the third of the last gallery in sight; its id."""
    tile = page.locator(".gallery:visible").last.locator(
        f"button[title='{name}']" if name else ".tile:nth-child(3) button"
    )
    name = tile.get_attribute("title")
    tile.click()
    page.locator("dialog.viewer[open] img[src^=data]").wait_for()
    return name


def test_a_picture_of_the_gallery_opens_the_drawer_beside_it(open_page, app):
    page, witness = go(open_page, app, "gallery")
    tile = page.locator(".gallery").last.locator(".tile:nth-child(3) button")
    name = tile.get_attribute("title")
    tile.click()
    page.get_by_role("heading", name=re.compile(f"^Why {name} is")).wait_for()
    page.get_by_role("button", name="More like this").wait_for()
    assert page.url.rpartition("/")[2].startswith("gallery?")
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("heading", name=re.compile(f"^Why {name} is")).wait_for(state="detached")
    witness.assert_clean()


@pytest.mark.slow
def test_polling_while_the_page_changes_leaves_no_empty_page(open_page, app):
    recorder = """const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (frame) { window.sent = [this, frame, performance.now()];
                                                      return send.call(this, frame); };
        window.again = () => { const [socket, frame] = window.sent;
            for (let wait = 0; wait < 300; wait += 5) setTimeout(() => send.call(socket, frame), wait); };"""
    page, witness = go(open_page, app, "compare", script=recorder)
    name = open_a_tile(page)
    opened_at = page.evaluate(
        "window.sent[2]"
    )  # what is sent a while after it is the job strip's own polling
    page.wait_for_function("(then) => window.sent[2] > then + 500", arg=opened_at)
    page.evaluate("window.again()")
    page.get_by_role("button", name="Why this image?").click()
    page.get_by_role("heading", name=re.compile(f"^Why {name} is")).wait_for()
    page.wait_for_timeout(1500)
    page.get_by_role("heading", name=re.compile(f"^Why {name} is")).wait_for()
    settled(page, "explore")
    witness.assert_clean()


@pytest.mark.slow
def test_a_picture_asked_about_opens_again(open_page, app):
    page, witness = go(open_page, app, "select")
    name = open_a_tile(page)
    page.get_by_role("button", name="Why this image?").click()
    page.get_by_role("heading", name=re.compile(f"^Why {name} is")).wait_for()
    settled(page, "select")
    open_a_tile(page, name)
    witness.assert_clean()


def test_lasso_shows_pictures(open_page, app):
    page, witness = go(open_page, app, "explore")
    box = page.locator(".cm canvas").first.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    for dx, dy in ((120, -60), (120, 90), (-120, 90), (-120, -60)):
        page.mouse.move(middle[0] + dx, middle[1] + dy, steps=4)
    page.mouse.up()
    page.get_by_role("heading", name=re.compile(r"^[\d,]+ images in the lasso")).wait_for()
    witness.assert_clean()


@pytest.mark.slow
def test_compare_counts_add_up_at_the_old_address_too(open_page, app):
    page, witness = open_page(f"{app}/duel?dataset=demo&a=elfs:0.9:0:0&b=random:0.8:0:0")
    page.wait_for_url(re.compile(r"/compare\?"))
    settled(page, "compare")
    metrics = page.get_by_test_id("stMetricValue")
    expect(metrics.nth(0)).to_have_text("180")
    expect(metrics.nth(1)).to_have_text("359")
    expect(metrics.nth(4)).to_have_text(re.compile("[0-9]"))
    values = [int(text.replace(",", "")) for text in metrics.all_inner_texts()[:5]]
    kept_a, kept_b, both, only_a, only_b = values
    assert both + only_a == kept_a and both + only_b == kept_b
    first, second = page.locator(".cm").all()
    first.locator("canvas").first.focus()
    page.keyboard.press("+")
    zoom = "(map) => map.getRootNode().coresetMap.camera.zoom"
    assert first.evaluate(zoom) == pytest.approx(second.evaluate(zoom)) == pytest.approx(1.4)
    witness.assert_clean()


@pytest.mark.slow
def test_a_new_user_finds_errors_chooses_compares_and_exports(open_page, app):
    """The way of someone who reads nothing: only what stands on the pages is clicked."""
    page, witness = open_page(f"{app}/?dataset=demo&p=0.9&method=elfs")
    settled(page, "home")
    page.get_by_role("button", name=re.compile("Find label errors")).click()
    settled(page, "labels")
    page.get_by_role("button", name=re.compile("^Accept ")).wait_for()
    page.get_by_text(re.compile("^Typical ")).first.wait_for()
    page.get_by_role("link", name="Select", exact=True).click()
    settled(page, "select")
    page.locator(".cm-count", has_text="180 of 1,797 images selected").wait_for()
    page.get_by_role("link", name=re.compile("Compare with random")).click()
    settled(page, "compare")
    metrics = page.get_by_test_id("stMetricValue")
    expect(metrics.nth(0)).to_have_text("180")
    expect(metrics.nth(1)).to_have_text("180")
    page.get_by_role("link", name=PAGES["export"], exact=True).click()
    settled(page, "export")
    with page.expect_download():
        page.get_by_role("button", name=re.compile("download", re.IGNORECASE)).first.click()
    witness.assert_clean()


@pytest.mark.slow
def test_snapshots_bring_back_method_and_knobs(open_page, app):
    page, witness = go(open_page, app, "select", "&p=0.8&method=random")
    page.get_by_text("Snapshots", exact=True).click()
    page.get_by_label("Name").fill("browser test")
    page.get_by_label("Name").press("Enter")
    page.get_by_role("button", name="Save snapshot").click()
    page.get_by_text(re.compile("browser test")).first.wait_for()
    scrub(page, 0.5)
    page.wait_for_url(re.compile(r"p=0\.5"))
    page.get_by_role("button", name="Restore").first.click()
    page.wait_for_url(re.compile(r"p=0\.8"))
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(re.compile(r"p=0\.5"))
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("button", name="Delete").wait_for(state="detached")
    assert not page.get_by_text("results are unchanged").count()
    witness.assert_clean()
