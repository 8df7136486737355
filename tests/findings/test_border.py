"""Examples on both sides of a threshold: nearest to it first, none on the wrong side."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import dataset, plain, textured
from PIL import Image

from coreset_engine.core.types import Neighbours
from coreset_engine.findings.border import WITH_THRESHOLD, border
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.examine import Material, examine
from coreset_engine.findings.html_report import as_html
from coreset_engine.findings.image_statistics import measure_images


def shades(values):
    """One colour each, so that the 99th percentile of brightness is value / 255."""
    return [plain(value, (16, 16)) for value in values]


def material(images, neighbours=None):
    made = dataset(images)
    return Material("s", made.ids, measure_images(made), neighbours), made


def test_dark_images_on_both_sides_of_the_threshold():
    known, _ = material(shades([10, 70, 100, 140, 30, 120]))  # 0.4 is 102
    config = CleanConfig(dark=0.4)
    found = examine(known, config)["dark"]
    made = border(known, found, config)
    assert made.within.examples.tolist() == [[2], [1], [4], [0]]
    assert made.beyond.examples.tolist() == [[5], [3]]
    assert made.beyond.scores.tolist() == pytest.approx([120 / 255, 140 / 255], abs=2e-3)
    fewer = border(known, found, config, most=1)
    assert fewer.within.examples.tolist() == [[2]] and fewer.beyond.examples.tolist() == [[5]]


def test_what_no_threshold_could_find_is_no_example():
    """Blank images are not examples of low contrast, and small ones none of blur."""
    images = [textured(1), plain(90), textured(2, (20, 20))]
    known, _ = material(images)
    report = examine(known)
    assert 1 not in border(known, report["low_contrast"]).beyond.examples
    assert 2 not in border(known, report["blurred"]).beyond.examples


def test_outliers_by_the_ratio_of_distances():
    distances = np.array([[1.0], [1.1], [0.9], [2.0], [1.4]], np.float32)
    links = Neighbours(np.array([[1], [2], [0], [0], [0]]), distances)
    known = Material("s", np.array(list("abcde")), None, links)
    config = CleanConfig(outliers=1.5, k=1)
    made = border(known, examine(known, config)["outliers"], config)  # the median is 1.1
    assert made.within.examples.ravel().tolist() == [3]
    assert made.beyond.examples.ravel().tolist() == [4, 1, 0, 2]


def test_turned_copies_come_in_pairs_with_their_differences():
    image = textured(5)
    steps = np.random.default_rng(0).integers(-1, 2, (4, 4, 1)).repeat(16, 0).repeat(16, 1)
    rough = np.asarray(image.rotate(90)).astype(int) + 14 * steps
    images = [image, image.rotate(180), Image.fromarray(rough.clip(0, 255).astype(np.uint8))]
    known, _ = material(images)
    config = CleanConfig(rotated=0.2)
    made = border(known, examine(known, config)["rotated"], config)
    assert [0, 1] in made.within.examples.tolist()
    assert made.beyond.examples.shape[1] == 2 and (made.beyond.scores > 0.2).all()
    assert {2} <= set(made.beyond.examples.ravel().tolist())


def test_every_finding_with_a_threshold_has_two_sides_and_the_report_shows_them():
    vectors = np.random.default_rng(1).normal(size=(12, 6)).astype(np.float32)
    neighbours = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    order = np.argsort(neighbours, axis=1)[:, 1:6]
    links = Neighbours(order, np.take_along_axis(neighbours, order, axis=1).astype(np.float32))
    known, made = material([textured(i) for i in range(11)] + [plain(20)], links)
    report = examine(known)
    borders = {name: border(known, report[name]) for name in WITH_THRESHOLD}
    assert all(one is not None for one in borders.values())
    assert border(known, report["pixel_identical"]) is None
    page = as_html(report, made, borders=borders)
    assert page.count("Just within the threshold") == page.count("Just beyond it") >= 2
