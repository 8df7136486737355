"""A folder whose every name is an attack, opened and prepared by hand in a real Chromium: nothing
runs, all stays text.

Also the way of a first visitor with own images: open a folder, watch the job, reload while it runs,
find everything.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from chrome import serve, stop
from hand import Hand, quiet
from PIL import Image
from playwright.sync_api import expect

WALL_IMAGES = 39  # of Home
EVIL = "<img src=x onerror=alert(1)>"
PAGES = ("gallery", "labels", "coverage", "explore", "select", "compare", "evaluate", "export")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes with hostile names, 24 small images each."""
    root = tmp_path_factory.mktemp("data") / f"{EVIL}set"
    rng = np.random.default_rng(0)
    for c, name in enumerate((f"{EVIL}a", "'\"b`${1}")):
        (root / name).mkdir(parents=True)
        for i in range(24):
            noise = rng.integers(0, 80, (24, 24, 3)) + np.array([150 * c, 60, 150 * (1 - c)])
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(
                root / name / f"{EVIL}{i}.png"
            )
    (root / f"{EVIL}broken.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    process, address = serve("app.py", home, home / "server-log")
    yield address
    stop(process)


@pytest.mark.slow
def test_hostile_folder_from_opening_to_every_page(open_page, server, folder):
    page, witness = open_page(server)
    alerts = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    hand = Hand(page)
    hand.type("Folder of images", str(folder), "Tab")
    hand.click("button", "Open", exact=True)
    page.get_by_text("1 skipped file").wait_for()
    expect(page.locator(".gallery button")).to_have_count(WALL_IMAGES)  # some of the 48
    hand.done("a folder opened")
    page.get_by_role("button", name="Compute", exact=True).click()
    strip = page.locator("[data-testid=stSidebar]")
    strip.get_by_text(re.compile("Compute .* (queued|running)")).wait_for()
    page.reload()  # the job does not mind
    page.get_by_text("All stages are computed for these settings.").wait_for(timeout=400_000)
    query = page.url.partition("?")[2]
    for name in PAGES:
        page.goto(f"{server}/{name}?{query}")
        page.get_by_role("heading", level=1).wait_for()
        quiet(page, 400)
        assert not page.get_by_text(re.compile("nternal error|Traceback")).count(), name
        assert not page.locator("img[src=x]").count(), name
    assert not alerts and not witness.strangers
    assert not [error for error in witness.faults if "404" not in error], witness.faults


@pytest.mark.slow
def test_larger_view_walks_with_the_arrows(open_page, server):
    page, witness = open_page(f"{server}/home?dataset=demo")
    tiles = page.locator(".gallery button")
    tiles.nth(2).click()
    viewer = page.locator("dialog.viewer[open]")
    viewer.locator("img[src^='data:image']").wait_for()
    first = viewer.locator(".name").inner_text()
    page.keyboard.press("ArrowRight")
    viewer.get_by_text(re.compile(r"^4 of \d+$")).wait_for()
    following = tiles.nth(3).get_attribute("title")
    expect(viewer.locator(".name")).to_have_text(following)
    assert following != first
    viewer.locator("img[src^='data:image']").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog.viewer[open]").wait_for(state="detached")
    witness.assert_clean()
