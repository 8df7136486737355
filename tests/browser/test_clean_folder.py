"""A folder is cleaned in five clicks in a real Chromium, and the page is pictured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from chrome import ARTEFACTS, looks, serve, stop
from hand import Hand, quiet

sys.path.insert(0, str(Path(__file__).parent.parent / "findings"))
from drawn import blurred, plain, textured  # noqa: E402 - beside the other folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty pictures in two classes, twelve of them copies, one blank, two blurred."""
    root = tmp_path_factory.mktemp("pictures") / "holiday"
    for i in range(45):
        target = root / ("beach" if i % 2 else "city")
        target.mkdir(parents=True, exist_ok=True)
        textured(i, (96, 80)).save(target / f"{i:02d}.png")
    for i in range(12):
        source = root / ("beach" if i % 2 else "city") / f"{i:02d}.png"
        (root / "beach" / f"copy-{i:02d}.png").write_bytes(source.read_bytes())
    plain(128, (96, 80)).save(root / "city" / "blank.png")
    for i in (80, 81):
        blurred(textured(i, (96, 80))).save(root / "city" / f"blurred-{i}.png")
    return root


@pytest.fixture(scope="module")
def server(tmp_path_factory, folder):
    home = tmp_path_factory.mktemp("home")
    process, address = serve("app.py", home, home / "server-log", CORESET_OPEN=str(folder))
    yield address, home
    stop(process)


def settled(page):
    quiet(page, 400)


@pytest.mark.slow
def test_a_folder_is_cleaned_in_five_clicks(open_page, server, folder):
    address, home = server
    page, witness = open_page(address)
    hand = Hand(page)

    def click(element):
        element.click()
        hand.count += 1

    click(page.get_by_role("link", name="Clean"))
    page.get_by_text("image statistics (about").wait_for()
    click(page.get_by_role("button", name="Compute", exact=True))
    page.get_by_role("radiogroup", name="Findings").wait_for(timeout=120_000)
    page.get_by_text("Identical files: 24").first.wait_for()
    settled(page)
    _pictures(page, "clean")
    click(page.get_by_role("button", name="Exclude all but one per group (12)"))
    page.get_by_text("12 excluded from every selection").wait_for()
    click(page.locator("label", has_text="Blurred: 2"))
    click(page.get_by_role("button", name="Exclude all (2)"))
    page.get_by_text("14 excluded from every selection").wait_for()
    hand.done("copies and blurred images of a folder excluded in bulk, computing included")
    assert hand.count <= 5
    settled(page)
    _pictures(page, "clean-blurred")
    assert not page.get_by_text("nternal error").count()
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_text("12 excluded from every selection").wait_for()
    witness.assert_clean()
    assert len(_excluded(folder, home)) == 12


def _excluded(folder, home):
    from coreset_engine.pipeline import exclusions
    from coreset_engine.sources.open import open_source

    made = exclusions.entries(open_source(folder).fingerprint, home)
    return exclusions.excluded(made)


def _pictures(page, name):
    ARTEFACTS.mkdir(exist_ok=True)
    for look in looks(page, settled):
        page.screenshot(path=ARTEFACTS / f"{name}-{look}.png")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
