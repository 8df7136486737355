"""Seconds until a page is painted in a new browser and in one that has the scripts.

    python benchmarks/first_paint.py HOME [QUERY] [--pages home,select]

HOME is a finished workspace, QUERY the address of its dataset ("dataset=demo-photos&k=200"). For
each page a new browser context opens it (cold) and then again with its cache (warm): the first
contentful paint (navigation and title, which our server puts into the HTML; ui/server/shell.py),
the title that Streamlit draws in sight, the end of the page's script, the CPU seconds of
the page's main thread until then, and those of the server. The first row is a Streamlit app of one
title: what any page costs at least. The server's own warm-up is waited for and one page is opened
first, so that imports are not counted; the load average is printed, because every figure but CPU
seconds grows with it.
Targets on an idle machine: 1.2 s cold, 0.7 s warm.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(ROOT), str(ROOT / "tests" / "browser")]
PAGES = ("home", "explore", "labels", "select", "compare", "export")
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
EMPTY = 'import streamlit as st\n\nst.title("Empty")\n'
QUIET = 2.0  # seconds after the end of the script in which what it drew is still painted
HEAD = "paint  title   done    cpu server"


def server_cpu(pid: int) -> float:
    """CPU seconds of the server so far; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_rest(pid: int) -> None:
    """Wait until the server does nothing any more after its start; a minute at most."""
    for _ in range(60):
        before = server_cpu(pid)
        time.sleep(1)
        if server_cpu(pid) - before < 0.05:
            return


def measure(page, address: str, pid: int) -> tuple[float, ...]:
    """Seconds to the paint, to the title, to the end of the script; CPU of page and server."""
    page.goto("about:blank")
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = server_cpu(pid)
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("heading", level=1).wait_for()
    titled = time.perf_counter() - began
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    done = time.perf_counter() - began
    time.sleep(QUIET)
    metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
    tools.detach()
    paint = page.evaluate(PAINT) / 1000
    return paint, titled, done, metrics["TaskDuration"], server_cpu(pid) - before


def measure_all(chromium, address: str, pid: int, pages: list[str], query: str) -> None:
    """Print one line for each page, the first of which only warms up the server."""
    for name in (pages[0], *pages):
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(120_000)
        where = f"{address}/{name}?{query}" if name != "empty" else address
        cold, warm = (measure(page, where, pid) for _ in range(2))
        figures = "   ".join(" ".join(f"{one:6.2f}" for one in kind) for kind in (cold, warm))
        print(f"{name:9} {figures}   {os.getloadavg()[0]:4.1f}", flush=True)
        context.close()


def main() -> None:
    """Read the arguments; measure the empty app, then ours."""
    from chrome import FLAGS, serve, stop
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("query", nargs="?", default="dataset=demo-photos&k=200")
    parser.add_argument("--pages", default=",".join(PAGES))
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    (folder / "empty.py").write_text(EMPTY)
    path = os.environ.get("CORESET_CHROMIUM") or shutil.which("chromium")
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, software WebGL")
    print(f"page      cold: {HEAD}   warm: {HEAD}   load")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for script, pages in (
            (str(folder / "empty.py"), ["empty"]),
            ("app.py", asked.pages.split(",")),
        ):
            process, address = serve(script, asked.home, folder / "log")
            try:
                wait_for_rest(process.pid)
                measure_all(chromium, address, process.pid, pages, asked.query)
            finally:
                stop(process)
        chromium.close()


if __name__ == "__main__":
    main()
