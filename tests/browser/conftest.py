"""One Chromium and one server per kind for all browser tests; each test gets a page that records what went wrong."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "test-artefacts"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader"]


PREPARE = """
import coreset_engine as ce
from coreset_engine.run.pipeline import STAGES
run = ce.Run(ce.open_source("demo"))
for stage in STAGES:
    getattr(run, stage)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(script: str, home: Path, log: Path, **environment: str) -> tuple[subprocess.Popen, str]:
    """Start `streamlit run script`; returns the process and its address once it answers."""
    port = free_port()
    known = os.environ | {"CORESET_HOME": str(home), "OMP_NUM_THREADS": "1", "FIFTYONE_DO_NOT_TRACK": "1"} | environment
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port),
                                    "--server.headless", "true"], cwd=ROOT, env=known, stdout=out, stderr=out)
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(address + "/_stcore/health", timeout=1).read()
            return process, address
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError("the server did not answer within 30 s: " + log.read_text())


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


@pytest.fixture(scope="session")
def map_server(tmp_path_factory):
    """The map alone on made-up points (map_app.py)."""
    folder = tmp_path_factory.mktemp("map")
    process, address = serve("tests/browser/map_app.py", folder, folder / "log")
    yield address
    stop(process)


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory):
    """A workspace in which every stage of the demo is computed; CORESET_BROWSER_HOME names a finished one to reuse."""
    if os.environ.get("CORESET_BROWSER_HOME"):
        return Path(os.environ["CORESET_BROWSER_HOME"])
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run([sys.executable, "-c", PREPARE], cwd=ROOT, capture_output=True, text=True, timeout=280,
                          env=os.environ | {"CORESET_HOME": str(home), "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="session")
def app(demo_home, tmp_path_factory):
    """The app itself, opened on the finished demo."""
    process, address = serve("app.py", demo_home, tmp_path_factory.mktemp("app") / "log", CORESET_OPEN="demo")
    yield address
    stop(process)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CORESET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


class Witness:
    """What a page did behind the user's back: console errors, uncaught faults, requests to other hosts."""

    def __init__(self, page):
        self.faults, self.strangers = [], []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._look)

    def _hear(self, message) -> None:
        # On a link straight to a page Streamlit's own script first probes for a server below that path: two 404s.
        probe = re.search(r"/\w+/_stcore/(health|host-config)$", message.location.get("url", ""))
        if message.type == "error" and not probe:
            self.faults.append(f"{message.text} {message.location.get('url', '')}")

    def _look(self, request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            self.strangers.append(request.url)

    def assert_clean(self) -> None:
        assert not self.faults, self.faults
        assert not self.strangers, self.strangers


@pytest.fixture
def open_page(browser):
    """open_page(address, width=1440, scheme="light") -> (page, witness); all are closed after the test."""
    contexts = []

    def opened(address: str, *, width: int = 1440, height: int = 900, scheme: str = "light", script: str = ""):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme,
                                      accept_downloads=True)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.set_default_timeout(30_000)
        witness = Witness(page)
        page.goto(address)
        return page, witness

    yield opened
    for context in contexts:
        context.close()


def wait_for_map(page) -> None:
    """Until the map has its arrays and has drawn them."""
    page.wait_for_function("""() => { const find = (root) => [...root.querySelectorAll('*')].reduce((hit, e) =>
        hit || (e.matches('.cm[data-ready][data-frames]') ? e : e.shadowRoot && find(e.shadowRoot)), null);
        return find(document); }""")


def map_value(page, name: str) -> str:
    """One of the map's own readings: kept, frames, frameMs, scrubMs, renderer, ready."""
    return page.locator(".cm").first.evaluate("(map, name) => map.dataset[name]", name)
