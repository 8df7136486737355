"""Chromium's flags, servers and what a page did behind the user's back: for browser tests and the
UI benchmark."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "test-artefacts"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


PREPARE = """
import coreset_engine as ce
from coreset_engine.pipeline.run import STAGES
run = ce.Run(ce.open_source("demo"))
for stage in STAGES:
    getattr(run, stage)
"""


def pictures() -> Path:
    """Where pictures for the README go; CORESET_PICTURES=docs/images puts them where it shows
    them."""
    folder = (
        ROOT / os.environ["CORESET_PICTURES"]
        if os.environ.get("CORESET_PICTURES")
        else ARTEFACTS / "pictures"
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shrunk(png: bytes, width: int) -> Image.Image:
    """A screenshot of that width, in 24 bits."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    return picture.resize(
        (width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS
    )


def keep_picture(png: bytes, name: str, width: int = 1200) -> Image.Image:
    """Write pictures()/name.png in 256 colours; what was written."""
    # Maximum coverage, not median cut: a few hundred dots of a cluster's colour matter more than
    # shades of grey.
    # One round of k-means brings the background back to its own colour.
    picture = shrunk(png, width).quantize(
        256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    )
    picture.save(pictures() / f"{name}.png", optimize=True)
    return picture


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(script: str, home: Path, log: Path, **environment: str) -> tuple[subprocess.Popen, str]:
    """Start `streamlit run script`; returns the process and its address once it answers."""
    port = free_port()
    known = (
        os.environ
        | {"CORESET_HOME": str(home), "OMP_NUM_THREADS": "1", "FIFTYONE_DO_NOT_TRACK": "1"}
        | environment
    )
    with log.open("w") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                script,
                "--server.port",
                str(port),
                "--server.headless",
                "true",
            ],
            cwd=ROOT,
            env=known,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )  # a group of its own, so that all of it can be ended
    address = f"http://127.0.0.1:{port}"
    wait_until_up(process, address, log)
    return process, address


def wait_until_up(process: subprocess.Popen, address: str, log: Path) -> None:
    """Until the server at `address` says that it is healthy; fails with its log after 30 s."""
    for _ in range(300):
        try:
            urllib.request.urlopen(address + "/_stcore/health", timeout=1).read()
            return
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


class Witness:
    """A page's console errors, uncaught exceptions and requests to other
    hosts."""

    def __init__(self, page):
        self.faults = []
        self.strangers = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._look)

    def _hear(self, message) -> None:
        if message.type == "error":
            self.faults.append(f"{message.text} {message.location.get('url', '')}")

    def _look(self, request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            self.strangers.append(request.url)

    def assert_clean(self) -> None:
        assert not self.faults, self.faults
        assert not self.strangers, self.strangers


def looks(page, settled: Callable[[Any], None]) -> Iterator[str]:
    """ "light-1440", "dark-1024": the page looks so until the next one; nothing scrolls sideways.

    look.py shows the other two as well.
    """
    for scheme, width in (("light", 1440), ("dark", 1024)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        settled(page)
        wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert wide, f"scrolls sideways at {width}"
        yield f"{scheme}-{width}"


def wait_for_map(page) -> None:
    """Until the map has its arrays and has drawn them."""
    page.wait_for_function("""() => { const find = (root) => [...root.querySelectorAll('*')].reduce((hit, e) =>
        hit || (e.matches('.cm[data-ready][data-frames]') ? e : e.shadowRoot && find(e.shadowRoot)), null);
        return find(document); }""")


def map_value(page, name: str) -> str:
    """One of the map's own readings: kept, frames, frameMs, scrubMs, renderer, ready."""
    return page.locator(".cm").first.evaluate("(map, name) => map.dataset[name]", name)
