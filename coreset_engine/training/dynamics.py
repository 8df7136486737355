"""Training dynamics: train a proxy on (pseudo-)labels and score every image by how it was learned.

Scores are taken from the outputs of the training passes themselves, so they cost no extra pass
(ELFS 3.2; Pleiss 2020).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from coreset_engine.core.config import make
from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.row_streaming import streamed
from coreset_engine.core.types import Dynamics, Progress, silent
from coreset_engine.training.config import DynamicsConfig, ProxyConfig
from coreset_engine.training.loop import Hooks, TrainingSet, as_pixels, to_device, train
from coreset_engine.training.proxies import build_proxy, proxy_config
from coreset_engine.training.scores import DynamicsRecorder


def training_dynamics(  # noqa: PLR0913
    inputs: np.ndarray,
    labels: np.ndarray,
    proxy: str = "mlp",
    epochs: int | None = None,
    seed: int = 0,
    *,
    device: str = "auto",
    progress: Progress = silent,
    **settings: Any,
) -> Dynamics:
    """Train `proxy` on all images with `labels` and return the scores of `DynamicsRecorder`.

    Deterministic for a seed on a CPU.

    Parameters
    ----------
    inputs : (N, D) float or (N, 3, S, S) or (N, S, S) uint8
        Vectors for "mlp" and "linear", pixels for the others. A memmap of vectors is read batch by
        batch: memory is the scores' own, about 100 bytes an image; larger arrays lie in a file.
    labels : (N,) int >= 0
        Classes are 0..max.
    proxy : str
        Row of PROXIES.
    epochs : int, optional
        None or 0 = the proxy's own number.
    seed : int
        Of initial weights and the order of batches.
    device : str
        "auto", "cpu" or "cuda".
    progress : Progress
        Unit "epochs".
    **settings
        Fields of DynamicsConfig (margin, early, window, tdds_epochs, ...) and of the proxy's own
        config (batch, lr, optimiser, ...).

    Returns
    -------
    Dynamics
        info: proxy, epochs, every setting of DynamicsConfig, losses, batch, and accuracy (share of
        images right in the last epoch, on the given labels).

    Raises
    ------
    BadInput
        Labels that do not fit, an unknown setting or one out of its bounds.
    """
    labels = _checked(labels, len(inputs))
    config, recipe = split_settings(proxy, epochs, settings)
    device = resolve_device(device)
    n_classes = int(labels.max()) + 1
    data: Any = streamed(inputs, device) or to_device(inputs, device)
    data = as_pixels(data) if data.ndim in (3, 4) else data
    targets = to_device(labels.astype(np.int64, copy=False), device)
    recorder = DynamicsRecorder(len(labels), n_classes, recipe.epochs, config, device=device)

    def on_batch(epoch, at, logits, features) -> None:
        recorder.record(epoch, at, logits, targets[at], features)

    trained = train(
        build_proxy(proxy, data, n_classes, recipe, seed),
        TrainingSet(data, targets),
        recipe,
        seed=seed,
        hooks=Hooks(on_batch, progress=progress),
        device=device,
    )
    scores = recorder.finish()
    info = {
        "proxy": proxy,
        "epochs": recipe.epochs,
        **dataclasses.asdict(config),
        "seed": seed,
        "n_classes": n_classes,
        "losses": [round(x, 5) for x in trained.losses],
        "batch": trained.batch,
        "accuracy": float((scores["margins"][:, -1] > 0).mean()),
        "device": device,
    }
    return Dynamics(info=info, **scores)


def split_settings(
    proxy: str, epochs: int | None, settings: dict[str, Any]
) -> tuple[DynamicsConfig, ProxyConfig]:
    """Settings by name as the two records they belong to, each value checked."""
    known = {field.name for field in dataclasses.fields(DynamicsConfig)}
    config = make(DynamicsConfig, {name: settings[name] for name in settings if name in known})
    rest = {name: value for name, value in settings.items() if name not in known}
    if epochs:
        rest["epochs"] = epochs
    return config, proxy_config(proxy, **rest)


def _checked(labels: np.ndarray, count: int) -> np.ndarray:
    labels = np.asarray(labels)
    if len(labels) == 0 or labels.ndim != 1 or len(labels) != count:
        raise BadInput(
            f"labels of shape {labels.shape} do not fit {count} inputs; give one per input."
        )
    if labels.min() < 0:
        raise BadInput(
            "label -1 (unknown) cannot be trained on; use pseudo-labels or leave those images out."
        )
    return labels
