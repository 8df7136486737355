"""Seconds until a page is painted in a new browser and in one that has the scripts.

    python benchmarks/first_paint.py HOME [QUERY]

HOME is a finished workspace, QUERY the address of its dataset ("dataset=demo-photos&k=200"). For
each page a new browser context opens it (cold) and then again with its cache (warm): the first
contentful paint, the page's own title in sight, and the end of the page's script. One warm-up page
is opened first, so that the server's imports are not counted; the load average is printed, because
every figure grows with it. Targets on an idle machine: 1.2 s cold, 0.7 s warm.
"""

from __future__ import annotations

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


def measure(page, address: str) -> tuple[float, float, float]:
    """Seconds to the first contentful paint, to the title, and to the end of the script."""
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("heading", level=1).wait_for()
    titled = time.perf_counter() - began
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    done = time.perf_counter() - began
    return page.evaluate(PAINT) / 1000, titled, done


def main(home: Path, query: str) -> None:
    from chrome import FLAGS, serve, stop
    from playwright.sync_api import sync_playwright

    log = Path(tempfile.mkdtemp()) / "log"
    process, address = serve("app.py", home, log)
    path = os.environ.get("CORESET_CHROMIUM") or shutil.which("chromium")
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, software WebGL")
    print("page       cold: paint  title  done   warm: paint  title  done   load")
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
            for name in ("home", *PAGES):
                context = chromium.new_context(viewport={"width": 1440, "height": 900})
                page = context.new_page()
                page.set_default_timeout(120_000)
                cold, warm = (measure(page, f"{address}/{name}?{query}") for _ in range(2))
                figures = "   ".join(
                    "{:10.2f} {:6.2f} {:5.2f}".format(*one) for one in (cold, warm)
                )
                print(f"{name:9} {figures}   {os.getloadavg()[0]:4.1f}", flush=True)
                context.close()
            chromium.close()
    finally:
        stop(process)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "dataset=demo-photos&k=200")
