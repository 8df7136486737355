"""Training dynamics: train a proxy on (pseudo-)labels and score every image by how its learning
went.

Scores are taken from the outputs of the training passes themselves, so they cost no extra pass
(ELFS 3.2; Pleiss 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.row_streaming import streamed
from coreset_engine.core.types import Dynamics, Progress, silent
from coreset_engine.training.loop import to_device, train
from coreset_engine.training.proxies import build_proxy, proxy_config
from coreset_engine.training.scores import Recorder


@dataclass(frozen=True)
class DynamicsConfig:
    """Which network is watched, for how long, and how the margin is read."""

    proxy: str = knob(
        "mlp",
        "network that is watched while it learns",
        choices=("mlp", "linear", "convnet", "resnet18", "resnet34", "resnet50"),
    )
    epochs: int = knob(0, "passes over the data; 0 = the proxy's usual number", low=0, high=10_000)
    margin: str = knob(
        "logit",
        "AUM from logits (Pleiss 2020) or probabilities (ELFS' program)",
        choices=("logit", "probability"),
    )
    early: int = knob(10, "first epochs that count for EL2N and GraNd", low=1, high=1000)
    window: int = knob(10, "epochs in a window of Dyn-Unc and TDDS", low=2, high=1000)


def training_dynamics(
    inputs: np.ndarray,
    labels: np.ndarray,
    proxy: str = "mlp",
    epochs: int | None = None,
    seed: int = 0,
    *,
    margin: str = "logit",
    early: int = 10,
    window: int = 10,
    device: str = "auto",
    progress: Progress = silent,
    **recipe,
) -> Dynamics:
    """Train `proxy` on all images with `labels` and return the scores of `scores.Recorder`.

    inputs: (N, D) float vectors for "mlp" and "linear"; (N, 3, S, S) or (N, S, S) uint8 pixels for
    the others. A memmap of vectors is read batch by batch: memory is the scores' own, about 100
    bytes an image; what takes more, as the C numbers of the last epoch, lies in a file where it is
    large.
    labels: (N,) int >= 0; classes are 0..max. epochs: None or 0 = the proxy's own. recipe: fields
        of its config.
    progress: unit "epochs". Deterministic for a seed on a CPU. info: proxy, epochs, losses,
    accuracy (share of images right in the last epoch, on the given labels), batch.
    """
    labels = np.asarray(labels)
    if len(labels) == 0 or labels.ndim != 1 or len(labels) != len(inputs):
        raise BadInput(
            f"labels of shape {labels.shape} do not fit {len(inputs)} inputs; give one per input."
        )
    if labels.min() < 0:
        raise BadInput(
            "label -1 (unknown) cannot be trained on; use pseudo-labels or leave those images out."
        )
    config = proxy_config(proxy, **recipe, **({"epochs": epochs} if epochs else {}))
    place = resolve_device(device)
    n_classes = int(labels.max()) + 1
    data = streamed(inputs, place) or to_device(inputs, place)
    data = as_pixels(data) if data.ndim in (3, 4) else data
    model = build_proxy(proxy, data, n_classes, config, seed)
    targets = to_device(labels.astype(np.int64, copy=False), place)
    recorder = Recorder(
        len(labels),
        n_classes,
        config.epochs,
        margin=margin,
        early=early,
        window=window,
        device=place,
    )
    trained = fit(
        model,
        data,
        targets,
        config,
        seed=seed,
        device=place,
        progress=progress,
        on_batch=lambda epoch, at, logits, features: recorder.record(
            epoch, at, logits, targets[at], features
        ),
    )
    scores = recorder.finish()
    info = {
        "proxy": proxy,
        "epochs": config.epochs,
        "margin": margin,
        "early": early,
        "window": window,
        "seed": seed,
        "n_classes": n_classes,
        "losses": [round(x, 5) for x in trained.losses],
        "batch": trained.batch,
        "accuracy": float((scores["margins"][:, -1] > 0).mean()),
        "device": place,
    }
    return Dynamics(info=info, **scores)


def fit(model, inputs, labels, config, *, seed: int = 0, **rest):
    """`training.train` with the recipe of a proxy's config (augmentation, schedule floor and
    all)."""
    from coreset_engine.training.augmentation import crop_and_flip

    return train(
        model,
        inputs,
        labels,
        epochs=config.epochs,
        batch=config.batch,
        lr=config.lr,
        weight_decay=config.weight_decay,
        optimiser=config.optimiser,
        seed=seed,
        min_lr=1e-4 if config.optimiser == "sgd" else 0.0,  # ELFS 8.2
        augment=crop_and_flip if config.augment else None,
        **rest,
    )


def as_pixels(images):
    """(N, ch, H, W) from (N, H, W), (N, H, W, 3) or (N, ch, H, W) tensors; kind and device kept."""
    if images.ndim == 3:
        return images[:, None]
    return (
        images.permute(0, 3, 1, 2).contiguous()
        if images.shape[3] in (1, 3) and images.shape[1] > 3
        else images
    )
