"""The map in a real Chromium, on made-up points: scrub, lasso, click, keyboard, legend, raster, and
its routes."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import numpy as np
import pytest
from chrome import ROOT, map_value, wait_for_map
from made_up import fake_points
from playwright.sync_api import expect

N = 60_000


def opened_map(open_page, map_server, query: str = "", **how):
    page, witness = open_page(f"{map_server}/?n={N}{query}", **how)
    wait_for_map(page)
    return page, witness


def drag_lasso(page, corners=((150, 0), (150, 150), (0, 150), (-100, 100), (-50, 20))) -> None:
    box = page.locator(".cm canvas").first.bounding_box()
    x = box["x"] + box["width"] / 2
    y = box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for dx, dy in corners:
        page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()


def reference_inside(points: np.ndarray, polygon: list) -> np.ndarray:
    """Even-odd rule, one point at a time: nothing shared with the code under test."""
    inside = []
    for i, (x, y) in enumerate(points.astype(float)):
        crossings = 0
        for (xa, ya), (xb, yb) in zip(polygon, [polygon[-1], *polygon[:-1]]):
            if (ya > y) != (yb > y) and x < (xb - xa) * (y - ya) / (yb - ya) + xa:
                crossings += 1
        if crossings % 2:
            inside.append(i)
    return np.array(inside)


def heard_of_lasso(page) -> dict:
    """What Python made of the lasso, once it has heard of it."""
    message = page.get_by_test_id("stText").first.filter(has_text=re.compile(r'"count": [1-9]'))
    message.wait_for()
    return json.loads(message.inner_text())


def test_scrub_moves_counts_at_once_and_reports_on_release(open_page, map_server):
    page, witness = opened_map(open_page, map_server)
    assert map_value(page, "kept") == "6000"
    slider = page.locator("input[data-slider=p]")
    slider.evaluate("(e) => { e.value = 0.8; e.dispatchEvent(new Event('input')); }")
    assert map_value(page, "kept") == "12000"
    assert (
        '"scrub": null' in page.get_by_test_id("stText").first.inner_text()
    )  # Python has heard nothing yet
    page.wait_for_timeout(100)
    assert float(map_value(page, "scrubMs")) + float(map_value(page, "frameMs")) <= 50
    slider.evaluate("(e) => e.dispatchEvent(new Event('change'))")
    page.get_by_test_id("stText").first.filter(has_text='"p": 0.8').wait_for()
    page.wait_for_timeout(300)
    assert map_value(page, "kept") == "12000"
    witness.assert_clean()


def test_a_group_that_loses_every_image_is_marked(open_page, map_server):
    page, _ = opened_map(open_page, map_server, "&n=200&p=0.99")
    numbers = page.locator(".cm-rows > span:nth-child(3n)").all_inner_texts()
    lost = page.locator(".cm-lost").all_inner_texts()
    assert lost and lost == [text for text in numbers if text.startswith("0 of")]


def test_lasso_ids_equal_a_plain_point_in_polygon(open_page, map_server):
    page, witness = opened_map(open_page, map_server)
    drag_lasso(page)
    heard = heard_of_lasso(page)
    neighbours = reference_inside(fake_points(N), heard["polygon"])
    assert heard["count"] == len(neighbours) > 100
    expect(page.get_by_text(f"chosen {len(neighbours)}", exact=True)).to_have_count(1)
    assert heard["chosen"] == neighbours[:5000].tolist()
    page.keyboard.press("Escape")
    page.get_by_text("chosen 0", exact=True).wait_for()
    witness.assert_clean()


def test_zoom_and_lasso_survive_a_rerun(open_page, map_server):
    page, _ = opened_map(open_page, map_server)
    page.locator(".cm canvas").first.focus()
    for _ in range(3):
        page.keyboard.press("+")
    drag_lasso(page)
    page.get_by_text(re.compile(r"^chosen [1-9]")).wait_for()
    outline = page.locator(".cm-lasso").get_attribute("points")
    ready = int(map_value(page, "ready"))
    page.locator("input[data-slider=p]").fill("0.7")
    page.get_by_test_id("stText").first.filter(has_text='"p": 0.7').wait_for()
    page.wait_for_timeout(300)
    assert int(map_value(page, "ready")) > ready
    assert page.locator(".cm-lasso").get_attribute("points") == outline


def test_the_wheel_zooms_but_never_out_of_the_whole(open_page, map_server):
    page, _ = opened_map(open_page, map_server)
    zoom = "(map) => map.getRootNode().coresetMap.camera.zoom"
    box = page.locator(".cm canvas").first.bounding_box()
    root = page.locator(".cm").first
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, 300)  # scrolls the page instead
    page.wait_for_timeout(200)
    assert root.evaluate(zoom) == 1
    page.mouse.wheel(0, -2000)
    page.wait_for_timeout(200)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(200)
    assert root.evaluate(zoom) > 1.4
    page.mouse.wheel(0, 3000)
    page.wait_for_timeout(200)
    assert root.evaluate(zoom) == 1
    assert root.evaluate(
        "(map) => { const { x, y, home } = map.getRootNode().coresetMap.camera;"
        " return x === home[0] && y === home[1]; }"
    )


def test_click_picks_the_nearest_image_and_hover_shows_its_card(open_page, map_server):
    page, witness = opened_map(open_page, map_server)
    box = page.locator(".cm canvas").first.bounding_box()
    point = page.locator(".cm").first.evaluate("""(map) => { const view = map.getRootNode().coresetMap;
        let far = 0; for (let i = 0; i < view.n; i++) if (view.xy[2 * i] > view.xy[2 * far]) far = i;
        return [...view.camera.toPixel(view.xy[2 * far], view.xy[2 * far + 1]), far]; }""")
    page.mouse.move(box["x"] + point[0], box["y"] + point[1])
    page.locator(".cm-card").filter(has_text=f"img-{point[2]}").wait_for()
    assert (
        page.locator(".cm-card img").evaluate(
            "(image) => image.decode().then(() => image.naturalWidth)"
        )
        > 0
    )
    page.mouse.down()
    page.mouse.up()
    page.get_by_test_id("stText").first.filter(has_text=f'"clicked": {point[2]}').wait_for()
    witness.assert_clean()


def test_keyboard_alone_opens_an_image(open_page, map_server):
    page, _ = opened_map(open_page, map_server)
    page.locator(".cm canvas").first.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    page.get_by_test_id("stText").first.filter(has_text=re.compile(r'"clicked": \d+')).wait_for()


def test_legend_hides_a_class_from_drawing_and_lasso(open_page, map_server):
    page, _ = opened_map(open_page, map_server, "&colour=pseudo-label")
    page.locator(".cm-legend button[data-code='3']").click()
    drag_lasso(page, ((500, -250), (500, 250), (-480, 250), (-480, -250)))
    heard = heard_of_lasso(page)
    assert heard["chosen"] and not [i for i in heard["chosen"] if i % 10 == 3]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_without_webgl_the_raster_takes_over(open_page, map_server, scheme):
    script = """const open = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind === 'webgl2' ? null : open.call(this, kind, ...rest); };"""
    page, witness = opened_map(
        open_page, map_server, "&colour=pseudo-label", script=script, scheme=scheme
    )
    assert map_value(page, "renderer") == "raster"
    inked = page.locator(".cm canvas").first.evaluate("""(canvas) => { const { data } = canvas.getContext('2d')
        .getImageData(0, 0, canvas.width, canvas.height); let k = 0;
        for (let i = 3; i < data.length; i += 4) k += data[i] > 0; return k; }""")
    assert inked > 1000
    drag_lasso(page)
    page.get_by_text(re.compile(r"^chosen [1-9]")).wait_for()
    witness.assert_clean()


def answer(address: str, **headers: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as reply:
            return reply.status, dict(reply.headers)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers)


def test_routes_answer_only_what_a_page_published(open_page, map_server):
    page, _ = opened_map(open_page, map_server)
    listed = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    points = next(name for name in listed if "/coreset/points/" in name)
    key = re.search(r"points/([0-9a-f]{24})", points)[1]
    status, headers = answer(points)
    assert (
        status == 200
        and "immutable" in headers["cache-control"]
        and int(headers["content-length"]) == 8 * N
    )
    assert answer(points, Host="evil.example")[0] == 400
    assert answer(points, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    thumb = f"{map_server}/coreset/thumb/{key}/"
    assert answer(thumb + "0.webp")[0] == 200
    for wrong in (
        f"{N}.webp",
        "-1.webp",
        "1e3.webp",
        "..%2f..%2fetc%2fpasswd.webp",
        "99999999999999999999.webp",
    ):
        assert "webp" not in answer(thumb + wrong)[1].get("content-type", ""), wrong
    assert answer(f"{map_server}/coreset/ranks/{'0' * 24}/{'0' * 24}.bin")[0] == 404
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(points, data=b"x", method="POST"))
    assert not (ROOT / "ui" / "static").exists()


def heard_lasso(page) -> dict:
    """What Python made of a lasso around everything."""
    drag_lasso(page, ((500, -250), (500, 250), (-480, 250), (-480, -250)))
    return heard_of_lasso(page)


def test_legend_range_hides_numbers_outside_it(open_page, map_server):
    page, witness = opened_map(open_page, map_server, "&colour=AUM")
    before = heard_lasso(page)["count"]
    low = page.locator("input[data-range=from]")
    low.evaluate("(e) => { e.value = 127; e.dispatchEvent(new Event('input')); }")
    expect(page.locator(".cm-ends span").first).to_have_text(re.compile("^-?0"))
    low.evaluate("(e) => e.dispatchEvent(new Event('change'))")
    page.get_by_test_id("stText").first.filter(has_text='"hidden": [0, 1, 2').wait_for()
    heard = json.loads(page.get_by_test_id("stText").first.inner_text())
    aum = np.random.default_rng(3).normal(size=N)
    assert 0.4 * before < heard["count"] < 0.6 * before
    assert aum[heard["chosen"]].min() > -0.05
    witness.assert_clean()


def test_legend_hides_the_dropped(open_page, map_server):
    page, witness = opened_map(open_page, map_server)
    page.locator(".cm-legend button[data-side=dropped]").click()
    assert page.locator(".cm").first.evaluate(
        "(map) => map.getRootNode().coresetMap.shownSegments().every(([, , kept]) => kept)"
    )
    heard = heard_lasso(page)
    assert heard["sides"] == ["dropped"]
    page.locator(".cm-legend button[data-side=kept]").click()
    page.get_by_test_id("stText").first.filter(has_text='"sides": ["kept"]').wait_for()
    witness.assert_clean()


def test_zooming_in_turns_points_into_pictures(open_page, map_server):
    page, witness = opened_map(open_page, map_server)
    root = page.locator(".cm").first
    assert map_value(page, "pictures") == "0"
    page.locator(".cm canvas").first.focus()
    page.keyboard.press("w")
    for _ in range(12):
        page.keyboard.press("+")
    page.wait_for_function(
        """() => { const find = (root) => [...root.querySelectorAll('*')].reduce((hit, e) => hit ||
            (e.matches('.cm') ? e : e.shadowRoot && find(e.shadowRoot)), null);
            return Number(find(document).dataset.pictures) > 3; }"""
    )
    asked = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    pages = [name for name in asked if "/coreset/atlas/" in name]
    assert 0 < len(pages) < 60  # only what is in view, of 938 pages
    inked = root.locator("canvas.cm-pictures").evaluate(
        """(canvas) => { const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let k = 0; for (let i = 3; i < data.length; i += 4) k += data[i] > 0; return k; }"""
    )
    assert inked > 3 * 40 * 40
    page.get_by_role("button", name="Pictures", exact=True).click()
    page.wait_for_timeout(200)
    assert map_value(page, "pictures") == "0"
    witness.assert_clean()


def test_a_walk_by_arrows_reads_out_and_opens_an_image(open_page, map_server):
    page, witness = opened_map(open_page, map_server)
    page.locator(".cm canvas").first.focus()
    page.keyboard.press("w")
    page.locator(".cm-said").filter(has_text=re.compile(r"^img-\d+, ")).wait_for(state="attached")
    first = page.locator(".cm-said").inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(old) => true", arg=first)
    page.locator(".cm-said").filter(has_not_text=first).wait_for(state="attached")
    at = page.locator(".cm").first.evaluate("(map) => map.getRootNode().coresetMap.walker")
    page.keyboard.press("Enter")
    page.get_by_test_id("stText").first.filter(has_text=f'"clicked": {at}').wait_for()
    witness.assert_clean()


def test_a_lasso_by_keyboard_holds_what_lies_inside(open_page, map_server):
    page, witness = opened_map(open_page, map_server)
    page.locator(".cm canvas").first.focus()
    page.keyboard.press("Space")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        for _ in range(3):
            page.keyboard.press(key)
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    heard = heard_of_lasso(page)
    assert len(heard["polygon"]) == 4
    assert heard["count"] == len(reference_inside(fake_points(N), heard["polygon"]))
    witness.assert_clean()


def test_the_legend_shows_only_one_class_and_all_again(open_page, map_server):
    page, witness = opened_map(open_page, map_server, "&colour=pseudo-label")
    entry = page.locator(".cm-legend button[data-code='3']")
    entry.dblclick()
    page.get_by_test_id("stText").first.filter(
        has_text='"hidden": [0, 1, 2, 4, 5, 6, 7, 8, 9]'
    ).wait_for()
    page.get_by_role("button", name="Show all").click()
    page.get_by_test_id("stText").first.filter(has_text='"hidden": []').wait_for()
    entry.hover()
    lit = "(map) => map.getRootNode().coresetMap.highlight"
    assert page.locator(".cm").first.evaluate(lit) == 3
    page.mouse.move(5, 5)
    assert page.locator(".cm").first.evaluate(lit) == -1
    witness.assert_clean()
