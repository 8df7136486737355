"""Fine-tuning the encoder's last stage for a fixed number of steps, quick on a CPU.

The trunk stays frozen, so its feature maps are computed once for all coresets; what is trained is
the last block, the head convolution and a new linear layer (of EfficientNet-Lite0: 1.0 of 3.4
million weights).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from torch import nn

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.embedding.encoders.builders import make_encoder
from coreset_engine.embedding.encoders.stages import split_last_stage
from coreset_engine.training.config import TrainingRecipe
from coreset_engine.training.proxies import Proxy

STEPS = 200
RECIPE = TrainingRecipe(batch=64, lr=3e-4, weight_decay=1e-4)
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """maps: (n, channels, h, w) float16 inputs of the last stage. stage: the encoder's own."""

    maps: np.ndarray
    stage: nn.Module
    width: int

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, at: np.ndarray) -> FeatureMaps:
        return FeatureMaps(self.maps[at], self.stage, self.width)

    def network(self, n_classes: int, seed: int = 0) -> Proxy:
        """A copy of the last stage that can be trained, and a new linear layer by the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _Tunable(copy.deepcopy(self.stage), self.width, n_classes)
        return network.requires_grad_(True)


class _Tunable(Proxy):
    """Maps are kept as float16; the stage computes in float32."""

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.body(inputs.float())


class MapReader:
    """Feature maps of images through one encoder, cut before its last stage.

    Parameters
    ----------
    encoder : str
        Row of ENCODERS.
    weights : str, optional
        Checkpoint on disk.
    device : str
    dataset : Dataset
        Settles the image size, as embedding does.
    """

    def __init__(self, encoder: str, weights: str | None, device: str, dataset: Dataset) -> None:
        if dataset.reader is None:
            raise Missing(
                f"model 'finetune' needs images and {dataset.spec!r} has vectors only; use "
                "model='linear' or 'knn', or open the folder of images."
            )
        network = make_encoder(encoder, weights=weights, device=device)
        self.width = network.dim
        trunk, self.stage = split_last_stage(network)
        self.trunk = trunk.sized_for(dataset)

    def read(
        self, dataset: Dataset, positions: np.ndarray, progress: Progress = silent
    ) -> FeatureMaps:
        """FeatureMaps of the images at `positions` (n,) int. progress: unit "images"."""
        maps = np.zeros((0, 1, 1, 1), np.float16)
        for start in range(0, len(positions), _BLOCK):
            chosen = positions[start : start + _BLOCK]
            part = self.trunk.encode([dataset.image(i) for i in chosen]).astype(np.float16)
            if start == 0:
                maps = _room((len(positions), *part.shape[1:]))
            maps[start : start + len(part)] = part
            progress(start + len(part), len(positions), "images")
        return FeatureMaps(maps, self.stage, self.width)


def _room(shape: tuple[int, ...]) -> np.ndarray:
    need = 2 * int(np.prod(shape))
    if need > psutil.virtual_memory().available // 2:
        raise BadInput(
            f"feature maps of {shape[0]:,} images need {need / 2**30:.1f} GiB, more than half of "
            "the free memory; use model='linear' or 'knn'."
        )
    return np.empty(shape, np.float16)
