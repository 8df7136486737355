"""The value of the labels so far.

Estimated accuracy after each round, the curve of random beside it, and whether more labels are
expected to pay.

The judge is a ridge classifier on the vectors, always on images it was not trained on. Images that
a method chose are not a fair sample, so the judged images are those of the pilot (round 0, random)
where enough of it is labelled. What random labels in the same number would have reached is not
known; it is estimated from surrogate tasks: clusters of the vectors at several numbers, learned
from the labelled images and from random ones alike.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.artifacts import label_log
from coreset_engine.artifacts.store import digest
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.evaluation.learning_curve import Gain, expected_gain, wilson
from coreset_engine.evaluation.probe import principal
from coreset_engine.pipeline.run import Run
from coreset_engine.training.ridge import fit_ridge, folds_of, one_hot

VERSION = 1
FOLDS = 5
FEWEST = 20  # labelled images below which nothing is estimated
FAIR = 30  # labelled pilot images from which on they alone are judged
CONFIDENCE = 0.9
SHARES = (0.25, 0.4, 0.6, 0.8, 1.0)  # of the labels, for the learning curve
REPEATS = 4
REDUCED_FROM = 1000  # labelled images from which on the judge sees principal components
SURROGATES = (10, 20, 40)
SAMPLE = 3000  # images that stand for the pool in the surrogate tasks
DRAWS = 8


@dataclass(frozen=True)
class RoundPoint:
    """One round: labels so far, and the accuracy of a model trained on them, as shares.

    random is the estimate for as many random labels; None where it cannot be made.
    """

    round: int
    labels: int
    accuracy: float
    low: float
    high: float
    random: float | None = None
    random_low: float | None = None
    random_high: float | None = None


@dataclass(frozen=True)
class RoundEstimate:
    """The curve over rounds and the outlook.

    Attributes
    ----------
    points : tuple of RoundPoint
        Oldest round first.
    judged : int
        Images judged.
    fair : bool
        Whether these are a random sample (the pilot), not images that a method chose.
    next_count : int
        Labels that `gain` is about.
    gain : Gain
        Expected difference in accuracy by the next labels.
    threshold : float
        Gain below which labelling is advised to stop.
    """

    points: tuple[RoundPoint, ...]
    judged: int
    fair: bool
    next_count: int
    gain: Gain
    threshold: float

    @property
    def advice(self) -> str:
        """ "stop", "undecided" or "go on".

        Undecided: the expected gain is below the threshold and the interval reaches above it.
        """
        if self.gain.high < self.threshold:
            return "stop"
        return "undecided" if self.gain.mean < self.threshold else "go on"

    @property
    def sentence(self) -> str:
        """All of it as text."""
        last = self.points[-1]
        judged = (
            "images of the random pilot"
            if self.fair
            else ("labelled images that a method chose, so the estimate is rough")
        )
        text = (
            f"A linear model trained on the {last.labels:,} labels has an accuracy of about "
            f"{last.accuracy:.1%} (90% interval {last.low:.1%} to {last.high:.1%}, judged on "
            f"{self.judged:,} {judged})."
        )
        if last.random is not None:
            text += f" As many random labels: about {last.random:.1%}."
        return f"{text} {self.outlook}"

    @property
    def outlook(self) -> str:
        """The expected gain and the advice, in one sentence."""
        gain = self.gain
        text = (
            f"The next {self.next_count:,} labels are expected to bring {100 * gain.mean:.1f} "
            f"points ({100 * gain.low:.1f} to {100 * gain.high:.1f})"
        )
        bar = f"{100 * self.threshold:g} points"
        return {
            "stop": f"{text}, less than {bar}: further labelling is not worth it.",
            "undecided": f"{text}: probably less than {bar}; one more round would settle it.",
            "go on": f"{text}: continue labelling.",
        }[self.advice]

    def as_json(self) -> dict[str, Any]:
        """Plain values, as `from_json` reads them back."""
        return dataclasses.asdict(self) | dict(advice=self.advice, sentence=self.sentence)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RoundEstimate:
        """The record that `as_json` wrote."""
        own = {field.name: value[field.name] for field in dataclasses.fields(cls)}
        own["points"] = tuple(RoundPoint(**point) for point in own["points"])
        return cls(**own | dict(gain=Gain(**own["gain"])))


def estimate_rounds(
    run: Run, *, next_count: int = 200, threshold: float = 0.01, progress: Progress = silent
) -> RoundEstimate:
    """Estimate accuracy after each round from the labels kept in the run's workspace.

    Parameters
    ----------
    run
        Its vectors are read; the result is kept in the store.
    next_count : int
        Further labels that the outlook is about.
    threshold : float
        Gain in accuracy, as a share, below which stopping is advised.
    progress
        Unit "fits".

    Returns
    -------
    RoundEstimate
        Accuracy in [0, 1] after each round, the gain of further labels, and the advice.

    Raises
    ------
    BadInput
        With fewer than FEWEST labelled images, or one class only.
    """
    state = label_log.read(run.dataset.fingerprint, run.store.home)
    key = digest(
        [
            VERSION,
            run.key_of("embeddings"),
            sorted(state.labels.items()),
            state.rounds,
            next_count,
            threshold,
        ]
    )

    def work() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {}, _estimated(run, state, next_count, threshold, progress).as_json()

    info = run.store.get("round_estimate", key, work, about=run.about())[1]
    return RoundEstimate.from_json(info)


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Labelled images of a run.

    (n,) positions, codes, rounds (-1 = from elsewhere), folds; (n, D) inputs; judged: (J,)
    positions among them.
    """

    rows: np.ndarray
    codes: np.ndarray
    rounds: np.ndarray
    fold: np.ndarray
    inputs: np.ndarray
    judged: np.ndarray
    fair: bool

    @property
    def n_classes(self) -> int:
        return int(self.codes.max()) + 1


def _labelled(run: Run, state: label_log.LabelState) -> _Labelled:
    number = state.round_of
    labelled = [
        (i, state.labels[key], number.get(key, -1))
        for i, key in enumerate(map(str, run.dataset.ids))
        if key in state.labels
    ]
    names = [name for _, name, _ in labelled]
    if len(labelled) < FEWEST or len(set(names)) < 2:
        raise BadInput(
            f"{len(labelled)} labelled images in {len(set(names))} classes are too few to estimate "
            "an "
            f"accuracy; label at least {FEWEST} images of two classes."
        )
    rows = np.array([i for i, _, _ in labelled], np.int64)
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    rounds = np.array([r for _, _, r in labelled], np.int64)
    pilot = np.flatnonzero(rounds == 0)
    fair = len(pilot) >= FAIR
    inputs = _inputs(np.asarray(run.vectors[rows], np.float32), len(rows))
    fold = folds_of(codes, run.tie_keys[rows], FOLDS)
    return _Labelled(
        rows, codes, rounds, fold, inputs, pilot if fair else np.arange(len(rows)), fair
    )


def _inputs(vectors: np.ndarray, n: int) -> np.ndarray:
    if n > REDUCED_FROM:
        return principal(vectors)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _estimated(
    run: Run,
    state: label_log.LabelState,
    next_count: int,
    threshold: float,
    progress: Progress,
) -> RoundEstimate:
    data = _labelled(run, state)
    right, sizes = _curve_measurements(data, run.seed, progress)
    gain = expected_gain(sizes, right, len(data.rows), next_count, confidence=CONFIDENCE)
    last = max(int(data.rounds.max()), 0)
    numbers = [r for r in range(last + 1) if (data.rounds == r).any()] or [0]
    members = [np.flatnonzero(data.rounds <= r) for r in numbers]
    gaps = _random_gaps(run, data, members)
    points = [
        _point(data, r, among, gap)
        for r, among, gap in zip(numbers, members, gaps, strict=True)
        if len(among) >= FOLDS
    ]
    return RoundEstimate(tuple(points), len(data.judged), data.fair, next_count, gain, threshold)


def _point(
    data: _Labelled, number: int, among: np.ndarray, gap: tuple[float, float] | None
) -> RoundPoint:
    """A round's accuracy; gap: (mean, half width) of its difference to random."""
    right = judged_right(data, among)
    accuracy = float(right.mean())
    low, high = wilson(int(right.sum()), len(right), CONFIDENCE)
    point = RoundPoint(number, len(among), accuracy, low, high)
    if gap is None:
        return point
    mean, half = gap
    edges = np.clip([accuracy - mean, accuracy - mean - half, accuracy - mean + half], 0, 1)
    return dataclasses.replace(
        point, random=float(edges[0]), random_low=float(edges[1]), random_high=float(edges[2])
    )


def judged_right(data: _Labelled, among: np.ndarray) -> np.ndarray:
    """(J,) bool: judged images classified correctly by models trained without their own fold."""
    right = np.zeros(len(data.judged), bool)
    member = np.zeros(len(data.rows), bool)
    member[among] = True
    for number in range(FOLDS):
        held = np.flatnonzero(data.fold[data.judged] == number)
        train = np.flatnonzero(member & (data.fold != number))
        if not len(held) or not len(train):
            continue
        model = fit_ridge(data.inputs[train], one_hot(data.codes[train], data.n_classes))
        positions = data.judged[held]
        right[held] = model.outputs(data.inputs[positions]).argmax(axis=1) == data.codes[positions]
    return right


def _curve_measurements(
    data: _Labelled, seed: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """(S, R, J) bool and (S,) sizes: models trained on random parts of the labels."""
    n = len(data.rows)
    sizes = np.unique([max(FOLDS, round(share * n)) for share in SHARES])
    rng = np.random.default_rng([seed, n])
    right = np.empty((len(sizes), REPEATS, len(data.judged)), bool)
    done = 0
    for repeat in range(REPEATS):
        order = rng.permutation(n)
        for at, size in enumerate(sizes):
            right[at, repeat] = judged_right(data, order[:size])
            done += 1
            progress(done, REPEATS * len(sizes), "fits")
    return right, sizes


def _random_gaps(
    run: Run, data: _Labelled, members: list[np.ndarray]
) -> list[tuple[float, float] | None]:
    """(mean, half width) of the gain over random labels for each round, on surrogate tasks.

    None where too few images are left to judge.
    """
    rng = np.random.default_rng([run.seed, len(run.dataset)])
    n = len(run.dataset)
    rest = np.setdiff1d(np.arange(n), data.rows, assume_unique=True)
    if len(rest) < 100:
        return [None] * len(members)
    sample = np.sort(rng.permutation(rest)[: min(SAMPLE, len(rest))])
    judge = sample[rng.permutation(len(sample))[: len(sample) // 3]]
    pool = np.union1d(data.rows, np.setdiff1d(sample, judge))
    rows = np.concatenate([pool, judge])
    vectors = _inputs(np.asarray(run.vectors[rows], np.float32), REDUCED_FROM + 1)
    tasks = _surrogates(vectors, run.seed)
    position_of = {row: at for at, row in enumerate(rows.tolist())}
    ours = np.array([position_of[row] for row in data.rows.tolist()])
    judged = np.arange(len(pool), len(rows))
    weights = _pool_weights(len(pool), ours, n, len(data.rows))
    gaps: list[tuple[float, float] | None] = []
    for among in members:
        own = _surrogate_accuracy(vectors, tasks, ours[among], judged)
        drawn = [
            _surrogate_accuracy(
                vectors, tasks, rng.choice(len(pool), len(among), replace=False, p=weights), judged
            )
            for _ in range(DRAWS)
        ]
        half = 1.645 * float(np.std(drawn, ddof=1))
        gaps.append((own - float(np.mean(drawn)), half))
    return gaps


def _pool_weights(count: int, ours: np.ndarray, n: int, labelled: int) -> np.ndarray:
    """(count,) sampling probabilities that correct for labelled images being over-represented."""
    share = np.full(count, (n - labelled) / max(count - labelled, 1))
    share[ours] = 1.0
    return share / share.sum()


def _surrogates(vectors: np.ndarray, seed: int) -> list[np.ndarray]:
    """(M,) int cluster labels of the images, one array for each number of clusters."""
    from sklearn.cluster import MiniBatchKMeans

    counts = [count for count in SURROGATES if count <= len(vectors) // 10]
    return [
        MiniBatchKMeans(count, n_init=1, random_state=seed, batch_size=1024, max_iter=30)
        .fit(vectors)
        .labels_
        for count in counts or [2]
    ]


def _surrogate_accuracy(
    vectors: np.ndarray, tasks: list[np.ndarray], train: np.ndarray, judged: np.ndarray
) -> float:
    """Mean accuracy over the tasks; all are fitted by one solve."""
    widths = [int(task.max()) + 1 for task in tasks]
    targets = np.hstack(
        [one_hot(task[train], width) for task, width in zip(tasks, widths, strict=True)]
    )
    outputs = fit_ridge(vectors[train], targets).outputs(vectors[judged])
    start = 0
    right = []
    for task, width in zip(tasks, widths, strict=True):
        guess = outputs[:, start : start + width].argmax(axis=1)
        right.append(float((guess == task[judged]).mean()))
        start += width
    return float(np.mean(right))
