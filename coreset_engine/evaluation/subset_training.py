"""Train on a subset, test on held-out data: one recipe, so that only the subset differs.

"linear" is a convex fit and "knn" a vote (no seed, no schedule); the others are networks trained
for the same number of steps whatever the subset's size, as ELFS 8.2 and CCS do, so that small
coresets are not cut short.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent

ON_PIXELS = ("convnet", "resnet18", "resnet34", "resnet50")
ON_IMAGES = ("finetune", *ON_PIXELS)
WITHOUT_SEED = ("linear", "knn")
MODELS = ("linear", "knn", "mlp", *ON_IMAGES)
LEAST_STEPS = 600


@dataclass(frozen=True)
class EvaluationConfig:
    """What is trained and how; the same for every method, rate and seed."""

    model: str = knob(
        "linear",
        "model trained on each coreset: linear, knn (k = 5) and mlp on embeddings, the encoder's "
        "last stage (finetune), or a network trained from scratch on pixels",
        choices=MODELS,
    )
    steps: int = knob(
        0,
        "training steps of a network, independent of the coreset's size; 0 = its default number of "
        "epochs over the whole set",
        low=0,
        high=10_000_000,
    )
    loss_weights: bool = knob(False, "weight the loss by the method's scores (BlindCS eq. 10)")
    label_noise: float = knob(
        0.0, "share of the training labels flipped to another class", low=0.0, high=0.9, step=0.05
    )
    labels: str = knob(
        "auto",
        "train and test on the source's labels, or on pseudo-labels; auto = the source's own if it "
        "has any",
        choices=("auto", "true", "pseudo"),
    )
    select_labels: str = knob(
        "pseudo", "labels that methods may use to select", choices=("pseudo", "true")
    )
    balance: bool = knob(
        False, "keep the same number from every cluster (every class when selecting by true labels)"
    )
    image_size: int = knob(32, "longest side in pixels for networks on pixels", low=8, high=512)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a model trained on a subset reaches on the test images.

    Attributes
    ----------
    accuracy, balanced_accuracy, worst_class_accuracy : float in [0, 1]
        Share classified right of all images; mean and minimum over classes of that share.
    per_class : (C,) float64
        NaN where the test set has no image of the class.
    seconds : float
        Of the training alone (for knn, which has none, of the vote).
    steps : int
        Training steps taken.
    """

    accuracy: float
    balanced_accuracy: float
    worst_class_accuracy: float
    per_class: np.ndarray
    seconds: float
    steps: int


@dataclass(frozen=True, eq=False)
class TrainTest:
    """The images of a subset and the images it is judged on.

    Attributes
    ----------
    inputs : (k, D) float, (k, ch, H, W) uint8, or FeatureMaps of k images
        Vectors for linear, knn and mlp; pixels for ON_PIXELS; the encoder's feature maps for
        finetune.
    labels : (k,) int in [0, n_classes)
    test_inputs : as `inputs`, of M images
    test_labels : (M,) int in [0, n_classes)
    n_classes : int
    weights : (k,) float >= 0, optional
        Networks scale each batch's loss by its mean weight (BlindCS eq. 10); linear and knn, which
        have no batches, weight each image.
    full_size : int
        Images in the set the subset is from; sets the usual number of training steps.
    """

    inputs: Any
    labels: np.ndarray
    test_inputs: Any
    test_labels: np.ndarray
    n_classes: int
    weights: np.ndarray | None = None
    full_size: int = 0

    def __len__(self) -> int:
        return len(self.inputs)


def evaluate_subset(
    model: str,
    data: TrainTest,
    *,
    steps: int = 0,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Outcome:
    """Accuracy on the test images of `model` trained on the subset.

    Only the last model is tested: no epoch is picked by the test set.

    Parameters
    ----------
    model : str
        One of MODELS.
    data : TrainTest
    steps : int
        Training steps of a network; 0 = the usual number.
    seed : int
        Initial weights and order of the batches of a network.
    device : str
        "auto", "cpu" or "cuda".
    progress : callable
        Unit "steps"; "images" for knn.

    Returns
    -------
    Outcome

    Raises
    ------
    BadInput
        An unknown model, or no images to train or test on.
    """
    if model not in MODELS:
        raise BadInput(f"model={model!r} is not supported; choose one of {', '.join(MODELS)}.")
    if len(data) == 0 or len(data.test_inputs) == 0:
        raise BadInput(
            f"{len(data)} images to train on and {len(data.test_inputs)} to test on; each must be "
            "at least 1."
        )
    if data.weights is not None and not np.any(data.weights):
        # every kept image scored lowest: eq. 10 says nothing about them
        data = dataclasses.replace(data, weights=None)
    from coreset_engine.training.loop import TrainingSet

    known = TrainingSet(data.inputs, data.labels, data.weights)
    device = resolve_device(device)
    began = time.perf_counter()
    if model == "knn":
        from coreset_engine.evaluation.knn import knn_predict

        guess = knn_predict(
            known, data.test_inputs, data.n_classes, device=device, progress=progress
        )
        seconds = time.perf_counter() - began
        taken = 0
    elif model == "linear":
        from coreset_engine.evaluation.linear import fit_linear

        fitted = fit_linear(known, data.n_classes, device=device, progress=progress)
        seconds = time.perf_counter() - began
        taken = fitted.steps
        guess = fitted.predict(data.test_inputs)
    else:
        network, taken = _train(model, data, steps, seed, device, progress)
        seconds = time.perf_counter() - began
        from coreset_engine.training.loop import predict

        guess = predict(network, _array(data.test_inputs), device=device).argmax(axis=1)
    return _outcome(guess, np.asarray(data.test_labels), data.n_classes, seconds, taken)


def _train(model: str, data: TrainTest, steps: int, seed: int, device: str, progress: Progress):
    """(trained network, steps taken)."""
    from coreset_engine.training.loop import Hooks, TrainingSet, to_device, train

    if model in ON_PIXELS and len(data) < 2:
        raise BadInput(
            f"{model!r} uses batch normalisation and needs at least 2 images, not {len(data)}; "
            "keep more, or use model='linear'."
        )
    recipe = _recipe(model, data, steps)
    inputs = to_device(_array(data.inputs), device)
    trained = train(
        _network(model, data, inputs, recipe, seed),
        TrainingSet(inputs, data.labels, data.weights, weigh="batch"),
        recipe,
        seed=seed,
        hooks=Hooks(progress=progress),
        device=device,
    )
    return trained.model, trained.info["steps"]


def _recipe(model: str, data: TrainTest, steps: int):
    """The model's recipe with as many epochs over the subset as the number of steps asks for."""
    if model == "finetune":
        from coreset_engine.evaluation.finetune import RECIPE, STEPS

        recipe = RECIPE
        steps = steps or STEPS
    else:
        from coreset_engine.training.proxies import proxy_config

        recipe = proxy_config(model)
        full_size = max(data.full_size, len(data))
        steps = steps or usual_steps(recipe.epochs, recipe.batch, full_size)
    epochs = max(1, round(steps / math.ceil(len(data) / recipe.batch)))
    return dataclasses.replace(recipe, epochs=epochs)


def _network(model: str, data: TrainTest, inputs, recipe, seed: int):
    if model == "finetune":
        return data.inputs.network(data.n_classes, seed)
    from coreset_engine.training.proxies import build_proxy

    return build_proxy(model, inputs, data.n_classes, recipe, seed)


def _array(inputs):
    """Vectors or pixels as they are; the maps of `finetune.FeatureMaps`."""
    return getattr(inputs, "maps", inputs)


def usual_steps(epochs: int, batch: int, full_size: int) -> int:
    """Steps of the recipe's epochs over the full set, at least LEAST_STEPS."""
    return max(LEAST_STEPS, epochs * math.ceil(full_size / batch))


def _outcome(
    guess: np.ndarray, truth: np.ndarray, n_classes: int, seconds: float, steps: int
) -> Outcome:
    right = np.bincount(truth[guess == truth], minlength=n_classes)
    count = np.bincount(truth, minlength=n_classes)
    per_class = np.where(count > 0, right / np.maximum(count, 1), np.nan)
    return Outcome(
        accuracy=float((guess == truth).mean()),
        balanced_accuracy=float(np.nanmean(per_class)),
        worst_class_accuracy=float(np.nanmin(per_class)),
        per_class=per_class,
        seconds=seconds,
        steps=steps,
    )
