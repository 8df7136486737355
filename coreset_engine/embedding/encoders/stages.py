"""An encoder cut before its last stage: the frozen trunk, and the stage that can be fine-tuned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from coreset_engine.core.errors import BadInput
from coreset_engine.embedding.encoders.base import Concatenated, Encoder


class _Trunk(nn.Module):
    """A timm EfficientNet up to its last block."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.blocks: nn.Module = network.blocks[:-1]

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) -> (B, channels, h, w)."""
        return self.blocks(self.stem(batch))


def split_last_stage(encoder: Encoder | Concatenated) -> tuple[Encoder, nn.Module]:
    """(encoder of feature maps, last stage): the stage's output for a map is the encoder's vector.

    Parameters
    ----------
    encoder : Encoder
        An EfficientNet-Lite; other networks are not cut.

    Returns
    -------
    trunk : Encoder
        Same images in, (B, channels, h, w) float32 maps out.
    stage : nn.Module
        (B, channels, h, w) -> (B, dim): the last block, the head convolution and the pooling.
        Shared with the encoder: copy it before training.

    Raises
    ------
    BadInput
        An encoder of another kind.
    """
    network: Any = getattr(getattr(encoder, "network", None), "network", None)
    if not isinstance(encoder, Encoder) or not hasattr(network, "conv_head"):
        raise BadInput(
            f"encoder {encoder.name!r} cannot be fine-tuned here, only EfficientNet-Lite can; use "
            "model='linear' or 'knn', or encoder='efficientnet_lite0'."
        )
    stage = nn.Sequential(
        network.blocks[-1], network.conv_head, network.bn2, network.global_pool, nn.Flatten()
    )
    return replace(encoder, network=_Trunk(network).eval()), stage.eval()
