"""Groups of images that repeat each other: by bytes, by pixels, nearly, turned; and their labels.

Images with the same pixels count as one when near-duplicates are sought, so that a hundred copies
of one drawing neither hide its neighbours nor decide the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.findings.report import FINDINGS, Finding

KEEP_RULES = ("first", "largest", "oldest", "labelled", "quality")
_LARGEST_PROPOSAL = 0.05  # cosine distance
COINCIDE = 0.08  # difference of tiny copies over their contrast, up to which they coincide
_LEAST_CONTRAST = 6.0  # standard deviation of a tiny copy, of 255, below which it tells nothing
CONFIRMING = 8  # nearest neighbours of each image whose tiny copies are compared
MOST_PAIRS = 10_000_000  # links of the neighbour graph that are looked at for near-duplicates
_ROWS = 50_000  # rows of the graph that are read at a time
_TAIL = 3.5  # robust standard deviations below the median of log distances


def codes_of(digests: np.ndarray) -> np.ndarray:
    """(N,) int64: the same number for equal digests; unknown ones (empty) differ from all."""
    codes = np.unique(digests, return_inverse=True)[1].astype(np.int64)
    unknown = np.flatnonzero(np.asarray(digests) == np.asarray(digests).dtype.type())
    codes[unknown] = codes.max(initial=0) + 1 + np.arange(len(unknown))
    return codes


def byte_identical(digests: np.ndarray) -> Finding:
    """Groups of equal file digests. digests: (N,) bytes, empty where unknown."""
    return _grouped("byte_identical", codes_of(digests))


def pixel_identical(pixels: np.ndarray, digests: np.ndarray | None) -> Finding:
    """Groups of equal pixels that lie in different files.

    pixels: (N,) bytes. digests: (N,) bytes of the files, or None where files are not known.
    """
    codes = codes_of(pixels)
    if digests is None:
        return _grouped("pixel_identical", codes)
    files = codes_of(digests)
    pairs = np.unique(np.stack([codes, files]), axis=1)
    several = np.bincount(pairs[0], minlength=codes.max() + 1) > 1
    return _grouped("pixel_identical", np.where(several[codes], codes, -1 - np.arange(len(codes))))


def _grouped(name: str, codes: np.ndarray, scores: np.ndarray | None = None) -> Finding:
    """Images that share a code with another, largest groups first. scores: (N,) or the sizes."""
    _, code, size = np.unique(codes, return_inverse=True, return_counts=True)
    of_image = size[code]
    positions = np.flatnonzero(of_image > 1)
    first = np.full(len(size), len(codes))
    np.minimum.at(first, code, np.arange(len(codes)))
    order = np.lexsort((positions, first[code[positions]], -of_image[positions]))
    positions = positions[order]
    ranks = np.unique(
        np.stack([-of_image[positions], first[code[positions]]]), axis=1, return_inverse=True
    )[1]
    values = of_image if scores is None else scores
    return Finding(
        FINDINGS[name], positions, values[positions].astype(np.float32), ranks.astype(np.int64)
    )


# -- near-duplicates -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Pairs of images with different pixels, nearest first.

    pairs: (P, 2) int64. distances: (P,) float32, cosine. same: (N,) int64, images with the same
    pixels share a number. proposed: distance proposed as the threshold. confirmed: (P,) bool, the
    tiny copies coincide too, so that no threshold is needed. reach: distance beyond which only
    confirmed pairs are listed.
    """

    pairs: np.ndarray
    distances: np.ndarray
    same: np.ndarray
    proposed: float
    confirmed: np.ndarray
    reach: float = np.inf

    def border(self, threshold: float, most: int = 12) -> tuple[np.ndarray, np.ndarray]:
        """Pairs just within the threshold (A, 2) and just beyond it (B, 2), nearest to it first.

        Confirmed pairs are examples of neither.
        """
        open_pairs = self.pairs[~self.confirmed]
        distances = self.distances[~self.confirmed]
        at = int(np.searchsorted(distances, np.float32(threshold), side="right"))
        return open_pairs[max(0, at - most) : at][::-1], open_pairs[at : at + most]


def near_pairs(
    neighbours: Neighbours,
    same: np.ndarray,
    within: float = 0.5,
    tiny: np.ndarray | None = None,
    most: int = MOST_PAIRS,
) -> NearPairs:
    """Neighbours with different pixels at a cosine distance of at most `within`.

    Parameters
    ----------
    neighbours
        Of N images.
    same
        (N,) int64, equal for images with the same pixels; of each such group the first stands for
        all.
    within
        Cosine distance.
    tiny
        (N, S, S, 3) uint8 tiny copies, which confirm pairs of the nearest neighbours.
    most
        How many links of the graph are looked at; where there are more, only the nearest ones.
    """
    first = np.full(int(same.max(initial=0)) + 1, len(same))
    np.minimum.at(first, same, np.arange(len(same)))
    speaker = first[same]
    rows = np.flatnonzero(speaker == np.arange(len(same)))
    reach = _reach_of(neighbours.distances, within, most)
    nearest, links = _links_within(neighbours, speaker, rows, reach, within)
    left, right, values, column = links
    key = np.minimum(left, right) * len(same) + np.maximum(left, right)
    order = np.lexsort((column, key, values))
    key, kept = np.unique(key[order], return_index=True)
    pairs = np.stack([key // len(same), key % len(same)], axis=1)
    values = values[order][kept]
    close = column[order][kept] < CONFIRMING
    order = np.argsort(values, kind="stable")
    pairs = pairs[order]
    values = values[order]
    confirmed = np.zeros(len(pairs), bool)
    if tiny is not None:
        confirmed[_coinciding(tiny, pairs, np.flatnonzero(close[order]))] = True
    shown = confirmed | (values <= reach)
    return NearPairs(
        pairs[shown], values[shown], same, proposed_distance(nearest), confirmed[shown], reach
    )


def _reach_of(distances: np.ndarray, within: float, most: int) -> float:
    """`within`, or the smaller distance that `most` links of the graph have."""
    if distances.size <= most:
        return within
    sample = distances[:: max(1, len(distances) // 100_000)].ravel()
    share = most / distances.size
    return float(min(within, np.quantile(sample, share)))


def _links_within(
    neighbours: Neighbours, speaker: np.ndarray, rows: np.ndarray, reach: float, within: float
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """(distance of each row's nearest image with other pixels, links as four columns).

    Links: image, neighbour, distance and place among the neighbours; those up to `reach`, and of
    the first places those up to `within`.
    """
    nearest = np.empty(len(rows), np.float32)
    parts = []
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        indices = np.asarray(neighbours.indices[part])
        distances = np.asarray(neighbours.distances[part], np.float32)
        others = speaker[np.maximum(indices, 0)]
        usable = (indices >= 0) & (others != part[:, None])
        nearest[start : start + len(part)] = np.where(usable, distances, np.inf).min(
            axis=1, initial=np.inf
        )
        limit = np.full(distances.shape[1], reach, np.float32)
        limit[:CONFIRMING] = within
        row, column = np.nonzero(usable & (distances <= limit))
        parts.append((part[row], others[row, column], distances[row, column], column))
    if not parts:
        empty = np.empty(0, np.int64)
        return nearest, (empty, empty, np.empty(0, np.float32), empty)
    return nearest, tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _coinciding(tiny: np.ndarray, pairs: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Those of the rows `asked` of `pairs` whose tiny copies coincide.

    Means of 4 x 4 pixels are compared first: they bring images nearer, never apart.
    """
    if not len(asked):
        return asked
    cells = tiny.shape[1] // 4
    coarse = np.empty((len(tiny), cells * cells * 3), np.float32)
    contrast = np.empty(len(tiny), np.float32)
    for start in range(0, len(tiny), 10_000):
        part = tiny[start : start + 10_000].astype(np.float32)
        contrast[start : start + len(part)] = part.reshape(len(part), -1).std(axis=1)
        blocks = part.reshape(len(part), cells, 4, cells, 4, 3).mean(axis=(2, 4))
        coarse[start : start + len(part)] = blocks.reshape(len(part), -1)
    possible = []
    for start in range(0, len(asked), 100_000):
        part = asked[start : start + 100_000]
        left, right = pairs[part].T
        difference = coarse[left] - coarse[right]
        distance = np.sqrt(np.einsum("nd,nd->n", difference, difference) / coarse.shape[1])
        least = np.minimum(contrast[left], contrast[right])
        possible.append(part[(least >= _LEAST_CONTRAST) & (distance <= COINCIDE * least * 1.001)])
    rows = np.concatenate(possible)
    return rows[tiny_difference(tiny, tiny, pairs[rows]) <= COINCIDE]


def tiny_difference(left: np.ndarray, right: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) float64: RMS difference of tiny copies over the lower of their standard deviations.

    left, right: (N, S, S, 3) and (M, S, S, 3) uint8. pairs: (P, 2) int64, rows of each. Images
    without contrast are infinitely apart.
    """
    out = np.empty(len(pairs))
    for start in range(0, len(pairs), 10_000):
        part = pairs[start : start + 10_000]
        a = left[part[:, 0]].reshape(len(part), -1).astype(np.float32)
        b = right[part[:, 1]].reshape(len(part), -1).astype(np.float32)
        contrast = np.minimum(a.std(axis=1), b.std(axis=1))
        difference = np.sqrt(((a - b) ** 2).mean(axis=1))
        known = contrast >= _LEAST_CONTRAST
        ratio = np.divide(difference, contrast, out=np.full(len(part), np.inf), where=known)
        out[start : start + len(part)] = ratio
    return out


def proposed_distance(nearest: np.ndarray) -> float:
    """The distance below which a nearest neighbour is suspiciously close.

    nearest: (M,) distances of images with different pixels to their nearest one. Where the set is
    spread evenly, logarithms of these distances lie around their median; near-duplicates lie in the
    lower tail.
    """
    values = nearest[np.isfinite(nearest) & (nearest > 0)]
    if len(values) < 20:
        return 0.01
    logs = np.log(values)
    middle = np.median(logs)
    upper = logs[logs >= middle] - middle  # the lower half may consist of duplicates
    deviation = 1.4826 * np.median(upper)
    return float(min(_LARGEST_PROPOSAL, np.exp(middle - _TAIL * deviation)))


def near_duplicates(pairs: NearPairs, threshold: float | None = None) -> Finding:
    """Images linked by pairs within the threshold, together with their exact copies."""
    limit = pairs.proposed if threshold is None else threshold
    close = (pairs.distances <= limit) | pairs.confirmed
    groups = linked(pairs.pairs[close], len(pairs.same), pairs.same)
    nearest = np.full(len(groups), np.inf, np.float32)
    for column in (0, 1):
        np.minimum.at(nearest, pairs.pairs[close, column], pairs.distances[close])
    by_pixels = np.full(int(pairs.same.max(initial=0)) + 1, np.inf, np.float32)
    np.minimum.at(by_pixels, pairs.same, nearest)
    nearest = by_pixels[pairs.same]
    touched = np.isfinite(nearest)
    codes = np.where(touched, groups, -1 - np.arange(len(groups)))
    made = _grouped("near_duplicates", codes, nearest)
    origin = "given" if threshold is not None else "proposed from the distances of this set"
    more = int((pairs.confirmed & (pairs.distances > limit)).sum())
    note = f"within cosine distance {limit:.4g} ({origin})"
    beyond = counted(more, "pair")
    note += f", and {beyond} beyond it whose small copies coincide" if more else ""
    if limit > pairs.reach:
        note += f"; in a set this large other pairs are compared up to {pairs.reach:.3g} only"
    note += "; exact copies of a member are included"
    return _closest_first(made, limit, note)


def _closest_first(made: Finding, threshold: float, note: str) -> Finding:
    """The groups of `made` by their smallest score."""
    if not len(made) or made.groups is None:
        return Finding(made.kind, made.positions, made.scores, made.groups, threshold, note)
    best = np.full(made.n_groups, np.inf, np.float32)
    np.minimum.at(best, made.groups, made.scores)
    rank = np.empty(made.n_groups, np.int64)
    rank[np.argsort(best, kind="stable")] = np.arange(made.n_groups)
    groups = rank[made.groups]
    order = np.lexsort((made.scores, groups))
    return Finding(
        made.kind, made.positions[order], made.scores[order], groups[order], threshold, note
    )


def linked(pairs: np.ndarray, n: int, same: np.ndarray | None = None) -> np.ndarray:
    """(N,) int64: images joined by a chain of pairs, or of equal `same`, share a number."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if same is not None:
        first = np.full(int(same.max(initial=0)) + 1, n)
        np.minimum.at(first, same, np.arange(n))
        pairs = np.concatenate([pairs, np.stack([np.arange(n), first[same]], axis=1)])
    links = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


# -- labels, and what is kept ----------------------------------------------------------------------


def label_conflicts(
    same: np.ndarray, labels: np.ndarray, near_duplicates: Finding | None
) -> Finding:
    """Groups of copies whose known labels differ: first by pixels, then near-duplicates.

    same: (N,) int64, equal for images with the same pixels. labels: (N,) int64, -1 = unknown.
    """
    groups = same.copy()
    if near_duplicates is not None and near_duplicates.groups is not None and len(near_duplicates):
        groups[near_duplicates.positions] = same.max(initial=0) + 1 + near_duplicates.groups
    known = labels >= 0
    pairs = np.unique(np.stack([groups[known], labels[known]]), axis=1)
    kinds = np.bincount(pairs[0], minlength=int(groups.max(initial=0)) + 1)
    conflicting = kinds[groups] > 1
    codes = np.where(conflicting, groups, -1 - np.arange(len(groups)))
    exact = _conflicts_exactly(same, labels)
    made = _grouped("label_conflicts", codes, kinds[groups].astype(np.float32))
    count = int(exact[made.positions].sum())
    note = f"{count:,} of them have the same pixels under different labels, the rest nearly"
    return Finding(made.kind, made.positions, made.scores, made.groups, None, note)


def _conflicts_exactly(same: np.ndarray, labels: np.ndarray) -> np.ndarray:
    known = labels >= 0
    pairs = np.unique(np.stack([same[known], labels[known]]), axis=1)
    conflicting: np.ndarray = (np.bincount(pairs[0], minlength=int(same.max(initial=0)) + 1) > 1)[
        same
    ]
    return conflicting


@dataclass(frozen=True, eq=False)
class KeepFacts:
    """What decides which image of a group is kept, (N,) each or None.

    area: pixels. modified: seconds. labels: -1 = unknown. blur: in [0, 1].
    """

    area: np.ndarray | None = None
    modified: np.ndarray | None = None
    labels: np.ndarray | None = None
    blur: np.ndarray | None = None


def surplus(finding: Finding, facts: KeepFacts, keep: str = "first") -> np.ndarray:
    """(M,) int64: all but one image of each group; every image where there are no groups.

    keep: one of KEEP_RULES. Ties keep the image that comes first in the source.

    Raises
    ------
    BadInput
        For an unknown rule, or one whose facts this source lacks.
    """
    if finding.groups is None or not len(finding):
        return np.sort(finding.positions)
    key = _keep_key(facts, keep, len(finding.positions), finding.positions)
    order = np.lexsort((finding.positions, key, finding.groups))
    groups = finding.groups[order]
    first = np.r_[True, np.diff(groups) != 0]
    return np.sort(finding.positions[order[~first]])


def _keep_key(facts: KeepFacts, keep: str, count: int, positions: np.ndarray) -> np.ndarray:
    """(M,) float64, smallest = kept."""
    if keep not in KEEP_RULES:
        raise BadInput(f"keep={keep!r} is not supported; choose one of {', '.join(KEEP_RULES)}.")
    if keep == "first":
        return np.zeros(count)
    named = dict(
        largest=facts.area, oldest=facts.modified, labelled=facts.labels, quality=facts.blur
    )
    values = named[keep]
    if values is None:
        raise BadInput(
            f"keep={keep!r} needs information this source lacks ("
            f"{'file times' if keep == 'oldest' else 'labels or pixels'}); use keep='first'."
        )
    values = np.asarray(values, np.float64)[positions]
    if keep == "largest":
        return -values
    if keep == "labelled":
        return np.where(values >= 0, 0.0, 1.0)
    if keep == "quality" and facts.area is not None:
        # the sharpest; of equally sharp ones the largest
        area = np.asarray(facts.area, np.float64)[positions]
        return np.round(values, 3) - area / (area.max() + 1) * 1e-4
    return values
