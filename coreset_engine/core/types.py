"""The records that pass between packages: frozen, validated where cheap, look-up only.

N images, D embedding dimensions, k kept, E epochs, C clusters. Arrays are never changed after
construction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.forecast import Forecast

if TYPE_CHECKING:
    from PIL import Image

# progress(done, total, unit): called often; raises Cancelled when the user asked to stop.
Progress = Callable[[int, int, str], None]


def silent(done: int, total: int, unit: str = "") -> None:
    """The progress callback for callers that want none."""


@dataclass(frozen=True)
class Rejected:
    """An input skipped, never fatal: what it was called and one sentence on why.

    count: how many files it stands for ("*.txt (12)" stands for 12), 0 for a remark on a column.
    """

    name: str
    reason: str
    count: int = 1


@dataclass(frozen=True)
class Note:
    """What was assumed or lost when a source was opened, and how to change it; one sentence.

    topic: "labels", "splits", "order", "decoding", "duplicates" or "vectors". examples: ids.
    confirm: the user should say yes before anything is made of it.
    """

    topic: str
    text: str
    examples: tuple[str, ...] = ()
    confirm: bool = False


@dataclass(frozen=True, eq=False)
class Dataset:
    """N usable images in source order.

    `spec` is enough for another process to open the same source again.

    ids: (N,) str, unique. labels: (N,) int64 in [0, len(classes)), -1 = unknown, or None when the
        source has none.
    paths: (N,) str or None when images are not single files. columns: name -> (N,) metadata.
    vectors: (N, D) float, only for sources that are embeddings already. fingerprint: hash of ids
        and content.
    digests: (N,) ascii bytes, the digest of each picture's file, or None when it is not known.
    fit: how a picture becomes a square for an encoder: "auto", "crop", "pad" or "squash".
    notes: what was assumed or lost when the source was opened.
    """

    spec: str
    ids: np.ndarray
    fingerprint: str
    reader: Callable[[int], Image.Image] | None = None
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    paths: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    vectors: np.ndarray | None = None
    rejected: tuple[Rejected, ...] = ()
    test_spec: str | None = None
    digests: np.ndarray | None = None
    fit: str = "auto"
    notes: tuple[Note, ...] = ()
    reopenable: bool = True  # whether opening `spec` gives these images again, in any process

    def __post_init__(self) -> None:
        if len(self.ids) == 0:
            raise BadInput(f"{self.spec!r} holds no usable image; give a source with at least one.")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_rejected(self) -> int:
        """How many files were skipped; an entry of `rejected` may stand for many."""
        return sum(one.count for one in self.rejected)

    def image(self, i: int) -> Image.Image:
        """Image i, decoded, RGB."""
        if self.reader is None:
            raise Missing(
                f"{self.spec!r} has vectors but no images; open it with images=FOLDER to see them."
            )
        return self.reader(int(i))

    def images(self, begin: int, end: int) -> Iterator[Image.Image]:
        """Yield images begin .. end - 1, decoded one by one.

        A reader with a `slice` fetches their bytes together.
        """
        together = getattr(self.reader, "slice", None)
        return together(begin, end) if together else (self.image(i) for i in range(begin, end))

    def take(self, positions: np.ndarray, fingerprint: str = "") -> Dataset:
        """The images at `positions` as a dataset of its own, which no other process can open.

        Parameters
        ----------
        positions
            (M,) int64, 0 <= position < N, in the order wanted.
        fingerprint
            What the part is known by; "" makes one from the whole's and the positions.

        Returns
        -------
        Dataset
            Not reopenable, without a test split and rejected inputs, which belong to the whole.
        """
        rows = np.asarray(positions, np.int64)

        def part(values: Any) -> Any:
            if values is None or hasattr(values, "shape"):
                return None if values is None else values[rows]
            return np.asarray(values)[rows]

        return replace(
            self,
            ids=self.ids[rows],
            fingerprint=fingerprint or _part_fingerprint(self.fingerprint, rows),
            reader=_reader_of(self.reader, rows),
            labels=part(self.labels),
            paths=part(self.paths),
            columns={name: part(column) for name, column in self.columns.items()},
            vectors=part(self.vectors),
            digests=part(self.digests),
            rejected=(),
            test_spec=None,
            reopenable=False,
        )


def _part_fingerprint(full: str, rows: np.ndarray) -> str:
    return hashlib.sha256(f"take {full} ".encode() + rows.tobytes()).hexdigest()


def _reader_of(reader: Any, rows: np.ndarray) -> Callable[[int], Image.Image] | None:
    """`reader` of the images at `rows`; one that fetches slices still does."""
    if reader is None:
        return None
    together = getattr(reader, "take", None)
    return together(rows) if together else (lambda i: reader(int(rows[i])))


@dataclass(frozen=True, eq=False)
class Embeddings:
    """vectors: (N, D) float32 or float16, often a read-only memmap. key: the artefact's key."""

    vectors: np.ndarray
    ids: np.ndarray
    key: str
    encoder: str


@dataclass(frozen=True, eq=False)
class Neighbours:
    """indices: (N, k) int64, self excluded, nearest first. distances: (N, k) float32 >= 0.

    info: how they were found, and `recall` (measured on a sample, 1.0 when exact). JSON-able.
    """

    indices: np.ndarray
    distances: np.ndarray
    metric: str = "cosine"
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """labels: (N,) int64 in [0, n_clusters); confidence: (N,) float32 in [0, 1]; info: JSON-able.

    probabilities: (N, C) float32 or None. agreement: (N,) float32, share of heads that agree, or
        None.
    """

    labels: np.ndarray
    confidence: np.ndarray
    n_clusters: int
    probabilities: np.ndarray | None = None
    agreement: np.ndarray | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Scores of each image over a training run, all (N,).

    Directions: high aum = easy; all others high = hard.

    aum: float32, mean margin (Pleiss 2020). forgetting: float32, right -> wrong events; never
    learned = +inf (Toneva 2019). el2n, entropy, loss, grand, dyn_unc, tdds: float32. margins: (N,
    E) float16 trajectory. dual: float32, DUAL's score; mean_probability: float32, mean probability
    of the label over the epochs DUAL looks at (Cho et al. 2025); both None where not recorded.
    info: proxy, epochs, final accuracy on its own labels, ... JSON-able.
    """

    aum: np.ndarray
    forgetting: np.ndarray
    el2n: np.ndarray
    entropy: np.ndarray
    loss: np.ndarray
    grand: np.ndarray
    dyn_unc: np.ndarray
    tdds: np.ndarray
    margins: np.ndarray
    info: Mapping[str, Any] = field(default_factory=dict)
    dual: np.ndarray | None = None
    mean_probability: np.ndarray | None = None


STABLE = 0.9  # Jaccard index of two seeds' coresets below which it is said that they differ


@dataclass(frozen=True, eq=False)
class CoverageScores:
    """score = coverage - redundancy (BlindCS eq. 9), each (N,) float64, sums over n_samples.

    info: JSON-able; n_samples, n_neighbours (alpha), agreement (Jaccard index expected between the
    coresets of two seeds, by pruning rate), and how they came about.
    """

    score: np.ndarray
    coverage: np.ndarray
    redundancy: np.ndarray
    n_samples: int
    info: Mapping[str, Any] = field(default_factory=dict)

    def agreement(self, prune_rate: float) -> tuple[float, float] | None:
        """(pruning rate, expected Jaccard index of two seeds) at the nearest measured rate.

        None where nothing was measured.
        """
        return _nearest_agreement(self.info.get("agreement") or {}, prune_rate)

    def describe(self, prune_rate: float) -> str:
        """T, alpha and the agreement of two seeds, in one sentence without a full stop."""
        return describe_samples(self.n_samples, self.info, prune_rate)


def _nearest_agreement(measured: Mapping[str, float], rate: float) -> tuple[float, float] | None:
    """(pruning rate, Jaccard index) at the measured rate nearest to `rate`; None without any."""
    if not measured:
        return None
    nearest = min(measured, key=lambda at: abs(float(at) - rate))
    return float(nearest), float(measured[nearest])


def describe_samples(n_samples: int, about: Mapping[str, Any], prune_rate: float) -> str:
    """T, alpha and the agreement of two seeds, in one sentence without a full stop.

    Parameters
    ----------
    n_samples : int
        T.
    about : mapping
        n_neighbours (alpha); agreement, the Jaccard index of two seeds by pruning rate; auto, where
        alpha was chosen by N.
    prune_rate : float
        The agreement is that of the nearest measured rate.
    """
    settings = f"T = {n_samples:,} samples, alpha = {about.get('n_neighbours', '?')}"
    if about.get("auto"):
        return f"{settings} (automatic: every seed draws another order)"
    agreement = _nearest_agreement(about.get("agreement") or {}, prune_rate)
    if agreement is None:
        return f"{settings}, agreement of two seeds not measured"
    rate, jaccard = agreement
    words = "about" if jaccard >= 0.74 else "at least"  # see coverage.anytime.seed_agreement
    text = f"{settings}, {words} {jaccard:.2f} Jaccard between two seeds at {rate:.0%} pruned"
    return text if jaccard >= STABLE else f"{text}: another seed keeps other images"


def describe_selected_samples(info: Mapping[str, Any], prune_rate: float) -> str:
    """`describe_samples` of a selection's `info`; "" where no coverage score decided it."""
    if "seed_agreement" not in info:
        return ""
    about = dict(
        n_neighbours=info.get("n_neighbours"),
        agreement=info["seed_agreement"],
        auto=info.get("auto_neighbours", False),
    )
    return describe_samples(int(info["n_samples"]), about, prune_rate)


Scores = TypeVar("Scores", PseudoLabels, Dynamics, CoverageScores)


def scores_at(scores: Scores, rows: np.ndarray) -> Scores:
    """The same record for the images at `rows` (M,) alone.

    Every (N, ...) array is taken at these rows, all else stays.
    """
    taken: dict[str, Any] = {
        part.name: np.asarray(getattr(scores, part.name)[rows])
        for part in fields(scores)
        if isinstance(getattr(scores, part.name), np.ndarray)
    }
    return replace(scores, **taken)


@dataclass(frozen=True, eq=False)
class Ranking:
    """What a selection method returns.

    order: (M,) int64 distinct positions, first = kept first, M >= k.

    scores: (N,) float64, high = kept first where the method has a score, else minus the place in
    `order` (unplaced images: -inf). nested: True when the first k' of `order` are the choice for
    every k' <= M, so that a slider needs no new call. weights: (N,) loss weights >= 0 or None (=
    all 1). info: what was settled on the way (beta, a reason in words), JSON-able. columns: name ->
    (N,) float64 that explain the order image by image, such as the terms of a sum. nested_from: of
    an order that is not nested, the smallest k' from which on it is; None = only k itself.
    """

    order: np.ndarray
    scores: np.ndarray
    nested: bool = True
    weights: np.ndarray | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    nested_from: int | None = None

    def serves(self, k: int) -> bool:
        """Whether the first k of `order` are the choice of k images."""
        least = 0 if self.nested else self.nested_from
        return least is not None and least <= k <= len(self.order)


@dataclass(frozen=True, eq=False)
class Selection:
    """A coreset: ids + weights + the key of its source.

    Validated here, so that no bad one can exist.

    ids: (k,) str, best first. indices: (k,) int64 positions in the source. weights: (k,) float64 >=
        0.
    scores: (N,) float64. method, params: what made it. source_key: Dataset.fingerprint. columns:
        name -> (N,) float64 that explain the choice image by image.
    """

    ids: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    scores: np.ndarray
    method: str
    params: Mapping[str, Any]
    source_key: str
    info: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        k = len(self.ids)
        if len(self.indices) != k or len(self.weights) != k:
            raise BadInput(
                f"a selection of {k} ids needs {k} indices and weights, got "
                f"{len(self.indices)} and {len(self.weights)}."
            )
        if len(np.unique(self.indices)) != k:
            raise BadInput(
                f"a selection may hold each image once; {k - len(np.unique(self.indices))} repeat."
            )
        if k and (self.indices.min() < 0 or self.indices.max() >= len(self.scores)):
            raise BadInput(
                f"a selection index lies outside the source's {len(self.scores)} images."
            )
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all()):
            raise BadInput("selection weights must be finite and >= 0.")

    def __len__(self) -> int:
        return len(self.ids)


class Artefacts(Protocol):
    """What a selection method may read; `pipeline.run.Run` computes it on first use.

    A property raises Missing with the command that makes it when the artefact cannot exist (no true
    labels, ...). `coverage_at` and `dynamics_at` take the fields of CoverageConfig and
    DynamicsConfig.
    """

    dataset: Dataset

    @property
    def seed(self) -> int: ...
    @property
    def vectors(self) -> np.ndarray: ...
    @property
    def neighbours(self) -> Neighbours: ...
    @property
    def pseudo_labels(self) -> PseudoLabels: ...
    @property
    def labels(self) -> np.ndarray: ...
    @property
    def dynamics(self) -> Dynamics: ...
    @property
    def coverage(self) -> CoverageScores: ...
    def coverage_at(self, **params: Any) -> CoverageScores: ...
    def dynamics_at(self, *, labels: str = "pseudo", **params: Any) -> Dynamics: ...
    def forecast_at(
        self,
        prune_rate: float,
        methods: Iterable[Any] | None = None,
        within: np.ndarray | None = None,
    ) -> Forecast: ...
