"""Train and test are compared in a real Chromium: what both hold is excluded from train, and Select
chooses from test what train lacks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from chrome import ARTEFACTS, looks, serve, stop
from hand import quiet

sys.path.insert(0, str(Path(__file__).parent.parent / "findings"))
from drawn import blurred, textured  # noqa: E402 - beside the other folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """train: 60 sharp pictures. test: 24 sharp ones, 8 of them train's by bytes, and 16 blurred."""
    root = tmp_path_factory.mktemp("pictures")
    train, test = root / "train", root / "test"
    train.mkdir()
    test.mkdir()
    for i in range(60):
        textured(i, (96, 80)).save(train / f"{i:02d}.png")
    for i in range(24):
        path = test / f"{i:02d}.png"
        if i < 8:
            path.write_bytes((train / f"{i:02d}.png").read_bytes())
        else:
            textured(500 + i, (96, 80)).save(path)
    for i in range(16):
        blurred(textured(700 + i, (96, 80))).save(test / f"soft-{i:02d}.png")
    return train, test


@pytest.fixture(scope="module")
def server(tmp_path_factory, folders):
    home = tmp_path_factory.mktemp("home")
    process, address = serve("app.py", home, home / "server-log", CORESET_OPEN=str(folders[0]))
    yield address, home
    stop(process)


def settled(page):
    quiet(page, 400)


@pytest.mark.slow
def test_train_and_test_are_compared_cleaned_and_completed(open_page, server, folders):
    address, home = server
    page, witness = open_page(address)
    page.get_by_role("link", name="Compare datasets", exact=True).click()
    page.get_by_role("heading", name="Compare datasets", level=1).wait_for()
    page.get_by_role("textbox", name="B, the other dataset").fill(str(folders[1]))
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text("have not been compared").wait_for()
    page.get_by_role("button", name="Compute", exact=True).click()
    page.get_by_text("8 of 40").first.wait_for(timeout=180_000)
    page.get_by_role("img", name="Map of both datasets").or_(
        page.get_by_label("Map of both datasets")
    ).first.wait_for()
    settled(page)
    _pictures(page)
    page.get_by_role("button", name=re.compile(r"Exclude from A \(\d+\)")).click()
    page.get_by_role("button", name="Excluded from A").wait_for()
    assert {f"{i:02d}.png" for i in range(8)} <= set(_excluded(folders[0], home))
    assert not _excluded(folders[1], home)
    count = page.get_by_role("spinbutton", name="Images")
    count.fill("5")
    count.press("Enter")
    settled(page)
    page.get_by_role("button", name="Choose on Select").click()
    page.get_by_role("heading", name="Select", level=1).wait_for()
    witness.assert_clean()


def _excluded(folder, home):
    from coreset_engine.pipeline import exclusions
    from coreset_engine.sources.open import open_source

    return exclusions.excluded(exclusions.entries(open_source(folder).fingerprint, home))


def _pictures(page):
    ARTEFACTS.mkdir(exist_ok=True)
    for look in looks(page, settled):
        page.screenshot(path=ARTEFACTS / f"compare-datasets-{look}.png")
        page.get_by_text("Select what is missing").scroll_into_view_if_needed()
        settled(page)
        page.screenshot(path=ARTEFACTS / f"compare-datasets-end-{look}.png")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
