"""The map: slider to repaint, and bytes sent per slider step, against st.plotly_chart in the same
run.

Run with scripts/bench ui [N ...]. Software WebGL in headless Chromium is the worst case; a real GPU
draws faster. "live" is a slider dragged inside the map (our own work a frame, nothing sent);
"release" and "plotly" are a rerun of the page from the gesture to the next painted frame. Median of
5 after one warm-up.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [
    str(ROOT),
    str(ROOT / "tests" / "browser"),
]  # not this folder, whose coverage.py is not a package
STEPS = 6


def draw_plotly() -> None:
    """The same points in st.plotly_chart, with a Streamlit slider: what the map replaces."""
    import numpy as np
    import plotly.graph_objects as go
    import streamlit as st
    from made_up import fake_points

    n = int(st.query_params.get("n", 10_000))
    points = fake_points(n)
    rank = np.random.default_rng(3).permutation(n)
    p = st.slider("p", 0.0, 0.99, 0.9, 0.01, key="p")
    kept = rank < (1 - p) * n
    figure = go.Figure(
        [
            go.Scattergl(x=points[m, 0], y=points[m, 1], mode="markers", marker_size=3)
            for m in (~kept, kept)
        ]
    )
    st.plotly_chart(figure, key="map")
    st.text(f"drawn {p:.2f}")


class Meter:
    """Bytes the server sent over the page's web socket since the last reset."""

    def __init__(self, page):
        self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self.count))

    def count(self, payload) -> None:
        self.bytes += len(payload)


def median(values: list[float]) -> float:
    return statistics.median(values[1:])


def two_frames(page) -> None:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def measure_map(page, address: str, n: int) -> dict[str, float]:
    from chrome import map_value, wait_for_map

    meter = Meter(page)
    start = time.perf_counter()
    page.goto(f"{address}/?n={n}&kind=window&beta=0")
    wait_for_map(page)
    first = time.perf_counter() - start
    slider = page.locator("input[data-slider=p]")
    live = []
    release = []
    sent = []
    for step in range(STEPS):
        drag = "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }"
        slider.evaluate(drag, 0.5 + 0.05 * step)
        two_frames(page)
        live.append(float(map_value(page, "scrubMs")) + float(map_value(page, "frameMs")))
        two_frames(page)
        meter.bytes = 0
        start = time.perf_counter()
        ready = int(map_value(page, "ready"))
        slider.evaluate("(e) => e.dispatchEvent(new Event('change'))")
        while int(map_value(page, "ready")) == ready:
            page.wait_for_timeout(5)
        two_frames(page)
        release.append(time.perf_counter() - start)
        page.wait_for_timeout(200)
        sent.append(meter.bytes)
    return {
        "first": first,
        "live_ms": median(live),
        "release": median(release),
        "bytes": median(sent),
    }


def measure_plotly(page, address: str, n: int) -> dict[str, float]:
    meter = Meter(page)
    start = time.perf_counter()
    page.goto(f"{address}/?n={n}")
    page.locator(".js-plotly-plot canvas").first.wait_for(state="attached")
    two_frames(page)
    first = time.perf_counter() - start
    steps = []
    sent = []
    thumb = page.get_by_role("slider")
    for step in range(STEPS):
        page.wait_for_timeout(500)
        page.evaluate(
            "document.querySelector('.js-plotly-plot').on('plotly_afterplot', () => { "
            "window.painted = 1; })"
        )
        old = page.locator(".js-plotly-plot").element_handle()
        page.evaluate("window.painted = 0")
        meter.bytes = 0
        start = time.perf_counter()
        thumb.press("ArrowLeft")
        page.get_by_text(f"drawn {0.9 - 0.01 * (step + 1):.2f}", exact=True).wait_for(
            timeout=120_000
        )
        page.wait_for_function(
            "(old) => window.painted || !old.isConnected", arg=old, timeout=120_000
        )
        two_frames(page)
        steps.append(time.perf_counter() - start)
        sent.append(meter.bytes)
    return {"first": first, "release": median(steps), "bytes": median(sent)}


def main(sizes: list[int]) -> None:
    from chrome import FLAGS, serve, stop
    from playwright.sync_api import sync_playwright

    folder = Path(tempfile.mkdtemp())
    ours, our_address = serve("tests/browser/map_app.py", folder, folder / "map.log")
    theirs, their_address = serve("benchmarks/ui.py", folder, folder / "plotly.log")
    print(
        f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, software WebGL, median of "
        f"{STEPS - 1}"
    )
    print("        N  first paint  live frame   release      sent |   plotly       sent  ratio")
    try:
        with sync_playwright() as playwright:
            path = os.environ.get("CORESET_CHROMIUM", "/usr/bin/chromium")
            chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
            for n in sizes:
                result = []
                for measure, address in (
                    (measure_map, our_address),
                    (measure_plotly, their_address),
                ):
                    page = chromium.new_page(viewport={"width": 1440, "height": 900})
                    page.set_default_timeout(180_000)
                    result.append(measure(page, address, n))
                    page.close()
                a, b = result
                print(
                    f"{n:>9,} {a['first']:>10.2f} s {a['live_ms']:>8.1f} ms {a['release']:>7.2f} s "
                    f"{a['bytes'] / 1e3:>6.1f} kB | {b['release']:>6.2f} s "
                    f"{b['bytes'] / 1e3:>7.0f} kB "
                    f"{b['release'] / a['release']:>5.1f}x",
                    flush=True,
                )
            chromium.close()
    finally:
        stop(ours)
        stop(theirs)


if __name__ == "__main__":
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    if get_script_run_ctx(suppress_warning=True) is not None:
        draw_plotly()
    else:
        main([int(size) for size in sys.argv[1:]] or [10_000, 60_000, 300_000, 1_280_000])
