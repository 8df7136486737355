"""Two runs side by side: images that occur in both (leakage), and regions that one of them lacks.

Leakage is detected by bytes, by pixels, and nearly: by embeddings within the threshold of
near-duplicates of the first set, or by tiny copies that coincide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.findings import copies
from coreset_engine.findings.comparison import (
    Regions,
    TwoSample,
    cross_neighbours,
    regions,
    two_sample,
)
from coreset_engine.pipeline import exclusions
from coreset_engine.pipeline.image_statistics_stage import image_statistics
from coreset_engine.pipeline.run import Run

KINDS = ("bytes", "pixels", "near")
FEWEST = 8  # images a side from which regions and the two-sample test are computed


@dataclass(frozen=True, eq=False)
class Leakage:
    """Images of B that occur in A.

    positions_b, positions_a: (L,) int64, pairs, most certain first. kinds: (L,) str, of KINDS.
    distances: (L,) float32, cosine; 0 for bytes and pixels. threshold: of near. n: images in B.
    """

    positions_b: np.ndarray
    positions_a: np.ndarray
    kinds: np.ndarray
    distances: np.ndarray
    threshold: float
    n: int

    def __len__(self) -> int:
        return len(self.positions_b)

    def counts(self) -> dict[str, int]:
        """Kind -> number of images of B."""
        return {kind: int((self.kinds == kind).sum()) for kind in KINDS}

    def sentence(self) -> str:
        """For example "41 of 500 images occur in both: 20 by bytes, ..."."""
        counts = self.counts()
        words = (
            f"{counts['bytes']:,} by bytes, {counts['pixels']:,} by pixels, {counts['near']:,} "
            "nearly"
        )
        occur = "occurs" if len(self) == 1 else "occur"
        images = counted(self.n, "image")
        return f"{len(self):,} of {images} {occur} in the other set too: {words}."


@dataclass(frozen=True, eq=False)
class SourceComparison:
    """What `compare_sources` found of A and B.

    ids_a, ids_b: (N,), (M,) str. leakage: images of B in A. leakage_of_a: images of A in B, so with
    the sides exchanged. regions, test: None where the sets are too small. warnings: sentences.
    """

    source_a: str
    source_b: str
    ids_a: np.ndarray
    ids_b: np.ndarray
    leakage: Leakage
    leakage_of_a: Leakage
    regions: Regions | None = None
    test: TwoSample | None = None
    warnings: tuple[str, ...] = field(default=())

    def leaked_ids(self) -> list[str]:
        """Ids of B that occur in A."""
        return [str(key) for key in self.ids_b[self.leakage.positions_b]]

    def leaked_ids_of_a(self, kinds: Sequence[str] = KINDS) -> list[str]:
        """Ids of A that occur in B by one of these kinds."""
        leaks = self.leakage_of_a
        chosen = leaks.positions_b[np.isin(leaks.kinds, kinds)]
        return [str(key) for key in self.ids_a[chosen]]

    def to_record(self, examples: int = 100) -> dict[str, Any]:
        """Plain values; at most `examples` pairs (0 = all)."""
        leak = self.leakage
        shown = slice(0, examples or len(leak))
        pairs = zip(
            leak.positions_b[shown], leak.positions_a[shown], leak.kinds[shown], leak.distances
        )
        record: dict[str, Any] = dict(
            a=self.source_a,
            b=self.source_b,
            images_a=len(self.ids_a),
            images_b=len(self.ids_b),
            leakage=dict(
                count=len(leak),
                **leak.counts(),
                images_of_a=len(self.leakage_of_a),
                threshold=leak.threshold,
                pairs=[
                    dict(b=str(self.ids_b[b]), a=str(self.ids_a[a]), kind=str(k), distance=float(d))
                    for b, a, k, d in pairs
                ],
            ),
            warnings=list(self.warnings),
        )
        if self.regions is not None:
            record["regions"] = self._regions(self.regions)
        if self.test is not None:
            record["two_sample"] = vars(self.test) | dict(sentence=self.test.sentence())
        return record

    def _regions(self, made: Regions) -> list[dict[str, Any]]:
        rows = []
        for cluster in np.argsort(-made.ratio, kind="stable"):
            in_a = self.ids_a[made.label_a == cluster][:5]
            in_b = self.ids_b[made.label_b == cluster][:5]
            rows.append(
                dict(
                    cluster=int(cluster),
                    share_a=float(made.share_a[cluster]),
                    share_b=float(made.share_b[cluster]),
                    p=float(made.p_values[cluster]),
                    examples_a=list(map(str, in_a)),
                    examples_b=list(map(str, in_b)),
                )
            )
        return rows


def compare_sources(
    run_a: Run,
    run_b: Run,
    *,
    near_duplicates: float | None = None,
    n_clusters: int = 20,
    embed: bool = True,
) -> SourceComparison:
    """What two sets share, and where they differ.

    Parameters
    ----------
    run_a, run_b
        Runs with the same encoder, for example of train and test.
    near_duplicates
        Cosine distance up to which two images nearly coincide; None proposes one from A.
    n_clusters
        Regions that both sets together are divided into.
    embed
        False compares bytes and pixels only.

    Returns
    -------
    SourceComparison
        Leakage, regions that one of the two lacks, and a two-sample test.

    Raises
    ------
    BadInput
        When the runs have different encoders, or vectors of different width.
    """
    if not embed:
        return _comparison(run_a, run_b, None, None, None)
    _check(run_a, run_b)
    limit = _limit(run_a, near_duplicates)
    few = min(len(run_a.dataset), len(run_b.dataset)) < FEWEST
    if few:
        return _comparison(run_a, run_b, limit, None, None)
    shared_regions = regions(run_a.vectors, run_b.vectors, n_clusters, run_a.seed)
    tested = two_sample(run_a.vectors, run_b.vectors, run_a.seed)
    return _comparison(run_a, run_b, limit, shared_regions, tested)


def _comparison(
    run_a: Run,
    run_b: Run,
    limit: float | None,
    shared_regions: Regions | None,
    tested: TwoSample | None,
) -> SourceComparison:
    return SourceComparison(
        run_a.dataset.spec,
        run_b.dataset.spec,
        run_a.dataset.ids,
        run_b.dataset.ids,
        _leakage(run_a, run_b, limit),
        _leakage(run_b, run_a, limit),
        shared_regions,
        tested,
        warnings_of(run_a, run_b, shared_regions),
    )


def warnings_of(run_a: Run, run_b: Run, shared_regions: Regions | None) -> tuple[str, ...]:
    """What to beware of, one sentence each."""
    warnings = []
    if shared_regions is None:
        warnings.append(
            f"regions and the two-sample test were skipped: they need embeddings and at least "
            f"{FEWEST} images in each set."
        )
    if run_a.dataset.fingerprint == run_b.dataset.fingerprint:
        warnings.append("both sources hold the same images; give two different ones.")
    return tuple(warnings)


def exclude_leaks(
    run_a: Run, comparison: SourceComparison, kinds: Sequence[str] = KINDS
) -> dict[str, int]:
    """Exclude from every selection of A the images that occur in B.

    Parameters
    ----------
    run_a
        The first run that `compare_sources` was given.
    comparison
        Its answer.
    kinds
        Which leaks: of bytes, pixels, near.

    Returns
    -------
    dict
        leakage: number of images newly excluded.

    Raises
    ------
    BadInput
        For another kind, or where no image of A would be left.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise BadInput(f"kind {unknown[0]!r} is not known; choose of {', '.join(KINDS)}.")
    ids = comparison.leaked_ids_of_a(kinds)
    left = len(comparison.ids_a) - len(set(ids) | set(run_a.excluded_ids))
    if not left:
        raise BadInput(
            f"every image of {comparison.source_a!r} occurs in {comparison.source_b!r} or is "
            "excluded, so "
            "none would be left; give another source to compare with."
        )
    count = exclusions.exclude(run_a.dataset.fingerprint, ids, run_a.store.home, reason="leakage")
    return dict(leakage=count)


def _check(run_a: Run, run_b: Run) -> None:
    """Refuse before anything is embedded what cannot be compared."""
    vectors_a = run_a.dataset.vectors is not None
    vectors_b = run_b.dataset.vectors is not None
    names = ["the source's own vectors" if vectors_a else repr(run_a.encoder)]
    names.append("the source's own vectors" if vectors_b else repr(run_b.encoder))
    same = run_a.weights == run_b.weights or vectors_a
    if vectors_a != vectors_b or (not vectors_a and (run_a.encoder != run_b.encoder or not same)):
        raise BadInput(
            f"the first source is embedded by {names[0]} and the second by {names[1]}, whose "
            "distances are not comparable; embed both with the same encoder (--encoder)."
        )
    width_a = run_a.vectors.shape[1]
    width_b = run_b.vectors.shape[1]
    if width_a != width_b:
        raise BadInput(
            f"the vectors of the two sources have {width_a} and {width_b} dimensions; give vectors "
            "of the same encoder."
        )


def _limit(run_a: Run, threshold: float | None) -> float:
    if threshold is not None:
        if not 0 <= threshold <= 2:
            raise BadInput(
                f"near_duplicates={threshold} must lie between 0 and 2, for example 0.01."
            )
        return threshold
    pixels = _pixels(run_a)
    same = copies.codes_of(pixels) if pixels is not None else np.arange(len(run_a.dataset))
    return copies.near_pairs(run_a.neighbours, same).proposed


def _pixels(run: Run) -> np.ndarray | None:
    return None if run.dataset.reader is None else image_statistics(run).pixels


def _leakage(run_a: Run, run_b: Run, limit: float | None) -> Leakage:
    """Each image of B once, by the surest kind. limit: None leaves out near."""
    m = len(run_b.dataset)
    partner = np.full(m, -1, np.int64)
    kinds = np.full(m, "", "U6")
    distances = np.zeros(m, np.float32)
    by_kind = (
        ("bytes", run_a.dataset.digests, run_b.dataset.digests),
        ("pixels", _pixels(run_a), _pixels(run_b)),
    )
    for kind, left, right in by_kind:
        if left is None or right is None:
            continue
        at = _same(np.asarray(left), np.asarray(right))
        fresh = (partner < 0) & (at >= 0)
        partner[fresh] = at[fresh]
        kinds[fresh] = kind
    if limit is not None:
        at, distance = _nearly_the_same(run_a, run_b, limit)
        fresh = (partner < 0) & (at >= 0)
        partner[fresh] = at[fresh]
        kinds[fresh] = "near"
        distances[fresh] = distance[fresh]
    leaked = np.flatnonzero(partner >= 0)
    rank = np.array([KINDS.index(kind) for kind in kinds[leaked]], np.int64)
    leaked = leaked[np.lexsort((leaked, distances[leaked], rank))]
    return Leakage(leaked, partner[leaked], kinds[leaked], distances[leaked], limit or 0.0, m)


def _nearly_the_same(run_a: Run, run_b: Run, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """((M,) int64 image of A nearly the same as each of B, -1 where none, and its distance).

    The nearest one within the limit, else the nearest of the few nearest whose tiny copy coincides.
    """
    tick = run_a.tick("comparison")
    neighbours = cross_neighbours(run_a.vectors, run_b.vectors, tick, copies.CONFIRMING)
    close = _coincide(run_a, run_b, neighbours.nearest)
    close[:, 0] |= neighbours.distances[:, 0] <= limit
    first = close.argmax(axis=1)
    rows = np.arange(len(close))
    at = np.where(close.any(axis=1), neighbours.nearest[rows, first], -1)
    return at, neighbours.distances[rows, first]


def _coincide(run_a: Run, run_b: Run, nearest: np.ndarray) -> np.ndarray:
    """(M, k) bool: the tiny copies of an image of B and of each of its nearest of A coincide."""
    if run_a.dataset.reader is None or run_b.dataset.reader is None:
        return np.zeros(nearest.shape, bool)
    rows = np.repeat(np.arange(len(nearest)), nearest.shape[1])
    pairs = np.stack([nearest.ravel(), rows], axis=1)
    left = image_statistics(run_a).tiny
    right = image_statistics(run_b).tiny
    difference = copies.tiny_difference(left, right, pairs).reshape(nearest.shape)
    close: np.ndarray = difference <= copies.COINCIDE
    return close


def _same(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(M,) int64: for each value of `right` a row of `left` with the same, -1 where none."""
    order = np.argsort(left, kind="stable")
    at = np.minimum(np.searchsorted(left, right, sorter=order), len(left) - 1)
    hit = (left[order[at]] == right) & (right != right.dtype.type())
    return np.where(hit, order[at], -1)
