"""The app itself over 50 million images: first paint of every page, slider to repaint, memory of
the server.

    python benchmarks/fifty_million.py --home FOLDER [--rows 50000000] [--shots FOLDER] [--keep]

The vectors are made up (16 float16 numbers each, 100 groups) and opened as an own-vectors source.
Pseudo-labels, training dynamics and coverage scores are MADE UP as well, from each row's group and
chance, and written through the store under the run's own keys: computing them is
`benchmarks/scale.py`'s subject, looking at them is this one's. All that pages need beyond (sample,
its neighbours and map, tables of totals) is computed by the same `views.prepare` that a job calls.
Then the app is served and opened in Chromium. A page that shows an internal error, or is not drawn
within three minutes, ends the run with its name.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [
    str(ROOT),
    str(ROOT / "tests" / "browser"),
]  # not this folder, whose coverage.py is not a package
GROUPS = 100
DIMS = 16
EPOCHS = 10
CHUNK = 1 << 20
SETTINGS = dict(n_clusters=GROUPS, clusterer="kmeans", proxy="linear")
QUERY = f"clusters={GROUPS}&clusterer=kmeans&proxy=linear"
PAGES = {
    "home": "Coreset Explorer",
    "explore": "Map",
    "gallery": "Gallery",
    "labels": "Labels",
    "coverage": "Coverage",
    "select": "Select",
    "compare": "Compare",
    "export": "Export",
}
VIEWS = {
    "labels": ("Difficulty", "Probable errors", "Corrections"),
    "coverage": ("Score and rank", "Stability"),
}
FAULTS = re.compile("Traceback|went wrong on our side")
NOTE = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def timed(what: str, work, *given):
    """work(*given), told with its time and this process's memory."""
    began = time.perf_counter()
    found = work(*given)
    held = psutil.Process().memory_info().rss / 1e9
    print(f"| {what} | {time.perf_counter() - began:.1f} s | {held:.1f} GB |", flush=True)
    return found


# -- the workspace ---------------------------------------------------------------------------------


def make_vectors(path: Path, n: int) -> None:
    """(n, DIMS) float16 in `path`, row i near the middle of group i * 7919 % GROUPS."""
    centres = np.random.default_rng(0).normal(0, 2, (GROUPS, DIMS)).astype(np.float32)
    made = np.lib.format.open_memmap(path, "w+", np.float16, (n, DIMS))
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        noise = np.random.default_rng([1, start]).standard_normal((len(rows), DIMS), np.float32)
        made[rows[0] : rows[-1] + 1] = centres[rows * 7919 % GROUPS] + noise
    made.flush()


def made_up(n: int) -> dict[str, tuple[dict, dict]]:
    """stage -> (arrays, info) as the pipeline would write them; numbers without meaning but of the
    right shape."""
    rng = np.random.default_rng(2)
    rows = np.arange(n)
    labels = rows * 7919 % GROUPS
    wrong = rng.integers(n, size=n // 20)
    labels[wrong] = rng.integers(GROUPS, size=len(wrong))

    def score() -> np.ndarray:
        return rng.standard_normal(n, np.float32)

    aum = score() + 3
    aum[wrong] -= 3
    dynamics = {name: score() for name in ("el2n", "entropy", "loss", "grand", "dyn_unc", "tdds")}
    forgetting = rng.integers(0, 6, n).astype(np.float32)
    forgetting[wrong] = np.inf
    margins = np.repeat(aum[:, None].astype(np.float16), EPOCHS, axis=1)
    coverage = np.abs(score()).astype(np.float64)
    redundancy = np.abs(score()).astype(np.float64) / 3
    return {
        "pseudo_labels": (
            dict(labels=labels, confidence=1 / (1 + np.exp(-aum))),
            dict(n_clusters=GROUPS, info={}),
        ),
        "dynamics": (
            dict(aum=aum, forgetting=forgetting, margins=margins, **dynamics),
            dict(epochs=EPOCHS),
        ),
        "coverage": (
            dict(score=coverage - redundancy, coverage=coverage, redundancy=redundancy),
            dict(n_samples=1_000_000, n_neighbours=1000),
        ),
    }


def workspace(home: Path, n: int, flat: bool) -> str:
    """A workspace with every stage of n made-up vectors; the source's spec."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.pipeline import sampled_run
    from coreset_engine.pipeline.run import Run
    from coreset_engine.sources.open import open_source

    home.mkdir(parents=True, exist_ok=True)
    path = home / f"vectors-{n}.npy"
    if not path.is_file():
        timed("vectors made up", make_vectors, path, n)
    run = Run(timed("opened", open_source, str(path)), store=Store(home), **SETTINGS)
    timed("embeddings kept", lambda: run.embeddings)
    if not run.ready("coverage"):
        for stage, (arrays, info) in timed("scores made up", made_up, n).items():
            run.store.get(
                stage,
                run.stored_as(stage),
                lambda found=(arrays, info): found,
                about=dict(source=run.dataset.fingerprint, root=run.key_of("embeddings")),
            )
    if flat:
        from coreset_engine.embedding import projection

        projection.project = lambda vectors, *rest, **more: projection._start(
            np.asarray(vectors, np.float32), 0
        )
    timed(
        f"sample, its map{' (PCA, no UMAP)' if flat else ''}, two tables of totals",
        sampled_run.prepare,
        run,
    )
    size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    print(f"\nOn disk: {size / 1e9:.1f} GB")
    return run.dataset.spec


# -- the app ---------------------------------------------------------------------------------------


class Memory(threading.Thread):
    """The most resident memory a process had since it was asked last."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.most = 0
        self.start()

    def own(self) -> int:
        """Bytes that are its own: mapped files are the machine's cache, given back when asked
        for."""
        held = self.process.memory_info()
        return held.rss - held.shared

    def run(self) -> None:
        while self.process.is_running():
            try:
                self.most = max(self.most, self.own())
            except psutil.Error:
                return
            time.sleep(0.1)

    def told(self) -> str:
        most = self.most
        self.most = 0
        return f"{self.own() / 1e9:.2f} GB, at most {most / 1e9:.2f} GB"


def settled(page, limit: float = 180_000) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=limit)


def check(page, name: str, shots: Path | None) -> None:
    page.wait_for_timeout(700)
    if shots:
        page.set_viewport_size({"width": 1440, "height": 2000})
        page.wait_for_timeout(700)
        page.screenshot(path=shots / f"{name}.png")
        page.set_viewport_size({"width": 1440, "height": 900})
    message = page.locator("body").inner_text()
    if FAULTS.search(message):
        raise SystemExit(f"{name} shows a fault: {message[:3000]}")


def visit(browser, address: str, query: str, name: str, memory: Memory, shots: Path | None) -> None:
    """One page in a session of its own, from the request to all its parts, then its further
    views."""
    from chrome import wait_for_map

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(180_000)
    began = time.perf_counter()
    page.goto(f"{address}/{name}?{query}")
    page.get_by_role("heading", name=PAGES[name], level=1).wait_for()
    head = time.perf_counter() - began
    settled(page)
    if name in ("explore", "select", "compare"):
        wait_for_map(page)
    print(
        f"| {PAGES[name]} | {head:.2f} s | {time.perf_counter() - began:.2f} s | {memory.told()} |",
        flush=True,
    )
    check(page, name, shots)
    for view in VIEWS.get(name, ()):
        began = time.perf_counter()
        page.get_by_test_id("stButtonGroup").get_by_text(view, exact=True).first.click()
        page.wait_for_timeout(150)
        settled(page)
        print(
            f"| {PAGES[name]}: {view} | | {time.perf_counter() - began:.2f} s | {memory.told()} |",
            flush=True,
        )
        check(page, f"{name}-{view.replace(' ', '-').lower()}", shots)
    page.close()


def sliders(
    browser, address: str, query: str, method: str, memory: Memory, shots: Path | None
) -> None:
    """The pruning rate of the Select page: frame while it is dragged, and release until map and
    counts of all stand."""
    from chrome import map_value, wait_for_map

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(180_000)
    page.goto(f"{address}/select?{query}&method={method}")
    wait_for_map(page)
    settled(page)
    page.get_by_text(re.compile("^All images: ")).wait_for()
    slider = page.locator("input[data-slider=p]")
    live = []
    release = []
    counts = []
    for rate in (0.6, 0.65, 0.7, 0.75, 0.8, 0.85):
        slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", rate)
        page.wait_for_timeout(100)
        live.append(float(map_value(page, "scrubMs")) + float(map_value(page, "frameMs")))
        ready = int(map_value(page, "ready"))
        began = time.perf_counter()
        slider.evaluate("(e) => e.dispatchEvent(new Event('change'))")
        while int(map_value(page, "ready")) == ready:
            page.wait_for_timeout(5)
        release.append(time.perf_counter() - began)
        page.get_by_text(re.compile(f"^All images: {page_count(query, rate)} of")).wait_for()
        counts.append(time.perf_counter() - began)
        settled(page)
        page.wait_for_timeout(300)
    middle = [statistics.median(values) for values in (live, release, counts)]
    print(
        f"| {method} | {middle[0]:.0f} ms | {middle[1]:.2f} s | {middle[2]:.2f} s | "
        f"{max(counts):.2f} s | "
        f"{memory.told()} |",
        flush=True,
    )
    check(page, f"select-{method}", shots)
    page.close()


def page_count(query: str, rate: float) -> str:
    from coreset_engine.selection.budget import kept_count

    return f"{kept_count(int(re.search('vectors-([0-9]+)', query)[1]), rate):,}"


def look(home: Path, spec: str, shots: Path | None) -> None:
    from chrome import FLAGS, serve, stop
    from playwright.sync_api import sync_playwright

    process, address = serve("app.py", home, home / "app.log", CORESET_OPEN=spec)
    memory = Memory(process.pid)
    query = f"dataset={quote(spec)}&{QUERY}"
    try:
        with sync_playwright() as playwright:
            path = os.environ.get("CORESET_CHROMIUM", "/usr/bin/chromium")
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            for turn in ("The server has just started", "A second look"):
                print(
                    f"\n{turn}:\n\n| page | its name | all of it | memory of the server, mapped "
                    "files apart |\n"
                    "|---|---|---|---|"
                )
                for name in PAGES:
                    visit(browser, address, query, name, memory, shots)
            print(
                "\nThe pruning rate, median of 6:\n\n| method | a frame while dragged | released "
                "to map repainted | "
                "released to counts of all | slowest | memory of the server "
                "|\n|---|---|---|---|---|---|"
            )
            for method in ("elfs", "blindcs"):
                sliders(browser, address, query, method, memory, shots)
            browser.close()
    finally:
        stop(process)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--home", type=Path, required=True)
    asked.add_argument("--rows", type=int, default=50_000_000)
    asked.add_argument("--shots", type=Path)
    asked.add_argument(
        "--keep", action="store_true", help="leave the workspace (10 GB) where it is"
    )
    asked.add_argument(
        "--flat", action="store_true", help="arrange the sample by PCA, not by ten minutes of UMAP"
    )
    asked.add_argument("--make", action="store_true", help="only make the workspace, which stays")
    given = asked.parse_args()
    if given.shots:
        given.shots.mkdir(parents=True, exist_ok=True)
    print(
        f"{NOTE}, {given.rows:,} rows. Pseudo-labels, dynamics and coverage are made up.\n\n"
        "| step | time | memory |\n|---|---|---|"
    )
    try:
        spec = workspace(given.home, given.rows, given.flat)
        if not given.make:
            look(given.home, spec, given.shots)
    finally:
        if not (given.keep or given.make):
            shutil.rmtree(given.home, ignore_errors=True)


if __name__ == "__main__":
    main()
