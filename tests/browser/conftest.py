"""One Chromium and one server per kind for all browser tests; each test gets a page that records
what went wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from chrome import ARTEFACTS, FLAGS, PREPARE, ROOT, Witness, serve, stop
from fiftyone_worker import environment
from filelock import FileLock


@pytest.fixture(scope="session")
def map_server(tmp_path_factory):
    """The map alone on made-up points (map_app.py)."""
    folder = tmp_path_factory.mktemp("map")
    process, address = serve("tests/browser/map_app.py", folder, folder / "log")
    yield address
    stop(process)


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory, worker_id):
    """A workspace of this process in which every stage of the demo is computed.

    It is computed once per test session: the first process that asks prepares it, each works on a
    copy. CORESET_BROWSER_HOME names a finished one to reuse.
    """
    if os.environ.get("CORESET_BROWSER_HOME"):
        return Path(os.environ["CORESET_BROWSER_HOME"])
    if worker_id == "master":
        prepared = tmp_path_factory.mktemp("home")
        prepare_demo(prepared)
        return prepared
    shared = tmp_path_factory.getbasetemp().parent
    prepared = shared / "prepared-demo"
    with FileLock(shared / "prepared-demo.lock"):
        if not prepared.exists():
            partial = shared / f"prepared-demo-{worker_id}"
            prepare_demo(partial)
            partial.rename(prepared)
    home = tmp_path_factory.mktemp("home") / "workspace"
    shutil.copytree(prepared, home)
    return home


def prepare_demo(home: Path) -> None:
    """Compute every stage of the demo in a workspace at `home`."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=580,
        env=os.environ | {"CORESET_HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def app(demo_home, tmp_path_factory):
    """The app itself, opened on the finished demo."""
    process, address = serve(
        "app.py", demo_home, tmp_path_factory.mktemp("app") / "log", CORESET_OPEN="demo"
    )
    yield address
    stop(process)


@pytest.fixture(scope="module")
def app_with_fiftyone(demo_home, mongo, tmp_path_factory):
    """The app on a copy of the finished demo, beside a FiftyOne with a database of its own."""
    folder = tmp_path_factory.mktemp("side-by-side")
    shutil.copytree(demo_home, folder / "home")
    apart = {
        name: value
        for name, value in environment(mongo, folder).items()
        if name.startswith("FIFTYONE_")
    }
    process, address = serve(
        "app.py", folder / "home", folder / "log", CORESET_OPEN="demo", **apart
    )
    yield address
    stop(process)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # as long as a page's own waits; its default is 5 s
    path = (
        os.environ.get("CORESET_CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("google-chrome")
    )
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def context(browser):
    """One for all pages, so that only the first loads and compiles Streamlit's scripts."""
    made = browser.new_context(accept_downloads=True)
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test tells what its pages said, and leaves a picture of each."""
    report = yield
    if report.when == "call" and report.failed:
        for number, page in enumerate(getattr(item, "pages", ())):
            try:
                report.sections.append(
                    (f"page {number} at {page.url}", page.locator("body").inner_text(timeout=5000))
                )
                ARTEFACTS.mkdir(exist_ok=True)
                page.screenshot(path=ARTEFACTS / f"failed-{item.name}-{number}.png", timeout=10_000)
            except Exception as error:  # noqa: BLE001 - a page that is gone must not hide why the test failed
                report.sections.append((f"page {number}", f"cannot be read: {error}"))
    return report


@pytest.fixture
def open_page(context, request):
    """open_page(address, width=1440, scheme="light") -> (page, witness); all are closed after the
    test. Each page is a session of its own."""
    request.node.pages = []

    def opened(
        address: str,
        *,
        width: int = 1440,
        height: int = 900,
        scheme: str = "light",
        script: str = "",
    ):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        if script:
            page.add_init_script(script)
        page.set_default_timeout(30_000)
        request.node.pages.append(page)
        witness = Witness(page)
        page.goto(address)
        return page, witness

    yield opened
    for page in request.node.pages:
        page.close()
