"""Findings about single images.

Blank, dark, bright, low contrast or information, blurred, odd size, odd aspect ratio, greyscale
among colour.

Each is a number per image and a threshold, so that a slider moves without looking at pixels again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.image_statistics import (
    ImageStatistics,
    area_side,
    aspect,
)
from coreset_engine.findings.report import FINDINGS, Finding

GREY_BELOW = 0.001  # share of coloured pixels up to which an image is greyscale
SHARPNESS_FROM = 24  # pixels of the shorter side from which blur can be judged
_OF_THE_SET = 0.6  # of the set's median steepness, below which an image is blurred,
_OF_SMALL = 0.5  # and in a set of images
_SMALL_BELOW = 64  # below so many pixels of the longer side
_SOFT = 0.4  # median steepness below which a whole set is soft
RARE = 0.3  # share of the set up to which the rarer of greyscale and colour is a finding


@dataclass(frozen=True, eq=False)
class Measured:
    """values: (N,) compared. found: (N,) bool. worst_first: (N,) sort key.

    threshold, note: as in `Finding`. possible: (N,) bool, what another threshold could find; None =
    every image.
    """

    values: np.ndarray
    found: np.ndarray
    worst_first: np.ndarray
    threshold: float
    note: str = ""
    possible: np.ndarray | None = None


def quality_findings(statistics: ImageStatistics, config: CleanConfig) -> list[Finding]:
    """The findings of this module, in the order of RULES."""
    return [_finding(name, rule(statistics, config)) for name, rule in RULES.items()]


def _finding(name: str, made: Measured) -> Finding:
    positions = np.flatnonzero(made.found)
    positions = positions[np.argsort(made.worst_first[positions], kind="stable")]
    scores = made.values[positions].astype(np.float32)
    return Finding(FINDINGS[name], positions, scores, None, made.threshold, made.note)


def _below(values: np.ndarray, threshold: float) -> Measured:
    return Measured(values, values < threshold, values, threshold)


def _above(values: np.ndarray, threshold: float) -> Measured:
    return Measured(values, values > threshold, -values, threshold)


def contrast(statistics: ImageStatistics) -> np.ndarray:
    """(N,) float32 in [0, 1]: brightness from the 1st to the 99th percentile."""
    span: np.ndarray = statistics.percentile(99) - statistics.percentile(1)
    return span


def _blank(statistics: ImageStatistics, config: CleanConfig) -> Measured:
    """Uniform in brightness and, since colours may be of equal brightness, in the tiny copy."""
    values = contrast(statistics)
    tiny = statistics.tiny.reshape(len(statistics), -1, 3).astype(np.int16)
    value_range = (tiny.max(axis=1) - tiny.min(axis=1)).max(axis=1) / 255
    larger = np.maximum(values, value_range - 0.02)
    return Measured(values, larger < config.blank, larger, config.blank)


def _low_contrast(statistics: ImageStatistics, config: CleanConfig) -> Measured:
    values = contrast(statistics)
    other = ~_blank(statistics, config).found
    low = (values < config.low_contrast) & other
    note = "blank images are not counted"
    return Measured(values, low, values, config.low_contrast, note, other)


def judged_for_blur(statistics: ImageStatistics, config: CleanConfig) -> np.ndarray:
    """(N,) bool: images that are large enough to measure blur and of some contrast."""
    large = np.minimum(statistics.width, statistics.height) >= SHARPNESS_FROM
    return large & (contrast(statistics) >= config.low_contrast)


def _blurred(statistics: ImageStatistics, config: CleanConfig) -> Measured:
    """Images whose edges are much flatter than usual in the set, in one direction or all."""
    values = statistics.blur
    judged = judged_for_blur(statistics, config)
    usual = _median(1 - values[judged])
    threshold = config.blurred
    if threshold is None:
        threshold = 1 - _share_of_usual(statistics, judged) * usual
    blurred = (values > threshold) & judged
    return Measured(values, blurred, -values, threshold, _note_on_blur(judged, usual), judged)


def _share_of_usual(statistics: ImageStatistics, judged: np.ndarray) -> float:
    """Share of the set's median steepness, below which an image is blurred."""
    longer = np.maximum(statistics.width, statistics.height)[judged]
    small = len(longer) > 0 and np.median(longer) < _SMALL_BELOW
    return _OF_SMALL if small else _OF_THE_SET


def _median(values: np.ndarray) -> float:
    """Median; 1 without any values."""
    return float(np.median(values)) if len(values) else 1.0


def _note_on_blur(judged: np.ndarray, usual: float) -> str:
    parts = []
    left = int((~judged).sum())
    if left:
        unfit = f"of low contrast or below {SHARPNESS_FROM} pixels a side"
        parts.append(
            counted(left, f"image {unfit} is not judged", f"images {unfit} are not judged")
        )
    if usual < _SOFT:
        parts.append("the whole set is soft, so only images much softer than the others are listed")
    return "; ".join(parts)


def _odd_size(statistics: ImageStatistics, config: CleanConfig) -> Measured:
    """Beyond the quartiles by more than `odd_size` interquartile ranges (Tukey 1977)."""
    values = area_side(statistics)
    low, high = np.percentile(values, [25, 75])
    reach = config.odd_size * (high - low)
    odd = (values < low - reach - 1e-9) | (values > high + reach + 1e-9)
    away = np.abs(values - (low + high) / 2)
    note = f"usual sizes are {max(0, low - reach):,.0f} to {high + reach:,.0f} pixels"
    return Measured(values, odd, -away, config.odd_size, note)


def _greyscale(statistics: ImageStatistics, config: CleanConfig) -> Measured:
    """The rarer of greyscale and colour images, where it is rare."""
    grey = statistics.coloured < GREY_BELOW
    rare = grey if grey.sum() * 2 <= len(grey) else ~grey
    word = "greyscale images in a set of colour images"
    if rare is not grey:
        word = "colour images in a set of greyscale images"
    share = float(rare.mean())
    if share > RARE:
        word = f"a mixture, {share:.0%} of one kind, so neither is an outlier"
        rare = np.zeros(len(grey), bool)
    key = np.where(grey, statistics.coloured, -statistics.coloured)
    return Measured(statistics.coloured, rare, key, GREY_BELOW, word)


RULES: dict[str, Callable[[ImageStatistics, CleanConfig], Measured]] = {
    "blank": _blank,
    "dark": lambda statistics, config: _below(statistics.percentile(99), config.dark),
    "bright": lambda statistics, config: _above(statistics.percentile(5), config.bright),
    "low_contrast": _low_contrast,
    "low_information": lambda statistics, config: _below(
        statistics.entropy, config.low_information
    ),
    "blurred": _blurred,
    "odd_size": _odd_size,
    "odd_aspect": lambda statistics, config: _below(aspect(statistics), config.odd_aspect),
    "greyscale": _greyscale,
}
