"""Proxy networks whose training dynamics are recorded, built by name from PROXIES.

Every one is a `Proxy`: a body that makes features and a last linear layer, so that the last-layer
gradient (GraNd) can be had without a backward pass. Variants here work on embeddings; `networks`
holds those on pixels, `config` the recipes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import PROXIES, load, look_up
from coreset_engine.training.config import ProxyConfig


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
    """Standardise each channel or dimension by its mean and deviation over the training set."""

    mean: torch.Tensor
    scale: torch.Tensor

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
    total = torch.zeros((), dtype=torch.float64, device=inputs.device)
    square = torch.zeros((), dtype=torch.float64, device=inputs.device)
    count = len(inputs) * int(np.prod(inputs.shape[2:]))
    for start in range(0, len(inputs), block):
        part = inputs[start : start + block].double()
        total = total + part.sum(dim=axes)
        square = square + (part * part).sum(dim=axes)
    mean = total / count
    deviation = (square / count - mean**2).clamp_min(0).sqrt()
    shape = (1, -1, *[1] * (inputs.ndim - 2))
    return mean.float().reshape(shape), deviation.float().reshape(shape)


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
    """A freshly initialised network; leaves torch's random state alone.

    Parameters
    ----------
    name : str
        A row of PROXIES.
    inputs : (N, D) or (N, ch, H, W) tensor
        Gives the shape of the first layer.
    n_classes : int
    config : ProxyConfig
    seed : int
        The same seed gives the same weights.

    Returns
    -------
    torch Module
    """
    make_one: Callable = load(look_up(PROXIES, name, "proxy").function)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_one(inputs, n_classes, config)
