"""What is found about a set: a table of the kinds of finding, one record per finding, one report.

A finding names images by position and gives each a score. A grouped finding (copies, conflicts)
also says which images belong together; its *surplus* is all but one image of each group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput

SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True, kw_only=True)
class FindingKind:
    """One kind of finding.

    name, title: short name, and what people read. severity: one of SEVERITIES. meaning: what it is
    and why it matters, one sentence. score: what the number of each image is. verb: what the images
    are called in "118 of 811 chosen images were copies". aliases: other names on a command line.
    """

    name: str
    title: str
    severity: str
    meaning: str
    score: str
    verb: str
    grouped: bool = False
    aliases: tuple[str, ...] = ()


_KINDS = (
    FindingKind(
        name="byte_identical",
        title="Identical files",
        severity="high",
        meaning="Files with the same bytes: each copy costs a label and adds no information.",
        score="images in the group",
        verb="copies of another selected file",
        grouped=True,
        aliases=("duplicates", "exact_duplicates", "copies"),
    ),
    FindingKind(
        name="pixel_identical",
        title="Identical pixels",
        severity="high",
        meaning="The same pixels with another file name, format or metadata.",
        score="images in the group",
        verb="copies of another selected image",
        grouped=True,
        aliases=("duplicates",),
    ),
    FindingKind(
        name="near_duplicates",
        title="Near-duplicates",
        severity="medium",
        meaning="Images whose embeddings nearly coincide: bursts, crops, recompressed copies.",
        score="cosine distance to the nearest image of the group",
        verb="near-duplicates of another selected image",
        grouped=True,
        aliases=("near",),
    ),
    FindingKind(
        name="rotated",
        title="Rotated or mirrored copies",
        severity="low",
        meaning="The same image rotated or mirrored: useful as augmentation, not as data.",
        score="difference from the rotated copy, share of the contrast",
        verb="rotated copies of another selected image",
        grouped=True,
    ),
    FindingKind(
        name="label_conflicts",
        title="Copies with different labels",
        severity="high",
        meaning="The same image under two classes: at least one of the labels is wrong.",
        score="labels in the group",
        verb="copies with conflicting labels",
        grouped=True,
        aliases=("conflicts",),
    ),
    FindingKind(
        name="outliers",
        title="Outliers",
        severity="medium",
        meaning="Far from all other images, relative to the distances in its own cluster.",
        score="distance to the k-th neighbour divided by the cluster's median",
        verb="outliers",
    ),
    FindingKind(
        name="singletons",
        title="Clusters of one image",
        severity="low",
        meaning="The only image of its class or cluster: it cannot be split into train and test.",
        score="images in the cluster",
        verb="alone in their cluster",
    ),
    FindingKind(
        name="blank",
        title="Blank or nearly uniform",
        severity="high",
        meaning="Uniform: a single colour with hardly any variation.",
        score="range of brightness, 0 to 1",
        verb="blank",
    ),
    FindingKind(
        name="dark",
        title="Dark",
        severity="medium",
        meaning="Even the brightest percent of the pixels is dark.",
        score="99th percentile of brightness, 0 to 1",
        verb="dark",
    ),
    FindingKind(
        name="bright",
        title="Overexposed",
        severity="medium",
        meaning="Nearly all pixels are close to white.",
        score="5th percentile of brightness, 0 to 1",
        verb="overexposed",
        aliases=("light",),
    ),
    FindingKind(
        name="low_contrast",
        title="Low contrast",
        severity="low",
        meaning="Brightness spans a small part of its range.",
        score="range of brightness, 0 to 1",
        verb="low in contrast",
    ),
    FindingKind(
        name="low_information",
        title="Few distinct values",
        severity="low",
        meaning="Little entropy: line drawings, screens, half-empty images.",
        score="entropy of the pixel values, bits",
        verb="low in information",
    ),
    FindingKind(
        name="blurred",
        title="Blurred",
        severity="medium",
        meaning="No sharp edges: out of focus, motion blur, or upscaled.",
        score="flatness of the steepest edges, 0 = sharp",
        verb="blurred",
        aliases=("blurry",),
    ),
    FindingKind(
        name="odd_size",
        title="Odd size",
        severity="low",
        meaning="Much larger or smaller than most images of the set.",
        score="side of a square of the same area, pixels",
        verb="of an odd size",
    ),
    FindingKind(
        name="odd_aspect",
        title="Odd aspect ratio",
        severity="low",
        meaning="Very wide or very tall.",
        score="shorter side over longer side",
        verb="of an odd shape",
        aliases=("odd_aspect_ratio",),
    ),
    FindingKind(
        name="greyscale",
        title="Greyscale among colour",
        severity="low",
        meaning="The few greyscale images in a set of colour images, or vice versa.",
        score="share of coloured pixels",
        verb="of the rarer colour mode",
        aliases=("grayscale",),
    ),
)
FINDINGS: dict[str, FindingKind] = {kind.name: kind for kind in _KINDS}


def named(words: Iterable[str]) -> tuple[str, ...]:
    """Finding names for words of a command line: names, aliases, or "all".

    Raises
    ------
    BadInput
        For a word that is neither.
    """
    ids: list[str] = []
    for word in words:
        key = word.strip().lower().replace("-", "_")
        names = [kind.name for kind in _KINDS if key in (kind.name, "all", *kind.aliases)]
        if key == "all":
            names = list(FINDINGS)
        if not names:
            raise BadInput(f"{word!r} is not a finding; known: {', '.join(FINDINGS)}, all.")
        ids += names
    return tuple(dict.fromkeys(ids))


@dataclass(frozen=True, eq=False)
class Finding:
    """Images of one kind.

    kind: the row of FINDINGS. positions: (M,) int64, worst first; groups lie together. scores: (M,)
    float32. groups: (M,) int64 or None. threshold: the value in effect, or None. note: how it was
    found, one sentence.
    """

    kind: FindingKind
    positions: np.ndarray
    scores: np.ndarray
    groups: np.ndarray | None = None
    threshold: float | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def title(self) -> str:
        return self.kind.title

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def n_groups(self) -> int:
        return 0 if self.groups is None else len(np.unique(self.groups))

    @property
    def n_surplus(self) -> int:
        """How many images "all but one per group" leaves out; all where there are no groups."""
        return len(self) - self.n_groups

    def groups_of(self) -> list[np.ndarray]:
        """The positions of each group, in order."""
        if self.groups is None:
            return []
        cuts = np.flatnonzero(np.diff(self.groups)) + 1
        return np.split(self.positions, cuts) if len(self) else []


@dataclass(frozen=True, eq=False)
class Cost:
    """What a finding costs in a selection: `wasted` of `chosen` images.

    Of a grouped finding the chosen ones beyond the first of each group are wasted.
    """

    finding: Finding
    wasted: int
    chosen: int

    def sentence(self) -> str:
        """For example "118 of 811 chosen images were copies of another selected file"."""
        if not self.wasted:
            return f"none of the {self.chosen:,} selected images"
        return f"{self.wasted:,} of {self.chosen:,} chosen images were {self.finding.kind.verb}"


@dataclass(frozen=True, eq=False)
class Report:
    """All findings about one set.

    source: its spec. ids: (N,) str. findings: by name, in the order of FINDINGS. skipped: name ->
    why it could not be computed. warnings: sentences.
    """

    source: str
    ids: np.ndarray
    findings: Mapping[str, Finding]
    skipped: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, name: str) -> Finding:
        if name not in self.findings:
            reason = self.skipped.get(name)
            raise BadInput(
                f"{name!r} was not computed: {reason}"
                if reason
                else f"{name!r} is not a finding; known: {', '.join(FINDINGS)}."
            )
        return self.findings[name]

    def ids_of(self, name: str) -> list[str]:
        """The ids of a finding's images, worst first."""
        return [str(key) for key in self.ids[self[name].positions]]

    def counts(self) -> dict[str, int]:
        """Finding -> number of images, of those that occur."""
        return {name: len(finding) for name, finding in self.findings.items() if len(finding)}

    def cost(self, name: str, chosen: np.ndarray) -> Cost:
        """What a finding costs in the selection at positions `chosen` (k,) int64."""
        finding = self[name]
        inside = np.isin(finding.positions, chosen)
        wasted = int(inside.sum())
        if finding.groups is not None:
            wasted -= len(np.unique(finding.groups[inside]))
        return Cost(finding, wasted, len(chosen))

    def to_record(self, examples: int = 100) -> dict[str, Any]:
        """Plain values; at most `examples` ids and scores of each finding (0 = all)."""
        most = examples or len(self)
        return dict(
            source=self.source,
            images=len(self),
            findings=[self._row(finding, most) for finding in self.findings.values()],
            skipped=dict(self.skipped),
            warnings=list(self.warnings),
        )

    def _row(self, finding: Finding, most: int) -> dict[str, Any]:
        shown = finding.positions[:most]
        return dict(
            name=finding.name,
            title=finding.title,
            severity=finding.kind.severity,
            count=len(finding),
            share=len(finding) / max(1, len(self)),
            groups=finding.n_groups,
            surplus=finding.n_surplus,
            threshold=finding.threshold,
            score=finding.kind.score,
            note=finding.note,
            ids=[str(key) for key in self.ids[shown]],
            scores=[round(float(value), 5) for value in finding.scores[: len(shown)]],
            group_of=None if finding.groups is None else finding.groups[: len(shown)].tolist(),
        )
