"""The numbers of single images, worked out by hand, and against cleanvision's definitions."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import blurred, dataset, plain, textured
from PIL import Image, ImageFilter, ImageStat

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.hashing import pixel_digest
from coreset_engine.core.types import Dataset
from coreset_engine.findings import kernels
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.image_statistics import measure, measure_images
from coreset_engine.findings.quality import quality_findings


def found(images, **thresholds):
    made = quality_findings(measure_images(dataset(images)), CleanConfig(**thresholds))
    return {one.name: one.positions.tolist() for one in made}


def test_brightness_of_one_colour_is_the_weighted_root():
    row = measure(Image.new("RGB", (8, 8), (200, 100, 50)))
    wanted = np.sqrt(0.241 * 200**2 + 0.691 * 100**2 + 0.068 * 50**2) / 255
    assert np.allclose(row["brightness"], wanted, atol=1e-3)


def test_percentiles_of_a_ramp():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :], 10, axis=0)
    row = measure(Image.fromarray(np.stack([ramp] * 3, axis=2)))
    assert np.allclose(row["brightness"], [0.01, 0.05, 0.5, 0.95, 0.99], atol=0.006)


def test_entropy_of_two_equally_frequent_values_per_channel():
    # Red is 0 or 255 by halves, green 7 everywhere, blue 9: shares 1/6, 1/6, 1/3, 1/3 (Pillow
    # counts all channels in one histogram).
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, :, 0] = 255
    pixels[:, :, 1] = 7
    pixels[:, :, 2] = 9
    image = Image.fromarray(pixels)
    wanted = 2 / 6 * np.log2(6) + 2 / 3 * np.log2(3)
    assert measure(image)["entropy"] == pytest.approx(wanted)
    assert measure(image)["entropy"] == pytest.approx(image.entropy())


@pytest.mark.parametrize("size", [(40, 30), (64, 64), (200, 120), (3, 50)])
def test_edges_and_spread_are_pillows(size):
    image = textured(3, (max(size[0], 8), max(size[1], 8))).crop((0, 0, *size))
    row = measure(image)
    ratio = max(size) / 64
    small = image
    if ratio > 1:
        small = image.resize(
            (max(int(size[0] // ratio), 1), max(int(size[1] // ratio), 1)), reducing_gap=2.0
        )
    grey = small.convert("L")
    edges = grey.filter(ImageFilter.FIND_EDGES)
    assert row["edges"] == pytest.approx(np.sqrt(ImageStat.Stat(edges).var[0]), abs=1e-6)
    assert row["spread"] == pytest.approx(np.std(grey.histogram()))


def test_grey_is_pillows_mode_l():
    pixels = np.random.default_rng(4).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.array_equal(kernels.grey_of(pixels), wanted)
    grey = kernels.one_pass(pixels, kernels.SQUARES, kernels.BIN_OF)[3]
    assert np.array_equal(grey, wanted)


def test_the_digest_of_pixels_does_not_depend_on_how_they_are_given():
    image = textured(6, (50, 40))
    assert pixel_digest(image, np.asarray(image)) == pixel_digest(image)
    assert measure(image)["pixels"].decode() == pixel_digest(image)


def test_blur_effect_against_its_formula():
    grey = np.asarray(textured(5).convert("L"), float)
    scores = []
    for image in (grey, grey.T):
        box = np.array([np.convolve(line, np.ones(11) / 11, "same") for line in image])
        step = np.abs(np.diff(image, axis=1))[:, 5:-5]
        wide = np.abs(np.diff(box, axis=1))[:, 5:-5]
        lost = np.maximum(0, step - wide).sum()
        scores.append((step.sum() - lost) / step.sum())
    assert measure(textured(5))["blur"] == pytest.approx(max(scores), abs=1e-6)


def test_more_blur_scores_higher():
    scores = [measure(blurred(textured(1), radius))["blur"] for radius in (0, 1, 3, 6)]
    assert scores == sorted(scores) and scores[0] < 0.3 < 0.6 < scores[-1]


def test_each_quality_finding_names_its_image():
    images = [textured(i) for i in range(8)]
    images += [plain(128), plain(0), plain(255)]  # 8, 9, 10
    images.append(blurred(textured(20)))  # 11
    images.append(textured(21, (300, 40)))  # 12: wide
    images.append(textured(22).convert("L").convert("RGB"))  # 13: grey
    low = np.asarray(textured(23), float) * 0.08 + 110
    images.append(Image.fromarray(low.astype(np.uint8)))  # 14: low contrast
    made = found(images)
    assert made["blank"] == [8, 9, 10]
    assert made["dark"] == [9]
    assert made["bright"] == [10]
    assert made["low_contrast"] == [14]
    assert made["blurred"] == [11]
    assert made["odd_aspect"] == [12]
    assert set(made["greyscale"]) == {8, 9, 10, 13}
    assert set(made["low_information"]) >= {8, 9, 10}


def test_sharpness_of_a_few_pixels_is_not_judged():
    images = [textured(i, (28, 28)) for i in range(4)] + [blurred(textured(8, (28, 28)))]
    assert found(images)["blurred"] == []


def test_the_rarer_colour_mode_is_found_in_a_grey_set():
    images = [textured(i).convert("L").convert("RGB") for i in range(6)] + [textured(9)]
    assert found(images)["greyscale"] == [6]


def test_a_mixture_of_grey_and_colour_is_no_finding():
    grey = [textured(i).convert("L").convert("RGB") for i in range(4)]
    assert found(grey + [textured(i) for i in range(10, 15)])["greyscale"] == []


def test_odd_sizes_lie_beyond_three_interquartile_ranges():
    # Quartiles of the eleven sides are 61.5 and 66.5, so that 46.5 to 81.5 is usual.
    sides = [60, 61, 62, 63, 64, 65, 66, 67, 68, 82, 46]
    images = [textured(i, (side, side)) for i, side in enumerate(sides)]
    assert set(found(images)["odd_size"]) == {9, 10}


def test_a_set_of_one_size_has_one_odd_one():
    images = [textured(i, (32, 32)) for i in range(9)] + [textured(10, (33, 32))]
    assert found(images)["odd_size"] == [9]


def test_vectors_without_images_are_refused_in_a_sentence():
    with pytest.raises(Missing, match="vectors but no images.*images=FOLDER"):
        measure_images(Dataset("v.npy", np.array(["a"]), "f", vectors=np.ones((1, 2))))


def test_an_image_that_can_no_longer_be_read_is_named():
    broken = Dataset("x", np.array(["a.png"]), "f", reader=lambda i: Image.open("/nonexistent"))
    with pytest.raises(BadInput, match="'a.png' can no longer be read"):
        measure_images(broken)
