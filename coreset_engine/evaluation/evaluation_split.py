"""The part of a source that selection sees, and the images that judge it.

The source itself is seen where it has a test split, else four fifths of it, stratified, with every
stage computed on that part alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.classes import align_classes, names_of
from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import positions_of
from coreset_engine.evaluation.split import flip_labels, stratified_split
from coreset_engine.evaluation.straddling import Straddling, count_straddling
from coreset_engine.evaluation.subset_training import ON_PIXELS, EvaluationConfig
from coreset_engine.pipeline.run import Run


class EvaluationSplit:
    """What selection sees (`train`: a Run) and what judges. labels: "true" or "pseudo"."""

    def __init__(self, run: Run, config: EvaluationConfig, tick: Callable[[], None]) -> None:
        self.config = config
        self._tick = tick
        self._runs: dict[int, Run] = {}
        self.full = run
        self.labels = _which(run, config.labels)
        self.unmatched: dict[str, dict[str, int]] = {}
        truth = run.labels if self.labels == "true" else run.pseudo_labels.labels
        if self.labels == "true" and run.dataset.test_spec:
            from coreset_engine.sources.open import open_source

            self.train_at = known = np.flatnonzero(truth >= 0)
            self.train = run if len(known) == len(truth) else run.take(known)
            self.test: Run = run.with_dataset(open_source(run.dataset.test_spec))
            self.train_labels = truth[known]
            test_labels, self.unmatched = _matched_by_name(run, self.train_labels, self.test)
            self.test_at = np.flatnonzero(test_labels >= 0)
            self.test_labels = test_labels[self.test_at]
        else:
            self.train_at, self.test_at = stratified_split(run.dataset.ids, truth)
            at = self.train_at
            self.train = run.take(at)
            self.test = run
            self.train_labels = truth[at]
            self.test_labels = truth[self.test_at]
        self.n_classes = int(max(self.train_labels.max(), self.test_labels.max())) + 1
        self.n_classes = max(
            self.n_classes, len(run.dataset.classes) if self.labels == "true" else 0
        )

    @cached_property
    def key(self) -> str:
        """What the numbers depend on besides method, rate, seed and recipe."""
        return digest(
            [
                self.train.key_of("embeddings"),
                self.test.key_of("embeddings"),
                self.labels,
                array_digest(self.train_labels),
                array_digest(self.test_labels),
                array_digest(self.test_at),
            ]
        )

    @cached_property
    def inputs(self) -> tuple[Any, Any]:
        """(training inputs, test inputs): vectors, or pixels for networks on pixels."""
        if self.config.model == "finetune":
            return self._feature_maps()
        if self.config.model not in ON_PIXELS:
            return self.train.vectors, self.test.vectors[self.test_at]
        from coreset_engine.training.pixels import pixels_of

        def tick(*_: Any) -> None:
            self._tick()

        ours = pixels_of(
            self.train.dataset,
            np.arange(len(self.train.dataset)),
            self.config.image_size,
            progress=tick,
        )
        return ours, pixels_of(self.test.dataset, self.test_at, shape=ours.shape[1:], progress=tick)

    def straddling(self) -> dict[str, Any]:
        """`straddling`: copies on both sides, where the vectors of both sides are there."""
        if not (self.train.ready("embeddings") and self.test.ready("embeddings")):
            return {}
        counts = count_straddling(self.train.vectors, self.test.vectors[self.test_at])
        return {"straddling": dataclasses.asdict(counts)}

    def _feature_maps(self) -> tuple[Any, Any]:
        """Inputs of the encoder's last stage, of the training and of the test images."""
        from coreset_engine.evaluation.finetune import MapReader

        def tick(*_: Any) -> None:
            self._tick()

        train = self.train
        reader = MapReader(train.encoder, train.weights, train.device, train.dataset)
        ours = reader.read(train.dataset, np.arange(len(train.dataset)), tick)
        return ours, reader.read(self.test.dataset, self.test_at, tick)

    def run_of(self, seed: int) -> Run:
        """What a method sees under this seed: clustering, dynamics and coverage drawn with it."""
        if seed not in self._runs:
            self._runs[seed] = self.train.with_config(seed=seed)
        return self._runs[seed]

    def seen_ids(self, ids: Sequence[str]) -> list[str]:
        """`ids` without held-out ones; ids unknown to the source stay, for `select` to report."""
        position = positions_of(self.full.dataset.ids, list(ids))
        seen = np.zeros(len(self.full.dataset) + 1, bool)
        seen[self.train_at] = True
        return [name for name, at in zip(ids, position, strict=True) if at < 0 or seen[at]]

    def seen_values(self, values: Any) -> Any:
        """A column's name as it is; one value per image, of the images that selection sees."""
        if isinstance(values, str) or len(values) != len(self.full.dataset):
            return values
        return [values[at] for at in self.train_at]

    def noisy(self, seed: int) -> tuple[Run, np.ndarray]:
        """The run and labels of this seed.

        With `label_noise`, methods that use true labels see the noisy ones.
        """
        run = self.run_of(seed)
        if not self.config.label_noise:
            return run, self.train_labels
        noisy = flip_labels(self.train_labels, self.config.label_noise, self.n_classes, seed)
        if self.labels == "pseudo":
            return run, noisy
        return run.with_dataset(dataclasses.replace(run.dataset, labels=noisy)), noisy


def _matched_by_name(
    run: Run, train_labels: np.ndarray, test: Run
) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
    """The test part's labels in the numbers of the training part, and what has no counterpart.

    A test image whose class the training part does not have gets -1 and is not tested on.

    Parameters
    ----------
    run
        The source, whose class list numbers `train_labels`.
    train_labels : ndarray, shape (n,), int64 >= 0
        Labels selection and training see.
    test
        The test part, with a class list of its own.

    Returns
    -------
    labels : ndarray, shape (len(test.dataset),), int64
        -1 = not tested on.
    unmatched : dict
        "test_only" and "train_only", each class name -> number of images; absent where there are
        none.

    Raises
    ------
    BadInput
        When the two parts share no class.
    """
    if test.dataset.labels is None:
        raise BadInput(
            f"the test part {test.dataset.spec!r} has no labels; give one with labels, or evaluate "
            "with labels=pseudo."
        )
    theirs = np.asarray(test.dataset.labels, np.int64)
    names = names_of(run.dataset.classes, train_labels)
    test_names = names_of(test.dataset.classes, theirs)
    aligned = align_classes(names, test_names).apply(theirs)
    trained = np.bincount(train_labels, minlength=len(names))
    aligned[(aligned >= 0) & (trained[aligned] == 0)] = -1
    if not (aligned >= 0).any():
        raise BadInput(
            f"the test part has the classes {_some(test_names)} and the training part "
            f"{_some(names)}: no class with images is in both; give both the same class names."
        )
    tested = np.bincount(aligned[aligned >= 0], minlength=len(names))
    unmatched = dict(
        test_only=_counted(test_names, theirs[(aligned < 0) & (theirs >= 0)]),
        train_only=_counted(names, train_labels[tested[train_labels] == 0]),
    )
    return aligned, {side: counts for side, counts in unmatched.items() if counts}


def straddling_sentence(straddling: Mapping[str, Any]) -> str:
    """What an evaluation's `straddling` says, as a sentence; "" where there are no copies."""
    counts = straddling.get("straddling")
    return Straddling(**counts).sentence() if counts else ""


def unmatched_sentence(counts: Mapping[str, Any]) -> str:
    """An evaluation's `unmatched_classes` as a sentence; "" when every class has both parts."""
    unmatched = counts.get("unmatched_classes") or {}
    sentences = []
    if lacking := unmatched.get("test_only"):
        sentences.append(
            f"{sum(lacking.values()):,} test images were left out: training has no image of "
            f"{_some(list(lacking))}."
        )
    if untested := unmatched.get("train_only"):
        sentences.append(f"The test part has no image of {_some(list(untested))}: not tested.")
    return " ".join(sentences)


def _counted(names: Sequence[str], labels: np.ndarray) -> dict[str, int]:
    """Class name -> how many of `labels` it has, for those that have any."""
    counts = np.bincount(labels, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _some(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more


def _which(run: Run, wanted: str) -> str:
    if wanted == "true" and run.labels is not None:  # run.labels raises Missing with the way out
        return "true"
    if wanted != "auto":
        return wanted
    return "pseudo" if run.dataset.labels is None else "true"


def array_digest(values: Any) -> str:
    """32 hex digits of the SHA-256 of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(values)).hexdigest()[:32]
