"""Every page with 60,000 images: the same promises as on the demo. Slow: it prepares a made-up set
first.

CORESET_LARGE_HOME and CORESET_LARGE_QUERY ("dataset=fashion-mnist&samples=60000") name a prepared
one to reuse.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from chrome import ARTEFACTS, ROOT, looks, map_value, serve, stop, wait_for_map
from hand import quiet

N = 60_000
PAGES = {
    "home": "Coreset Explorer",
    "explore": "Explore",
    "gallery": "Gallery",
    "labels": "Labels",
    "coverage": "Coverage",
    "select": "Select",
    "compare": "Compare",
    "export": "Export & next round",
}
PREPARE = """
import sys
import coreset_engine as ce
from coreset_engine.pipeline.run import STAGES
run = ce.Run(ce.open_source(sys.argv[1]), n_clusters=10, n_samples=20_000)
for stage in STAGES:
    getattr(run, stage)
print(run.dataset.spec)
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """(address, query) of an app opened on 60,000 images with every stage finished."""
    folder = tmp_path_factory.mktemp("large")
    if os.environ.get("CORESET_LARGE_HOME"):
        home = Path(os.environ["CORESET_LARGE_HOME"])
        query = os.environ["CORESET_LARGE_QUERY"]
        spec = re.search("dataset=([^&]+)", query)[1]
    else:
        home = folder / "home"
        rng = np.random.default_rng(0)
        centres = rng.normal(0, 3, (10, 32))
        np.save(
            folder / "vectors.npy",
            (centres[np.arange(N) % 10] + rng.normal(0, 1, (N, 32))).astype(np.float32),
        )
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, str(folder / "vectors.npy")],
            cwd=ROOT,
            timeout=900,
            capture_output=True,
            text=True,
            env=os.environ | {"CORESET_HOME": str(home), "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        spec = done.stdout.splitlines()[-1]
        query = f"dataset={quote(spec)}&clusters=10&samples=20000"
    process, address = serve("app.py", home, folder / "log", CORESET_OPEN=spec)
    yield address, query
    stop(process)


def opened(open_page, large, name: str, more: str = ""):
    address, query = large
    page, witness = open_page(f"{address}/{name}?{query}{more}")
    page.set_default_timeout(60_000)
    page.get_by_role("heading", name=PAGES[name], level=1).wait_for()
    if name in ("explore", "select", "compare"):
        wait_for_map(page)
    quiet(page)
    return page, witness


@pytest.mark.parametrize("name", PAGES)
def test_page_is_clean(open_page, large, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page, witness = opened(open_page, large, name)
    page.wait_for_timeout(500)
    assert not page.get_by_text(
        re.compile("Traceback|results are unchanged|not computed yet")
    ).count()
    for look in looks(page, lambda page: page.wait_for_timeout(800)):
        page.screenshot(path=ARTEFACTS / f"60k-{name}-{look}.png")
    witness.assert_clean()


def test_scrub_settles_on_what_the_engine_chooses(open_page, large):
    page, witness = opened(open_page, large, "select")
    assert map_value(page, "kept") == "6000"
    slider = page.locator("input[data-slider=p]")
    slider.evaluate("(e) => { e.value = 0.75; e.dispatchEvent(new Event('input')); }")
    assert map_value(page, "kept") == "15000"
    slider.evaluate("(e) => e.dispatchEvent(new Event('change'))")
    page.wait_for_url(re.compile(r"p=0\.75"))
    page.get_by_role("link", name=PAGES["export"], exact=True).click()
    page.get_by_role("heading", name=PAGES["export"], level=1).wait_for()
    page.get_by_test_id("stMetricValue").filter(has_text="15,000").wait_for()
    witness.assert_clean()


def test_click_tells_why(open_page, large):
    page, witness = opened(open_page, large, "explore")
    page.locator(".cm canvas").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=re.compile("^Why ")).wait_for()
    page.get_by_text("Scores and coverage", exact=True).click()
    page.get_by_text(re.compile("Nearest image to [0-9,]+ of [0-9,]+")).wait_for()
    page.get_by_text(re.compile("^Nearest (other )?selected image")).wait_for()
    witness.assert_clean()
