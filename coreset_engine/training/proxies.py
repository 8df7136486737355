"""Networks whose training is watched, or that judge a coreset: built by name from the table
PROXIES.

Every one is a `Proxy`: a body that makes features and a last linear layer, so that the last-layer
gradient (GraNd) can be had without a backward pass. Variants here work on embeddings; `resnet.py`
holds those on pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from coreset_engine.core.config import knob, make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import PROXIES, load, look_up


@dataclass(frozen=True)
class ProxyConfig:
    """Training recipe and size of the MLP; other proxies change the defaults.

    A set of at most `batch` images takes one step an epoch, on purpose: with more steps the MLP
    learns wrong labels by heart. AUROC in % of AUM for 20 % flipped labels of the digits
    (EfficientNet-Lite0, 5 seeds), one step against batches of max(32, N / 8): MLP 96.9 : 93.9 (N =
    200), 98.8 : 97.6 (500); linear 96.6 : 96.7, 97.6 : 98.7. Of the others, forgetting likes few
    steps, Dyn-Unc and TDDS many (MLP, 500: 94 : 64; 7 : 94, 63 : 82).
    """

    epochs: int = knob(20, "passes over the data", low=1, high=10_000)
    batch: int = knob(
        512,
        "images per step (split evenly, so that no small remainder is left)",
        low=1,
        high=65_536,
    )
    lr: float = knob(1e-3, "peak learning rate; falls by a cosine", low=1e-6, high=10.0)
    weight_decay: float = knob(1e-4, "weight decay", low=0.0, high=1.0)
    optimiser: str = knob("adamw", "update rule", choices=("adamw", "sgd"))
    hidden: int = knob(
        256, "width of the hidden layer (first stage, for convolutions)", low=4, high=8192
    )
    augment: bool = knob(False, "random crops and flips (pixels only)")


@dataclass(frozen=True)
class LinearConfig(ProxyConfig):
    """A linear softmax classifier learns in fewer, larger steps."""

    epochs: int = knob(15, "passes over the data", low=1, high=10_000)


class Proxy(nn.Module):
    """body: inputs -> (B, F) features; head: a Linear(F, C)."""

    def __init__(self, body: nn.Module, features: int, n_classes: int):
        super().__init__()
        self.body = body
        self.head = nn.Linear(features, n_classes)

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, F) features before the last layer."""
        return self.body(inputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, C) logits."""
        return self.head(self.embed(inputs))


class Standardise(nn.Module):
    """Subtract the mean and divide by the deviation of each channel or dimension, as measured on
    the training set."""

    def __init__(self, inputs: torch.Tensor):
        super().__init__()
        mean, deviation = _moments(inputs)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", 1 / deviation.clamp_min(1e-6))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Same shape as `inputs`, float32."""
        return (inputs.float() - self.mean) * self.scale


def _moments(inputs: torch.Tensor, block: int = 8192) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation over images (and pixels), broadcastable over a batch."""
    axes = (0, *range(2, inputs.ndim))
    total = 0.0
    square = 0.0
    count = len(inputs) * int(np.prod(inputs.shape[2:]))
    for start in range(0, len(inputs), block):
        part = inputs[start : start + block].double()
        total = total + part.sum(dim=axes)
        square = square + (part * part).sum(dim=axes)
    mean = total / count
    shape = (1, -1, *[1] * (inputs.ndim - 2))
    return mean.float().reshape(shape), (square / count - mean**2).clamp_min(
        0
    ).sqrt().float().reshape(shape)


def mlp(inputs: torch.Tensor, n_classes: int, config: ProxyConfig) -> Proxy:
    """Standardise -> Linear -> ReLU -> Linear. inputs: (N, D), for its statistics and width."""
    _flat(inputs, "mlp")
    body = nn.Sequential(Standardise(inputs), nn.Linear(inputs.shape[1], config.hidden), nn.ReLU())
    return Proxy(body, config.hidden, n_classes)


def linear(inputs: torch.Tensor, n_classes: int, config: ProxyConfig) -> Proxy:
    """Standardise -> Linear: multinomial logistic regression. inputs: (N, D)."""
    _flat(inputs, "linear")
    return Proxy(Standardise(inputs), inputs.shape[1], n_classes)


def _flat(inputs: torch.Tensor, name: str) -> None:
    if inputs.ndim != 2:
        raise BadInput(
            f"inputs of shape {tuple(inputs.shape)}: the proxy {name!r} needs vectors (N, D); "
            "use 'convnet' or 'resnet18' on pixels."
        )


def proxy_config(name: str, **params) -> ProxyConfig:
    """The checked recipe of the proxy `name`, with single settings overridden."""
    return make(load(look_up(PROXIES, name, "proxy").config), params)


def build_proxy(
    name: str, inputs: torch.Tensor, n_classes: int, config: ProxyConfig, seed: int = 0
) -> nn.Module:
    """A freshly initialised network, the same for the same seed; the caller's random state is left
    as it was."""
    make_one: Callable = load(look_up(PROXIES, name, "proxy").function)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_one(inputs, n_classes, config)
