"""Examples on both sides of a finding's threshold, so that one sees where it should lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.findings import outliers, twins
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.examine import Material, near_pairs_of
from coreset_engine.findings.quality import RULES, Measured
from coreset_engine.findings.report import Finding

MOST = 12  # examples on a side
_ROTATED_BEYOND = 1.5  # times the threshold, up to which turned copies are examples
WITH_THRESHOLD = ("near_duplicates", "rotated", "outliers", *(n for n in RULES if n != "greyscale"))


@dataclass(frozen=True, eq=False)
class Side:
    """examples: (A, w) int64 positions, w = 2 for pairs, else 1. scores: (A,) float."""

    examples: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.examples)


@dataclass(frozen=True, eq=False)
class Border:
    """within: what the finding just names. beyond: what it just does not. Nearest to it first."""

    within: Side
    beyond: Side


def border(
    material: Material, finding: Finding, config: CleanConfig | None = None, most: int = MOST
) -> Border | None:
    """Examples on both sides of a finding's threshold.

    Parameters
    ----------
    material, config
        As given to `examine`.
    finding
        One of its report.
    most
        Examples on each side at most.

    Returns
    -------
    Border or None
        None where the finding has no threshold to move.
    """
    config = config or CleanConfig()
    threshold = float(finding.threshold or 0.0)
    if finding.name == "near_duplicates":
        near_pairs = near_pairs_of(material, material.same)
        sure = near_pairs.confirmed
        return _of_pairs(near_pairs.pairs[~sure], near_pairs.distances[~sure], threshold, most)
    if finding.name == "rotated" and material.statistics is not None:
        wider = min(1.0, _ROTATED_BEYOND * threshold)
        pairs, scores = twins.rotated_pairs(material.statistics, material.same, wider)
        return _of_pairs(pairs, scores, threshold, most)
    if finding.name == "outliers" and material.neighbours is not None:
        ratio = outliers.distance_ratio(material.neighbours, material.clusters, config.k)
        return _of_images(Measured(ratio, ratio > threshold, -ratio, threshold), most)
    if finding.name in WITH_THRESHOLD and material.statistics is not None:
        return _of_images(RULES[finding.name](material.statistics, config), most)
    return None


def _of_pairs(pairs: np.ndarray, scores: np.ndarray, threshold: float, most: int) -> Border:
    order = np.argsort(scores, kind="stable")
    pairs = pairs[order]
    scores = scores[order]
    at = int(np.searchsorted(scores, np.float32(threshold), side="right"))
    inside = slice(max(0, at - most), at)
    return Border(
        Side(pairs[inside][::-1], scores[inside][::-1]),
        Side(pairs[at : at + most], scores[at : at + most]),
    )


def _of_images(made: Measured, most: int) -> Border:
    rest = ~made.found if made.possible is None else made.possible & ~made.found
    inside = _ordered(made, made.found)[::-1][:most]
    outside = _ordered(made, rest)[:most]
    return Border(
        Side(inside[:, None], made.values[inside]), Side(outside[:, None], made.values[outside])
    )


def _ordered(made: Measured, among: np.ndarray) -> np.ndarray:
    positions = np.flatnonzero(among)
    return positions[np.argsort(made.worst_first[positions], kind="stable")]
