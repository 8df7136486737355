"""Every page, run whole: with everything finished, with nothing finished, and with no dataset at
all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from finished import texts

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "home",
    "gallery",
    "labels",
    "coverage",
    "export",
    "explore",
    "select",
    "compare",
)


@pytest.mark.parametrize("page", PAGES)
def test_page_draws_without_error(open_page, page):
    test = open_page(page)
    assert not test.exception and not test.error, (test.exception, test.error)
    assert len(test.title) == 1 and test.caption


@pytest.mark.parametrize("page", PAGES)
def test_page_without_dataset_says_what_to_do(open_page, page):
    test = open_page(page, finished=None)
    assert not test.exception and not test.error
    assert "open" in texts(test).lower()


@pytest.mark.parametrize("page", PAGES)
def test_page_with_nothing_finished_offers_the_job(open_page, page):
    test = open_page(page, finished=())
    assert not test.exception and not test.error
    if page != "gallery":  # pictures can be looked at before anything is computed
        assert any("Compute" in button.label for button in test.button)


def test_an_internal_error_is_one_sentence_with_an_id(open_page, monkeypatch, tmp_path):
    from ui.views import labels

    monkeypatch.setattr(labels, "quality_of", lambda view: 1 / 0)
    test = open_page("labels", labels_view="Quality")
    assert not test.exception and len(test.error) == 1
    message = test.error[0].value
    assert "results are unchanged" in message and "Traceback" not in message
    logs = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and "ZeroDivisionError" in path.read_text()
    ]
    assert logs, "the details must be in the workspace's log"


def test_the_sidebar_says_what_is_open_and_escapes_it(open_page, digits):
    import dataclasses

    test = open_page("labels", dataset=dataclasses.replace(digits, spec="demo"))
    assert any("400 images · 10 clusters" in e.value for e in test.sidebar.markdown)


def test_warming_up_loads_what_a_first_selection_needs_and_no_torch():
    """Of the server's own imports; a first visitor on Explore or Select waits for none of them."""
    answer = (
        "import sys; from ui.server.warm_up import load_methods; load_methods(); "
        "import ui.views.compare_datasets; "
        "print('coreset_engine.selection.kernels.greedy' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", answer], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "False"], done.stderr[-2000:]


def test_the_page_names_early_what_streamlit_would_load_late():
    """Each script it names exists, and those of every element that all pages draw are there."""
    import streamlit

    from ui.server.html_shell import ELEMENTS, _html

    html = _html()
    folder = Path(streamlit.__file__).parent / "static"
    named = re.findall(r'<link rel="modulepreload" crossorigin href="\./([^"]+)">', html)
    assert named and len(named) == len(set(named))
    assert all((folder / name).is_file() for name in named)
    stems = {Path(name).name.partition(".")[0] for name in named}
    assert stems >= set(ELEMENTS)
    assert "SourceSans" not in html and "BACKEND_BASE_URL" in html


def test_what_is_painted_first_shows_every_link_and_the_title_once_escaped():
    from ui.server.shell import first_paint

    html = first_paint("b", {"a": "Home", "b": "Labels & more"}, "What <is>")
    assert re.findall(r'<p data-text="([^"]+)"( data-now)?></p>', html) == [
        ("Home", ""),
        ("Labels &amp; more", " data-now"),
    ]
    assert html.count("What &lt;is&gt;") == 1 and "What <is>" not in html
    assert "$" not in html, "every placeholder is filled"
    assert "<h1" not in html, "a page has one title"


def test_the_warm_up_waits_while_a_page_is_drawn_and_nobody_else_does():
    import threading

    from ui.server import warm_up

    steps = []
    with warm_up.page_first():
        thread = threading.Thread(target=lambda: steps.append(warm_up._wait_for_pages()))
        warm_up._thread[:] = [thread]
        thread.start()
        warm_up._wait_for_pages()  # this thread draws the page
        assert thread.is_alive() and not steps
    thread.join(5)
    assert steps == [None]
