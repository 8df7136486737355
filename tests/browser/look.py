"""Screenshots of every page on one running server, and what is cut on them: to look at, not a test.

    python tests/browser/look.py HOME OUT NAME=QUERY ... [--pages explore,select]
        [--looks light-1440,dark-1024]

HOME is a finished workspace. Each NAME=QUERY is one dataset's address, for example
photos="dataset=demo-photos&k=200". One Chromium and one page are used for all, so that a look at
everything takes little more than the pages themselves. Printed are texts that are cut and say
more than what is seen, faults of the console, and pages that scroll sideways.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from chrome import FLAGS, Witness, serve, stop

PAGES = ("home", "explore", "clean", "labels", "select", "compare", "export", "coverage")
# page -> names of the segments or tabs to look at besides the first
PARTS = {
    "labels": ("Clusters", "Quality", "Difficulty", "Import labels"),
    "export": ("Import labels", "Next round"),
    "coverage": ("Score and rank", "Number of samples"),
    "explore": ("Map and gallery",),
}
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1440, 1024)]
Looks = list[tuple[str, int]]
CUT = """() => {
  const found = [];
  const walk = (root) => {
    for (const one of root.querySelectorAll('*')) {
      if (one.shadowRoot) walk(one.shadowRoot);
      if (!one.clientWidth || one.scrollWidth <= one.clientWidth + 1) continue;
      const style = getComputedStyle(one);
      if (!/hidden|clip/.test(style.overflowX) || style.visibility === 'hidden') continue;
      const text = (one.innerText || '').trim().replace(/\\s+/g, ' ');
      if (text && style.textOverflow === 'ellipsis') {
        found.push(`${text.slice(0, 60)} (${one.clientWidth} of ${one.scrollWidth} px)`);
      }
    }
  };
  walk(document);
  return [...new Set(found)];
}"""


def settle(page, more: int = 500) -> None:
    """Until nothing runs any more and what fades in is there."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(more)


def look(page, out: Path, name: str, looks: Looks) -> None:
    """One picture for every scheme and width; the first shows all that is below, too."""
    for number, (scheme, width) in enumerate(looks):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 1000 if number else 2400})
        settle(page)
        page.screenshot(path=out / f"{name}-{scheme}-{width}.png")
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            print(f"{name} scrolls sideways at {width}", flush=True)
        if scheme == "light":
            for text in page.evaluate(CUT):
                print(f"{name} {width}: cut: {text}", flush=True)


def look_at_all(context, address: str, asked: argparse.Namespace) -> None:
    """Every page of every dataset, with its parts."""
    out = asked.out
    looks = [one for one in LOOKS if "{}-{}".format(*one) in asked.looks.split(",")]
    page = context.new_page()
    page.set_default_timeout(60_000)
    witness = Witness(page)
    for name, _, query in (one.partition("=") for one in asked.datasets):
        for kind in asked.pages.split(","):
            began = time.monotonic()
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": 1440, "height": 1000})
            page.goto(f"{address}/{kind}?{query}")
            page.get_by_role("heading", level=1).wait_for()
            settle(page, 1500)
            print(f"-- {name}-{kind}: {time.monotonic() - began:.1f} s", flush=True)
            look(page, out, f"{name}-{kind}", looks)
            for part in PARTS.get(kind, ()):
                role = page.get_by_role("tab" if kind == "export" else "radio", name=part)
                if role.count():
                    page.emulate_media(color_scheme="light")  # charts take the theme of their run
                    role.first.click()
                    settle(page, 1500)
                    look(page, out, f"{name}-{kind}-{part.split()[-1].lower()}", looks)
            print(*witness.faults, *witness.strangers, flush=True)
            witness.faults.clear()


def main() -> None:
    """Read the arguments, serve, look, stop."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--pages", default=",".join(PAGES))
    parser.add_argument("--looks", default=",".join("{}-{}".format(*one) for one in LOOKS))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("CORESET_CHROMIUM") or shutil.which("chromium")
    process, address = serve("app.py", asked.home, asked.out / "server.log")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            context = browser.new_context()
            look_at_all(context, address, asked)
            browser.close()
    finally:
        stop(process)


if __name__ == "__main__":
    sys.exit(main())
