"""The map's JavaScript modules without a browser: bounds, zoom limits, names, pictures. Run by node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

MAP = Path(__file__).parents[2] / "ui" / "map"


@pytest.fixture(scope="module")
def javascript(tmp_path_factory):
    """javascript(code): the JSON that `code` prints, with the map's modules beside it."""
    node = shutil.which("node") or pytest.fail("these tests need node")
    folder = tmp_path_factory.mktemp("js")
    for path in MAP.glob("*.js"):
        (folder / path.name).write_text(path.read_text())
    (folder / "package.json").write_text('{"type": "module"}')

    def run(code: str):
        script = folder / "case.js"
        script.write_text(code)
        done = subprocess.run([node, script], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_a_far_outlier_does_not_shrink_the_view(javascript):
    found = javascript("""import { viewBounds } from "./scatter-geometry.js";
        const xy = new Float32Array(2002);
        for (let i = 0; i < 1000; i++) { xy[2 * i] = i % 10; xy[2 * i + 1] = Math.floor(i / 100); }
        xy[2000] = 5000; xy[2001] = 5000;
        console.log(JSON.stringify(viewBounds(xy)));""")
    assert found["far"] == 1 and found["left"] == 0 and found["low"] == 0
    assert 9 <= found["right"] <= 12 and 9 <= found["high"] <= 12


def test_without_outliers_the_view_is_everything(javascript):
    found = javascript("""import { boundsOf, viewBounds } from "./scatter-geometry.js";
        const xy = Float32Array.from({ length: 400 }, (_, i) => (i * 37) % 101);
        console.log(JSON.stringify([viewBounds(xy), boundsOf(xy)]));""")
    view, everything = found
    assert view.pop("far") == 0 and view == everything


def test_zoom_stays_between_everything_and_single_images(javascript):
    found = javascript("""import { Camera, largestZoom } from "./scatter-geometry.js";
        const camera = new Camera();
        camera.most = largestZoom(400);
        const near = { left: 0, right: 10, low: 0, high: 10 };
        camera.resize(500, 500, near, { left: 0, right: 100, low: 0, high: 100 });
        for (let k = 0; k < 99; k++) camera.zoomAt(10, 10, 2);
        const most = camera.zoom;
        for (let k = 0; k < 99; k++) camera.zoomAt(10, 10, 0.5);
        console.log(JSON.stringify([most, camera.zoom, camera.x, camera.y, camera.widest]));""")
    assert found == [40, pytest.approx(0.1), 50, 50, True]


def test_pictures_never_overlap_and_the_preferred_come_first(javascript):
    found = javascript("""import { apart } from "./scatter-pictures.js";
        const all = [[7, 100, 100], [8, 110, 100], [9, 141, 100], [1, 100, 139], [2, 100, 141]];
        console.log(JSON.stringify(apart(all, 40).map(([i]) => i)));""")
    assert found == [7, 9, 2]


def test_a_name_stands_where_most_of_its_group_are(javascript):
    found = javascript("""import { anchorsOf } from "./scatter-names.js";
        const xy = new Float32Array(600);
        const codes = new Uint16Array(300);
        for (let i = 0; i < 100; i++) { xy[2 * i] = 1; xy[2 * i + 1] = 1; codes[i] = 0; }
        for (let i = 100; i < 160; i++) { xy[2 * i] = 9; xy[2 * i + 1] = 9; codes[i] = 1; }
        for (let i = 160; i < 300; i++) { xy[2 * i] = (i % 2) * 8 + 1; xy[2 * i + 1] = xy[2 * i]; codes[i] = 2; }
        console.log(JSON.stringify(anchorsOf(xy, codes, 4, { left: 0, right: 10, low: 0, high: 10 })));""")
    assert [one["code"] for one in found] == [2, 0, 1]  # the largest first; 3 has no image
    assert (found[1]["x"], found[1]["y"]) == (1, 1) and (found[2]["x"], found[2]["y"]) == (9, 9)


def test_a_scattered_group_has_no_name(javascript):
    found = javascript("""import { anchorsOf } from "./scatter-names.js";
        const xy = Float32Array.from({ length: 2000 }, (_, i) => (i % 2 ? Math.floor(i / 2) % 32 : Math.floor(i / 64)));
        const codes = Uint16Array.from({ length: 1000 }, (_, i) => i % 5);
        console.log(JSON.stringify(anchorsOf(xy, codes, 5, { left: 0, right: 32, low: 0, high: 32 })));""")
    assert found == []


def test_dots_shrink_with_their_number(javascript):
    found = javascript("""import { dotSize } from "./scatter-drawing.js";
        console.log(JSON.stringify([100, 360, 1797, 60000, 1280000].map(dotSize)));""")
    assert found == sorted(found, reverse=True)
    assert found[0] == 9 and 7 < found[1] < 9 and 2 < found[3] < 2.5 and found[4] >= 1.3


def test_a_step_of_the_walk_goes_to_the_nearest_in_that_direction(javascript):
    found = javascript("""import { Grid, boundsOf } from "./scatter-geometry.js";
        const xy = Float32Array.from([0, 0, 3, 1, 2, 5, -1, 0, 9, 0, 1, -4]);
        const grid = new Grid(xy, boundsOf(xy));
        const steps = [[1, 0], [-1, 0], [0, 1], [0, -1]];
        const all = steps.map(([dx, dy]) => grid.towards(0, 0, dx, dy, () => true));
        all.push(grid.towards(0, 0, 1, 0, (i) => i !== 1), grid.towards(9, 0, 1, 0, () => true));
        console.log(JSON.stringify(all));""")
    assert found == [1, 3, 2, 5, 4, -1]
