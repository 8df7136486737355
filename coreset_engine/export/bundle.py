"""The input of every export target: a selection, and what of its source could be reopened.

A target is a function `write_TARGET(bundle, destination, progress, **options) -> dict` in a module
of its own; `export.targets` holds the table. destination: the folder to write into (it exists and
holds the selection's three files) or a dataset's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import Missing
from coreset_engine.core.export_tags import is_export_tag
from coreset_engine.core.limits import limits
from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Dataset, Neighbours
from coreset_engine.selection.budget import cut_count

NEAR = 0.02  # cosine distance above which no image counts as a near-duplicate
NEAR_SHARE = 0.1  # of the typical distance to the TYPICAL-th neighbour
TYPICAL = 10
VOTERS = 10  # nearest images whose given labels are compared with an image's own
REASONS = ("kept", "hardest cut", "easiest cut", "near-duplicate", "not chosen")


@dataclass(frozen=True, eq=False)
class ExportBundle:
    """One selection to export, N images.

    Parameters
    ----------
    table : DataFrame
        One row per image in source order: id, path, selected, rank (-1 = dropped), score, weight,
        and every score used.
    manifest : mapping
        See `pipeline.manifest`.
    media : Path
        Where pictures of sources that are not single files are written and found again.
    dataset : Dataset or None
        The source; None when it cannot be opened any more.
    points : ndarray, shape (N, 2), or None
        The map.
    vectors : ndarray, shape (N, D), or None
    neighbours : Neighbours or None
        Of the source.
    cluster_names : mapping
        Cluster -> name the user gave it.
    boxes : list or None
        Of pictures whose objects were chosen: for each the (label, box as shares of the picture) of
        those kept.
    """

    table: Any
    manifest: Mapping[str, Any]
    media: Path
    dataset: Dataset | None = None
    points: np.ndarray | None = None
    vectors: np.ndarray | None = None
    neighbours: Neighbours | None = None
    cluster_names: Mapping[int, str] = field(default_factory=dict)
    boxes: Any = None

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def ids(self) -> np.ndarray:
        return np.array([str(key) for key in self.table["id"]], dtype=object)

    @cached_property
    def selected(self) -> np.ndarray:
        return self.table["selected"].to_numpy().astype(bool)

    @cached_property
    def image_tags(self) -> list[list[str]]:
        """The tags of each image, without those that exports give."""
        if "tags" not in self.table:
            return [[] for _ in range(len(self))]
        cells = ["" if cell is None else str(cell) for cell in self.table["tags"].tolist()]
        return [[tag for tag in cell.split() if not is_export_tag(tag)] for cell in cells]

    @cached_property
    def position(self) -> np.ndarray:
        """(N,) int64 position of each row in `dataset`, -1 = gone."""
        if self.dataset is None:
            return np.full(len(self), -1, np.int64)
        if (
            len(self.dataset) == len(self)
            and all(  # a part at a time: texts of millions are gigabytes
                (
                    np.asarray(self.dataset.ids[at : at + limits().ids_per_chunk]).astype(object)
                    == self.ids[at : at + limits().ids_per_chunk]
                ).all()
                for at in range(0, len(self), limits().ids_per_chunk)
            )
        ):
            return np.arange(len(self))
        row_of = {str(key): i for i, key in enumerate(self.dataset.ids)}
        return np.array([row_of.get(key, -1) for key in self.ids], np.int64)

    @property
    def same_source(self) -> bool:
        """Whether the source still is what the selection was made from, image for image."""
        return self.dataset is not None and self.dataset.fingerprint == self.manifest.get(
            "source_fingerprint"
        )

    def image(self, row: int) -> Any:
        """The picture of a row, RGB. Raises Missing when the source or the image is gone."""
        if self.dataset is None or self.position[row] < 0:
            raise Missing(
                f"image {self.ids[row]!r} is no longer in the source; open the source the "
                "selection was made from."
            )
        return self.dataset.image(int(self.position[row]))

    @cached_property
    def given_labels(self) -> list[str]:
        """(N,) class that people gave each image in rounds of labelling, "" = none."""
        if "given_label" not in self.table:
            return [""] * len(self)
        return [name if isinstance(name, str) else "" for name in self.table["given_label"]]

    @cached_property
    def truth_names(self) -> tuple[str, ...]:
        """Every class of the source and of given labels, position = number; () without any."""
        return tuple(dict.fromkeys([*self._source_names, *sorted(set(self.given_labels) - {""})]))

    @cached_property
    def truth_codes(self) -> np.ndarray | None:
        """(N,) int64 numbers in `truth_names`, -1 = unknown.

        Given labels, else the source's; None without any label.
        """
        if not self.truth_names:
            return None
        codes = np.full(len(self), -1, np.int64)
        if self._source_names and self.dataset is not None:
            labels = np.asarray(self.dataset.labels)[self.position]
            codes = np.where(self.position >= 0, labels, -1)
        number = {name: code for code, name in enumerate(self.truth_names)}
        rows = [row for row, name in enumerate(self.given_labels) if name]
        codes[rows] = [number[self.given_labels[row]] for row in rows]
        return codes

    @property
    def _source_names(self) -> tuple[str, ...]:
        data = self.dataset
        return () if data is None or data.labels is None else tuple(data.classes)

    @cached_property
    def truth(self) -> list[str | None] | None:
        """(N,) true class names where known, or None when the source has no labels."""
        if self.truth_codes is None:
            return None
        names = self.truth_names
        return [names[code] if code >= 0 else None for code in self.truth_codes.tolist()]

    def cluster_name(self, cluster: int) -> str:
        return self.cluster_names.get(int(cluster)) or f"cluster {int(cluster)}"

    @property
    def to_label(self) -> np.ndarray:
        """(N,) bool: selected unlabelled images; of a round of labelling its own alone.

        Images that an earlier round requested are not requested again.
        """
        wanted = self.selected & np.array([not name for name in self.given_labels], bool)
        about = self.manifest.get("round")
        if isinstance(about, Mapping) and "round" in self.table:
            wanted &= self.table["round"].to_numpy() == about.get("number")
        return wanted

    @cached_property
    def nearest_kept(self) -> np.ndarray | None:
        """(N,) float64 distance to the nearest other kept neighbour, NaN where none is listed."""
        neighbours = self.neighbours
        if neighbours is None or not self.same_source or len(neighbours.indices) != len(self):
            return None
        kept = self.selected[np.asarray(neighbours.indices)]
        first = kept.argmax(1)
        rows = np.arange(len(self))
        return np.where(
            kept[rows, first], np.asarray(neighbours.distances, np.float64)[rows, first], np.nan
        )

    @cached_property
    def near_distance(self) -> float:
        """Cosine distance up to which a dropped image is a near-duplicate of a kept one.

        A tenth of the median distance to the tenth neighbour, at most NEAR: in a set whose images
        are all alike (one product, one camera) a fixed distance would call most of them
        duplicates. Ten neighbours, so that a set in which every image is there several times still
        has a typical distance above 0.
        """
        if self.neighbours is None or not len(self.neighbours.distances):
            return NEAR
        rank = min(TYPICAL, self.neighbours.distances.shape[1]) - 1
        typical = float(np.median(np.asarray(self.neighbours.distances[:, rank], np.float64)))
        return float(f"{min(NEAR, max(NEAR_SHARE * typical, 1e-6)):.1g}")

    @cached_property
    def label_margin(self) -> np.ndarray | None:
        """How far the given labels of an image's nearest images agree with its own.

        Returns
        -------
        ndarray, shape (N,), float64 in [-1, 1], or None
            Share of the ten nearest labelled images with its label minus that of the commonest
            other label; below 0: the label is suspect. NaN without a label or labelled neighbours.
            None without given labels or neighbours.
        """
        codes = self.truth_codes
        neighbours = self.neighbours
        if (
            codes is None
            or neighbours is None
            or not self.same_source
            or len(neighbours.indices) != len(self)
        ):
            return None
        neighbour_codes = codes[np.asarray(neighbours.indices[:, :VOTERS])]
        own = (neighbour_codes == codes[:, None]).sum(1)
        other = np.zeros(len(codes), np.int64)
        for rival in neighbour_codes.T:
            votes = (neighbour_codes == rival[:, None]).sum(1)
            np.maximum(other, np.where((rival >= 0) & (rival != codes), votes, 0), out=other)
        labelled = (neighbour_codes >= 0).sum(1)
        known = (codes >= 0) & (labelled > 0)
        return np.where(known, (own - other) / np.maximum(labelled, 1), np.nan)

    @cached_property
    def reasons(self) -> np.ndarray:
        """(N,) one of REASONS.

        Hard and easy cut follow ELFS' window where it made the choice, else AUM's range.
        """
        reason = np.where(self.selected, REASONS[0], REASONS[4]).astype(object)
        hard, easy = _cuts(self)
        reason[~self.selected & hard] = REASONS[1]
        reason[~self.selected & easy] = REASONS[2]
        if self.nearest_kept is not None:
            reason[
                (reason == REASONS[4])
                & (np.nan_to_num(self.nearest_kept, nan=np.inf) <= self.near_distance)
            ] = REASONS[3]
        return reason


def _cuts(bundle: ExportBundle) -> tuple[np.ndarray, np.ndarray]:
    """(N,) bool each: harder than, easier than everything the method kept by itself."""
    none = np.zeros(len(bundle), bool)
    if "aum" not in bundle.table:
        return none, none
    row = METHODS.get(str(bundle.manifest.get("method")))
    if row is not None and row.double_end:  # its score orders hard to easy; the hard cut comes last
        hard_cut = cut_count(len(bundle), bundle.manifest.get("params", {}).get("beta") or 0)
        rank = np.empty(len(bundle), np.int64)
        rank[np.argsort(-bundle.table["score"].to_numpy(float), kind="stable")] = np.arange(
            len(bundle)
        )
        last = rank >= len(bundle) - hard_cut
        return last, ~last
    aum = bundle.table["aum"].to_numpy(float)
    if not bundle.selected.any():
        return none, none
    kept = aum[bundle.selected]
    return aum < np.nanmin(kept), aum > np.nanmax(kept)


Parcel = ExportBundle  # the name of the first edition
