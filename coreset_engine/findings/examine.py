"""All findings about one set, from the available data on its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.findings import copies, outliers, twins
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.image_statistics import ImageStatistics, area_side
from coreset_engine.findings.quality import (
    RULES,
    SHARPNESS_FROM,
    judged_for_blur,
    quality_findings,
)
from coreset_engine.findings.report import FINDINGS, Finding, Report

_FROM_PIXELS = ("pixel_identical", "rotated", *RULES)


@dataclass(frozen=True, eq=False)
class Material:
    """What the findings are computed from.

    source, ids: as in `Report`. statistics: None where the source has no images. neighbours: None
    where nothing is embedded. digests: (N,) bytes of the files, or None. labels: (N,) int64, -1 =
    unknown, or None. clusters: (N,) int64 or None, against which outliers are measured; against:
    what they are. modified: (N,) seconds or None. skipped: finding -> why it is left out.
    """

    source: str
    ids: np.ndarray
    statistics: ImageStatistics | None = None
    neighbours: Neighbours | None = None
    digests: np.ndarray | None = None
    labels: np.ndarray | None = None
    clusters: np.ndarray | None = None
    against: str = "the whole set"
    modified: np.ndarray | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def same(self) -> np.ndarray:
        """(N,) int64: images with the same pixels (else the same bytes) share a number."""
        if self.statistics is not None:
            return copies.codes_of(self.statistics.pixels)
        if self.digests is not None:
            return copies.codes_of(self.digests)
        return np.arange(len(self.ids))

    def keep_facts(self) -> copies.KeepFacts:
        """What decides which copy is kept."""
        looked = self.statistics
        area = None if looked is None else area_side(looked)
        return copies.KeepFacts(
            area, self.modified, self.labels, None if looked is None else looked.blur
        )


def examine(material: Material, config: CleanConfig | None = None) -> Report:
    """The report of a set.

    Parameters
    ----------
    material
        What is known of N images.
    config
        Thresholds.

    Returns
    -------
    Report
        What could not be computed is in `skipped`, with its reason.
    """
    config = config or CleanConfig()
    findings: dict[str, Finding] = {}
    skipped = dict(material.skipped)
    for one in _copies(material, config, skipped):
        findings[one.name] = one
    if material.statistics is not None:
        for one in quality_findings(material.statistics, config):
            findings[one.name] = one
        if not judged_for_blur(material.statistics, config).any():
            del findings["blurred"]
            skipped["blurred"] = (
                f"every image is below {SHARPNESS_FROM} pixels a side or of low contrast, where "
                "blur cannot be judged"
            )
    else:
        why = "the source has vectors only, no images"
        skipped |= {name: skipped.get(name, why) for name in _FROM_PIXELS}
    findings |= {one.name: one for one in _by_distance(material, config, skipped)}
    ordered = {name: findings[name] for name in FINDINGS if name in findings}
    return Report(material.source, material.ids, ordered, skipped, _warnings(ordered))


def near_pairs_of(material: Material, same: np.ndarray) -> copies.NearPairs:
    """Pairs of near images, confirmed by their tiny copies where there are images."""
    if material.neighbours is None:
        raise BadInput("near-duplicates need embeddings; compute them first.")
    tiny = None if material.statistics is None else material.statistics.tiny
    return copies.near_pairs(material.neighbours, same, tiny=tiny)


def _copies(material: Material, config: CleanConfig, skipped: dict[str, str]) -> list[Finding]:
    made = []
    same = material.same
    if material.digests is not None:
        made.append(copies.byte_identical(material.digests))
    else:
        skipped["byte_identical"] = "the images of this source are not files"
    if material.statistics is not None:
        made.append(copies.pixel_identical(material.statistics.pixels, material.digests))
        if len(same) <= twins.MOST_IMAGES:
            made.append(twins.rotated(material.statistics, same, config.rotated))
        else:
            skipped["rotated"] = (
                f"it compares all images with one another, and the set has more than "
                f"{twins.MOST_IMAGES:,}; open a subset to search for them"
            )
    finding = None
    if material.neighbours is not None:
        finding = copies.near_duplicates(near_pairs_of(material, same), config.near_duplicates)
        made.append(finding)
    else:
        skipped.setdefault("near_duplicates", "the images are not embedded")
    if material.labels is not None:
        made.append(copies.label_conflicts(same, material.labels, finding))
    else:
        skipped["label_conflicts"] = "the source has no labels"
    return made


def _by_distance(material: Material, config: CleanConfig, skipped: dict[str, str]) -> list[Finding]:
    made = []
    if material.neighbours is not None:
        made.append(
            outliers.outliers(
                material.neighbours,
                material.clusters,
                k=config.k,
                threshold=config.outliers,
                against=material.against,
            )
        )
    else:
        skipped.setdefault("outliers", "the images are not embedded")
    if material.clusters is not None or material.labels is not None:
        made.append(outliers.singletons(material.clusters, material.labels))
    else:
        skipped["singletons"] = "there are no classes or clusters"
    return made


def _warnings(findings: Mapping[str, Finding]) -> tuple[str, ...]:
    conflicts = findings.get("label_conflicts")
    if conflicts is None or not len(conflicts):
        return ()
    groups = counted(conflicts.n_groups, "group of copies holds", "groups of copies hold")
    return (
        f"{groups} images of different classes; review them before excluding all but one, because "
        "the label of the remaining image may be wrong.",
    )
