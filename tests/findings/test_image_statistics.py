"""The numbers of single images, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import blurred, dataset, plain, textured
from PIL import Image

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.hashing import pixel_digest
from coreset_engine.core.types import Dataset
from coreset_engine.findings import kernels
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.examine import Material, examine
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


def edge(width, low=50, high=210, size=(64, 64)):
    """A vertical edge that takes `width` equal steps."""
    line = np.full(size[0], low, float)
    at = size[0] // 2
    line[at : at + width] = low + (high - low) * np.arange(1, width + 1) / width
    line[at + width :] = high
    return np.repeat(np.rint(line).astype(np.uint8)[None, :], size[1], axis=0)


@pytest.mark.parametrize(
    "width, wanted", [(1, 1.0), (2, 1 / 2), (4, 1 / 4), (5, 1 / 5), (20, 1 / 6)]
)
def test_steepness_of_an_edge_is_one_over_its_width(width, wanted):
    """160 levels in equal steps. Of 20 the surroundings of 11 pixels hold 11 in the middle and, at
    either end, 6, 7, 8, 9 and 10: the steepest tenth, 2 of 20, are 1/6.
    """
    found = kernels.edge_steepness(edge(width), 5, 12)
    assert found == pytest.approx(wanted, abs=1 / 64)
    assert kernels.edge_steepness(edge(width).T.copy(), 5, 12) == found


@pytest.mark.parametrize("drop, sharp", [(12, False), (24, True)])
def test_a_tenth_of_the_edges_decides(drop, sharp):
    """A flat edge of 160 levels, then a sharp one of 12 (7 % of the whole) or 24 (13 %)."""
    grey = edge(20, size=(96, 64))
    grey[:, 80:] -= np.uint8(drop)
    found = kernels.edge_steepness(grey, 5, 12)
    assert (found > 0.9) == sharp and (found < 0.2) != sharp


def test_contrast_and_soft_shadows_have_no_part_in_blur():
    grey = edge(1, 110, 150)
    shadow = grey + np.linspace(0, 60, 64)[None, :].astype(np.uint8)
    for pixels in (grey, shadow):
        row = measure(Image.fromarray(np.stack([pixels] * 3, axis=2)))
        assert row["blur"] < 0.25  # the edge is 41 of the 51 levels around it


def test_an_image_without_edges_has_none_that_are_steep():
    assert kernels.edge_steepness(np.full((40, 40), 90, np.uint8), 5, 12) == 0
    faint = np.full((40, 40), 90, np.uint8)
    faint[:, 20:] = 101  # below the least difference
    assert kernels.edge_steepness(faint, 5, 12) == 0


def test_a_large_image_is_judged_on_a_smaller_copy():
    """Reduced eight times, the means of eight steps are 4.5 / 8 of the edge and then the rest."""
    pixels = edge(8, size=(4096, 64))
    row = measure(Image.fromarray(np.stack([pixels] * 3, axis=2)))
    assert row["blur"] == pytest.approx(1 - 4.5 / 8, abs=1 / 64)


def test_more_blur_scores_higher():
    scores = [measure(blurred(textured(1), radius))["blur"] for radius in (0, 1, 3, 6)]
    assert scores == sorted(scores) and scores[0] < 0.1 < 0.7 < scores[2]


def test_images_much_softer_than_the_set_are_blurred():
    """Sharp or a little soft, the rest sets the measure; a set that is blurred throughout has none."""
    images = [textured(i, (96, 96)) for i in range(6)]
    soft = [blurred(one, 0.7) for one in images]
    worse = [blurred(textured(40 + i, (96, 96)), 4) for i in range(2)]
    assert sorted(found(images + worse)["blurred"]) == [6, 7]
    assert sorted(found(soft + worse)["blurred"]) == [6, 7]
    assert found(soft)["blurred"] == [] == found(worse * 3)["blurred"]


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
    images = [textured(i, (20, 20)) for i in range(4)] + [blurred(textured(8, (20, 20)))]
    assert found(images)["blurred"] == []
    looked = measure_images(dataset(images))
    report = examine(Material("s", np.arange(5).astype(str), looked), CleanConfig())
    assert "below 24 pixels" in report.skipped["blurred"] and "blurred" not in report.findings


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


def test_motion_softens_the_edges_of_one_direction_only():
    """Moved sideways by 8 pixels: edges from left to right take 8 pixels, the others one."""
    pixels = np.asarray(textured(3, (96, 96)).convert("L"), np.float64)
    padded = np.pad(pixels, ((0, 0), (8, 0)), mode="edge")
    sums = np.cumsum(padded, axis=1)
    moved = ((sums[:, 8:] - sums[:, :-8]) / 8).astype(np.uint8)
    sharp = kernels.edge_steepness(pixels.astype(np.uint8), 5, 30)
    assert kernels.edge_steepness(moved, 5, 30) < 0.4 < 0.9 < sharp
    assert kernels.edge_steepness(moved.T.copy(), 5, 30) < 0.4


def test_a_frame_at_the_border_counts_where_there_are_no_other_edges():
    grey = np.full((64, 64), 40, np.uint8)
    grey[2:-2, 2:-2] = 200
    assert measure(Image.fromarray(grey).convert("RGB"))["blur"] < 0.1
