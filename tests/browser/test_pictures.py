"""The README's pictures, taken by the app itself: four pages and the scrub as a short film.

They go to test-artefacts/pictures; CORESET_PICTURES=docs/images puts them where the README shows
them, and CORESET_PICTURES_OF="demo-photos" (with CORESET_BROWSER_HOME) takes them of another
prepared source, by CORESET_PICTURES_METHOD, with CORESET_PICTURES_IMAGE open in "why". A forecast
that is finished beforehand is in the picture of Select.
"""

from __future__ import annotations

import os

import pytest
from chrome import keep_picture, pictures, shrunk, wait_for_map
from PIL import Image

METHOD = os.environ.get("CORESET_PICTURES_METHOD", "elfs")
QUERY = "dataset=" + os.environ.get("CORESET_PICTURES_OF", "demo")
# name -> page and more of its address, light or dark, height
PAGES = {
    "map": ("explore", "&color=pseudo-label", "dark", 840),
    "select": ("select", "&k=200", "light", 1250),
    "why": ("explore", "&image={image}&method=elfs", "light", 1500),
    "compare": ("compare", "&k=60", "light", 940),
}
BUDGET = 1_700_000  # bytes of all pictures: they live in the repository


def open_settled(open_page, app: str, page: str, more: str, scheme: str, height: int):
    image = os.environ.get("CORESET_PICTURES_IMAGE", "digit-0123")
    method = "" if "&method=" in more else f"&method={METHOD}"
    address = f"{app}/{page}?{QUERY}{method}{more.format(image=image)}"
    tab, witness = open_page(address, scheme=scheme, height=height)
    wait_for_map(tab)
    tab.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    tab.wait_for_timeout(2500)  # thumbnails and charts fade in
    witness.assert_clean()
    return tab


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_picture(open_page, app, name):
    tab = open_settled(open_page, app, *PAGES[name])
    picture = keep_picture(tab.screenshot(), name)
    assert len(picture.getcolors(256)) > 20  # a page, not a blank


def in_the_same_colours(frames: list[Image.Image]) -> list[Image.Image]:
    """The frames in the 64 colours of the last one, so that no background changes between them."""
    colours = frames[-1].quantize(
        64, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    )
    return [frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame in frames]


@pytest.mark.slow
def test_film_of_the_scrub(open_page, app):
    tab = open_settled(open_page, app, "select", "&p=0.97&method=elfs", "light", 900)
    there = [0.97, 0.96, 0.95, 0.94, 0.92, 0.9, 0.87, 0.84, 0.8, 0.75, 0.7, 0.65, 0.6]
    frames = []
    counts = []
    for p in [*there, *there[-2::-2]]:
        tab.locator("input[data-slider=p]").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", p
        )
        tab.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        counts.append(tab.locator(".cm-count").inner_text())
        frames.append(shrunk(tab.locator(".cm").screenshot(), 760))
    film = in_the_same_colours(frames)
    film[0].save(
        pictures() / "scrub.gif",
        save_all=True,
        append_images=film[1:],
        duration=[260] * (len(film) - 1) + [900],
        loop=0,
        optimize=True,
    )
    assert len(set(counts)) == len(
        there
    )  # the finger is still down, and every frame shows another coreset
    assert sum(path.stat().st_size for path in pictures().iterdir()) < BUDGET
