"""Train on a subset, test on held-out data: one recipe for every subset, so that only the subset
makes a difference.

"linear" is a convex fit (no seed, no schedule); the others are networks trained by difficulty's
loop for the same number of steps whatever the subset's size, as ELFS 8.2 and CCS do, so that small
coresets are not cut short.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent

MODELS = ("linear", "mlp", "convnet", "resnet18", "resnet34", "resnet50")
ON_PIXELS = MODELS[2:]
LEAST_STEPS = 600


@dataclass(frozen=True)
class EvaluationConfig:
    """What is trained and how; the same for every method, rate and seed."""

    model: str = knob(
        "linear",
        "what is trained on each coreset: on embeddings, or from scratch on pixels",
        choices=MODELS,
    )
    steps: int = knob(
        0,
        "training steps of a network, whatever the coreset's size; 0 = its usual passes over the "
        "whole set",
        low=0,
        high=10_000_000,
    )
    loss_weights: bool = knob(False, "weight the loss by the method's scores (BlindCS eq. 10)")
    label_noise: float = knob(
        0.0, "share of the training labels flipped to another class", low=0.0, high=0.9, step=0.05
    )
    labels: str = knob(
        "auto",
        "train and test on the source's labels, or on pseudo-labels; auto = the source's own "
        "where it has any",
        choices=("auto", "true", "pseudo"),
    )
    select_labels: str = knob(
        "pseudo", "labels that methods may use to select", choices=("pseudo", "true")
    )
    balance: bool = knob(
        False, "the same number kept from every cluster (every class when selecting by true labels)"
    )
    image_size: int = knob(32, "longest side in pixels for networks on pixels", low=8, high=512)


@dataclass(frozen=True, eq=False)
class Outcome:
    """accuracy, worst_class_accuracy in [0, 1]. per_class: (C,) float64, NaN where the test set has
    no such image.

    seconds: of the training alone. steps: taken.
    """

    accuracy: float
    worst_class_accuracy: float
    per_class: np.ndarray
    seconds: float
    steps: int


def evaluate_subset(
    model: str,
    inputs,
    labels: np.ndarray,
    test_inputs,
    test_labels: np.ndarray,
    *,
    n_classes: int,
    whole: int = 0,
    steps: int = 0,
    weights: np.ndarray | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Outcome:
    """Accuracy on the test images of `model` trained on the given ones.

    inputs: (k, D) float vectors for linear and mlp, (k, ch, H, W) uint8 pixels for the others;
        test_inputs alike.
    labels: (k,) int in [0, n_classes). whole: images in the set the subset is from (sets the usual
        number of steps).
    weights: (k,) >= 0; networks scale each batch's loss by its mean weight (BlindCS eq. 10), the
    linear model, which has no batches, each image's. Only the last model is judged: no epoch is
    picked by the test set.
    """
    if model not in MODELS:
        raise BadInput(f"model={model!r} is not offered; choose one of {', '.join(MODELS)}.")
    if len(inputs) == 0 or len(test_inputs) == 0:
        raise BadInput(
            f"{len(inputs)} images to train on and {len(test_inputs)} to test on; each must be at least 1."
        )
    if weights is not None and not np.any(weights):
        weights = None  # every kept image scored lowest: eq. 10 says nothing about them
    place = resolve_device(device)
    began = time.perf_counter()
    if model == "linear":
        from coreset_engine.evaluation.linear import fit_linear

        fitted = fit_linear(
            inputs, labels, n_classes, weights=weights, device=place, progress=progress
        )
        seconds = time.perf_counter() - began
        taken = fitted.steps
        guess = fitted.predict(test_inputs)
    else:
        network, taken = _train(
            model, inputs, labels, n_classes, whole, steps, weights, seed, place, progress
        )
        seconds = time.perf_counter() - began
        from coreset_engine.training.loop import predict

        guess = predict(network, test_inputs, device=place).argmax(axis=1)
    return _judged(guess, np.asarray(test_labels), n_classes, seconds, taken)


def _train(model, inputs, labels, n_classes, whole, steps, weights, seed, place, progress):
    import dataclasses

    from coreset_engine.training.loop import Hooks, TrainingSet, to_device, train
    from coreset_engine.training.proxies import build_proxy, proxy_config

    if model in ON_PIXELS and len(inputs) < 2:
        raise BadInput(
            f"{model!r} normalises over a batch and needs at least 2 images, not {len(inputs)}; "
            "keep more, or use model='linear'."
        )
    config = proxy_config(model)
    steps = steps or usual_steps(config.epochs, config.batch, max(whole, len(inputs)))
    epochs = max(1, round(steps / math.ceil(len(inputs) / config.batch)))
    config = dataclasses.replace(config, epochs=epochs)
    data = to_device(inputs, place)
    trained = train(
        build_proxy(model, data, n_classes, config, seed),
        TrainingSet(data, labels, weights, weigh="batch"),
        config,
        seed=seed,
        hooks=Hooks(progress=progress),
        device=place,
    )
    return trained.model, trained.info["steps"]


def usual_steps(epochs: int, batch: int, whole: int) -> int:
    """Steps of the recipe's epochs over the whole set, at least LEAST_STEPS."""
    return max(LEAST_STEPS, epochs * math.ceil(whole / batch))


def _judged(
    guess: np.ndarray, truth: np.ndarray, n_classes: int, seconds: float, steps: int
) -> Outcome:
    right = np.bincount(truth[guess == truth], minlength=n_classes)
    count = np.bincount(truth, minlength=n_classes)
    per_class = np.where(count > 0, right / np.maximum(count, 1), np.nan)
    return Outcome(
        float((guess == truth).mean()), float(np.nanmin(per_class)), per_class, seconds, steps
    )
