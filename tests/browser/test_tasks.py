"""The sixteen everyday tasks as a user does them, by role and label, with what each takes.

Done elsewhere: opening a folder (test_hostile_folder), duplicates in bulk (test_clean_folder),
labels back and the next batch (test_rounds), ten wrong labels (test_explore), and FiftyOne
(test_fiftyone_app). The others are here, on one server with a workspace of its own. Which tests hold
which rule of the app: tests/pages/test_rules.py.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from urllib.parse import quote

import numpy as np
import pytest
from chrome import serve, stop, wait_for_map
from hand import Hand, heading, quiet
from PIL import Image
from playwright.sync_api import expect

PLACE = "?dataset=demo&p=0.9&method=elfs"


@pytest.fixture(scope="module")
def home(demo_home, tmp_path_factory):
    """The finished demo, and a set of 90 pictures without labels, finished too."""
    folder = tmp_path_factory.mktemp("tasks")
    shutil.copytree(demo_home, folder / "home")
    return folder / "home"


@pytest.fixture(scope="module")
def unlabelled(home):
    """The spec of three groups of flat pictures with own embeddings; the tenth of each is
    between two groups."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.pipeline.run import STAGES, Run
    from coreset_engine.sources.open import open_source

    rng = np.random.default_rng(0)
    centres = 4 * np.eye(3, 8)
    folder = home.parent / "pictures"
    folder.mkdir()
    vectors = []
    for i in range(90):
        own, other = i % 3, (i + 1) % 3
        share = 0.45 if i % 10 == 9 else 0.0
        vectors.append((1 - share) * centres[own] + share * centres[other] + rng.normal(0, 0.3, 8))
        colour = np.roll([200, 60, 60], own) + rng.integers(0, 50, 3)
        Image.new("RGB", (32, 32), tuple(map(int, colour))).save(folder / f"{i:03d}.png")
    names = [f"{i:03d}.png" for i in range(90)]
    np.savez(home.parent / "own.npz", vectors=np.array(vectors, np.float32), ids=np.array(names))
    dataset = open_source(home.parent / "own.npz", images=folder)
    run = Run(dataset, store=Store(home), n_clusters=3, n_samples=2000)
    for stage in STAGES:
        getattr(run, stage)
    (home / "recent.json").write_text(json.dumps([dataset.spec]))
    return dataset.spec


@pytest.fixture(scope="module")
def app(home, tmp_path_factory):
    """A server of its own: what one task leaves, such as labels and tags, no other file sees."""
    log = tmp_path_factory.mktemp("tasks-app") / "log"
    process, address = serve("app.py", home, log, CORESET_OPEN="demo")
    yield address
    stop(process)


@pytest.fixture
def start(open_page, app):
    """start(page, more) -> (page, hand, witness), on the demo with a selection of 180."""

    def started(name: str, more: str = "", title: str | re.Pattern | None = None):
        page, witness = open_page(f"{app}/{name}{PLACE}{more}")
        heading(page, title or re.compile(name, re.I))
        return page, Hand(page), witness

    return started


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
    archive = tmp_path / "selection.zip"
    hand.download("button", re.compile("download", re.I), archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "out")
    folder = next((tmp_path / "out").rglob("manifest.json")).parent
    table, _ = read_selection(folder)
    chosen = table[table["selected"]]
    assert len(chosen) == 200
    assert chosen.groupby("pseudo_label").size().min() >= 10
    hand.done("200 with at least 10 of every cluster, compared, exported")
    assert hand.count <= 12
    witness.assert_clean()


def test_a_typed_number_survives_reload_undo_and_a_bare_address(start, app):
    page, hand, witness = start("select")
    hand.type("Images to keep", "123")
    page.wait_for_url(re.compile(r"k=123"))
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_enabled()
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
    hand.done("undo, and come back after a reload")
    witness.assert_clean()


def test_similar_images_are_found_and_a_selection_is_chosen_among_them(start):
    page, hand, witness = start("explore")
    hand.type("Search", "digit-0123")
    page.get_by_role("heading", name="201 of 1,797 images").wait_for()
    hand.done("similar images of one whose id is known")
    hand.click("button", "Start a selection")
    hand.type("Images to keep", "30", "Tab")
    hand.click("button", "Select 30 like these")
    heading(page, "Select")
    page.get_by_text(re.compile("only images where id in")).first.wait_for()
    page.locator(".cm-count", has_text="30 of 1,797 images selected").wait_for()
    page.get_by_role("button", name="Constraints (1)").wait_for()  # no pins: the method chose
    witness.assert_clean()


def test_whether_a_selection_is_better_than_random_is_said_at_once(start):
    page, hand, witness = start("select")
    page.get_by_role("heading", name="How well it covers the dataset").wait_for()
    badges = page.get_by_text(re.compile("^(better than|like|worse than) random$"))
    expect(badges).to_have_count(3, timeout=30_000)
    for begins in ("95% of all images are within", "All 10 clusters", "No selected image repeats"):
        message = page.get_by_text(re.compile(f"{begins}.*random")).first.inner_text()
        assert re.search(
            r"random( leaves out|:) (all|[0-9])", message
        )  # beside what random reaches
    hand.done("is it better than random, in three sentences")
    witness.assert_clean()


def test_why_an_image_is_selected(start):
    page, hand, witness = start("gallery", "&color=pseudo-label")
    page.locator(".gallery .tile").nth(3).wait_for()
    hand.count += 1
    page.locator(".gallery .tile button").nth(3).click()
    heading(page, re.compile("^Why .* is (not )?selected"))
    page.get_by_text(re.compile("rank .* of 1,797")).first.wait_for()
    page.get_by_text(re.compile("Selected (from|when|at)")).first.wait_for()
    hand.done("why an image is, or is not, selected")
    witness.assert_clean()


def test_two_methods_are_compared(start):
    page, hand, witness = start("compare")
    hand.pick("Method", re.compile("k-centre"))
    quiet(page)
    page.get_by_role("heading", name="Measurements").wait_for()
    page.get_by_text(re.compile("B: k-centre")).first.wait_for()  # below the counts
    metrics = page.get_by_test_id("stMetricValue")
    expect(metrics.nth(1)).to_have_text("180")
    counts = metrics.all_inner_texts()
    kept_a, kept_b, both, only_a, only_b = (int(text.replace(",", "")) for text in counts[:5])
    assert kept_a == kept_b == 180 == both + only_a == both + only_b
    hand.done("two methods compared")
    witness.assert_clean()


def test_images_are_filtered_tagged_and_selected_among(start):
    page, hand, witness = start("explore")
    hand.click("checkbox", re.compile("^3, 183 images"))
    page.get_by_role("heading", name="183 of 1,797 images").wait_for()
    quiet(page)
    hand.click("button", "Tag", exact=True)
    hand.type("Tag", "threes")
    page.get_by_role("checkbox", name="threes, 183 images").wait_for()
    quiet(page)
    hand.done("a tag for the images of a filter")
    page.keyboard.press("Escape")
    hand.click("button", "Start a selection")
    hand.type("Images to keep", "40", "Tab")
    hand.click("button", "Select 40 among these 183")
    heading(page, "Select")
    page.locator(".cm-count", has_text="40 of 1,797 images selected").wait_for()
    page.get_by_text(re.compile("only images where class")).first.wait_for()
    hand.done("a filter, a tag, and a selection among the filtered")
    witness.assert_clean()


def test_a_selection_goes_to_a_labelling_tool(start, home):
    page, hand, witness = start("export", "&k=25")
    hand.pick("Target", "Label Studio tasks")
    quiet(page)
    hand.click("button", "Export to Label Studio tasks")
    page.get_by_text(re.compile("✓ Label Studio tasks")).wait_for(timeout=240_000)
    tasks = json.loads(next((home / "exports").rglob("*.json")).read_text(encoding="utf-8"))
    manifests = list((home / "exports").rglob("manifest.json"))
    assert isinstance(tasks, list | dict) and manifests
    hand.done("25 images as tasks of Label Studio")
    witness.assert_clean()


def test_doubtful_labels_of_an_unlabelled_set_are_few_and_corrected(open_page, app, unlabelled):
    page, witness = open_page(f"{app}/home?dataset={quote(unlabelled)}&clusters=3&samples=2000")
    hand = Hand(page)
    heading(page, "Coreset Explorer")
    hand.click("button", re.compile("Find label errors"))
    heading(page, "Labels")
    message = page.get_by_role("status").filter(has_text="reviewed")
    message.wait_for()
    listed = int(re.search(r"of (\d+) reviewed", message.inner_text())[1])
    assert 0 < listed <= 20  # of 90
    hand.press("1")
    message.filter(has_text="1 corrected").or_(message.filter(has_text="1 confirmed")).wait_for()
    hand.done("probable errors of an unlabelled set")
    witness.assert_clean()


def test_a_link_brings_another_browser_to_the_same_selection(start, open_page):
    page, hand, witness = start("select")
    hand.type("Images to keep", "77")
    page.wait_for_url(re.compile("k=77"))
    other, _ = open_page(page.url)
    heading(other, "Select")
    wait_for_map(other)
    other.locator(".cm-count", has_text="77 of 1,797 images selected").wait_for()
    hand.done("a link to share")
    witness.assert_clean()


@pytest.mark.parametrize("old", ["dataset", "duel", "evaluate"])
def test_old_addresses_lead_to_the_new_pages(open_page, app, old):
    page, witness = open_page(f"{app}/{old}{PLACE}")
    page.wait_for_url(re.compile(r"/(home|compare)\?"))
    quiet(page)
    assert page.get_by_role("heading", level=1).count() == 1
    witness.assert_clean()
