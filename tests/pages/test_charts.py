"""Charts carry the numbers they were given, in figure and CSV alike, and survive empty, constant
and infinite data."""

from __future__ import annotations

import numpy as np
import pytest

from ui.components import charts, palette


def counts(figure):
    return {bar.name: int(np.sum(bar.y)) for bar in figure.data}


def test_cut_histogram_counts_every_finite_image_once():
    values = np.r_[np.random.default_rng(0).normal(size=1000), np.inf, np.nan]
    kept = values > 1
    hard = values < -1
    kept[-2:] = hard[-2:] = False
    figure, data = charts.cut_histogram(
        values, kept, hard, title="AUM", axis="AUM", cuts={"beta": -1.0}
    )
    got = counts(figure)
    assert got["selected"] == kept.sum() and got["skipped as hardest"] == hard.sum()
    assert sum(got.values()) == 1000
    assert sum(data["selected"]) == kept.sum() and len(data["AUM"]) == 80
    assert figure.layout.shapes[0].x0 == -1.0


@pytest.mark.parametrize("values", [np.zeros(5), np.full(5, np.nan), np.array([3.0])])
def test_histogram_of_degenerate_values(values):
    edges, finite = charts.binned(values)
    assert len(edges) == 81 and (np.diff(edges) > 0).all()
    assert len(finite) == np.isfinite(values).sum()


def test_distribution_shares_sum_to_one():
    rng = np.random.default_rng(1)
    _, data = charts.distributions(
        {"a": rng.normal(size=50), "b": rng.normal(size=5000)}, title="", axis="x", share=True
    )
    assert sum(data["a"]) == pytest.approx(1) and sum(data["b"]) == pytest.approx(1)


def test_confusion_shows_share_of_row_and_csv_shows_counts():
    figure, data = charts.confusion(np.array([[3, 1], [0, 0]]), ["a", "b"], ["0", "1"], title="")
    assert figure.data[0].z[0][0] == 0.75 and figure.data[0].z[1][0] == 0
    assert data["images"] == [3, 1, 0, 0] and data["true label"] == ["a", "a", "b", "b"]


def test_score_by_rank_is_sorted_and_thinned():
    score = np.random.default_rng(2).normal(size=10_000)
    _, data = charts.score_by_rank(score, {"negated": -score}, k=100)
    shown = np.array(data["score"])
    assert (
        len(shown) <= 600
        and (np.diff(shown) <= 0).all()
        and shown[0] == score.max()
        and shown[-1] == score.min()
    )
    assert np.allclose(shown, -np.array(data["negated"]))


def test_budget_curve_draws_random_as_a_band():
    figure, data = charts.budget_curve(
        [0.5, 0.9],
        {"random": [0.8, 0.6], "elfs": [0.9, 0.7]},
        {"random": [0.1, 0.1], "elfs": [0.0, 0.0]},
        full=0.95,
    )
    band = figure.data[0]
    assert np.allclose(band.y, [0.9, 0.7, 0.5, 0.7]) and data["elfs mean"] == [0.9, 0.7]


def test_colours_are_distinct_hex():
    assert len(set(palette.CATEGORICAL)) == 16
    assert all(
        len(c) == 7 and int(c[1:], 16) >= 0 for c in (*palette.CATEGORICAL, *palette.SEQUENTIAL)
    )


# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def seen_as(colours, vision):
    """CIELAB of "#rrggbb" colours as that vision sees them; (n, 3)."""
    from skimage.color import rgb2lab

    parts = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.asarray(VISION[vision]).T, 0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None])[0]


def least_distance(colours, vision):
    from skimage.color import deltaE_ciede2000

    lab = seen_as(colours, vision)
    distance = deltaE_ciede2000(lab[:, None], lab[None])
    return distance[~np.eye(len(lab), dtype=bool)].min()


@pytest.mark.parametrize("vision", VISION)
def test_categories_of_one_shape_are_told_apart(vision):
    """Beyond eight the map changes the shape, so only colours of one shape must differ."""
    n = palette.SAME_SHAPE
    for first in range(0, len(palette.CATEGORICAL), n):
        assert least_distance(palette.CATEGORICAL[first : first + n], vision) >= 14


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK], ids=lambda theme: theme.name)
def test_what_the_map_marks_is_told_apart(theme, vision):
    """Selected, not selected, the picked image and the paper; a ring marks the picked one too."""
    shown = [theme.kept, theme.easy, theme.picked, theme.paper]
    assert least_distance(shown, vision) >= 9.5


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK], ids=lambda theme: theme.name)
def test_text_contrast_is_readable(theme):
    low, high = sorted((luminance(theme.text), luminance(theme.paper)))
    assert (high + 0.05) / (low + 0.05) >= 7
    low, high = sorted((luminance(theme.kept), luminance(theme.paper)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_a_long_legend_stays_off_the_title():
    short = charts.apply_theme(
        charts.distributions({"a": np.arange(9.0)}, title="Few", axis="x")[0], palette.LIGHT
    )
    means = {name: [0.8, 0.9] for name in ("random", "a", "b", "c")}
    long = charts.apply_theme(
        charts.budget_curve([0.5, 0.9], means, {name: [0.01, 0.01] for name in means})[0],
        palette.LIGHT,
        420,
    )
    assert short.layout.legend.y == 1.0 and long.layout.legend.y < 0


def test_axes_over_several_powers_of_ten_are_marked_by_round_numbers():
    assert charts.round_numbers(np.array([6.0, 320.0])) == [10, 20, 50, 100, 200]
    assert charts.round_numbers(np.array([20.0, 60_000.0])) == [100, 1000, 10_000]
    assert charts.round_numbers(np.array([])) == []
