"""Encoders: a list of RGB images in, one float32 vector each out; no gradient, no randomness.

Why one class: every network here is "resize, scale, forward, pool"; the rows of registry.ENCODERS
differ only in where the network and its weights come from (`networks`). Variants: `Encoder` (one
network), `Concatenated` ("a+b"; BlindCS section 4 joins ResNet-18 and CLIP to 1,280 dimensions this
way).

Image size. `image_size=None` is the "auto" rule, settled once per data set by `sized_for`: when the
median longer side is <= 64 px and the network takes any size, images are encoded at 64 px (at 224
px a 28 px image costs 12 times as much and carries nothing more); otherwise at the size the network
was trained with.

Geometry (`fit`). "crop": the central square. "pad": the whole picture, centred on mid-grey.
"squash": the whole picture, both sides to image_size. "auto": crop where the longer side is at most
1.5 times the shorter, else pad, so that two flags that differ at their ends differ. The crop is
part of the resize (antialiased bicubic), so that a 1 x 100,000 image never becomes a 224 x
22,400,000 one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.device import cpu_count

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from coreset_engine.core.types import Dataset

TINY = 64
WIDE = 1.5  # longer over shorter side above which "auto" pads: the crop would lose over a third
GREY = (128, 128, 128)
_CPU_IMAGES = 16  # at most per slice, so that a batch of 64 occupies four cores
_CPU_PIXELS = 4 * 224 * 224  # per slice: 4 images at 224 px ran 4 times as fast as 64 (2 cores)


@dataclass(frozen=True)
class EncoderConfig:
    """What every encoder row takes."""

    weights: str | None = knob(
        None, "a checkpoint on disk (.safetensors, .pt, .pth) instead of the default weights"
    )
    device: str = knob("auto", "where to compute: auto, cpu, cuda")
    image_size: int | None = knob(
        None,
        "side in pixels; empty = 64 for tiny images, else the network's own",
        low=16,
        high=1024,
    )


@dataclass(frozen=True, eq=False)
class Encoder:
    """An encoder's network with its preprocessing.

    network: (B, 3, S, S) float32 scaled by mean and std -> (B, dim). weights_hash: SHA-256 of the
    tensors.

    any_size: whether the network takes inputs other than `native`. image_size: int, or None = auto,
        not yet settled.
    """

    name: str
    network: Callable[[torch.Tensor], torch.Tensor]
    dim: int
    native: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights_hash: str
    device: str = "cpu"
    any_size: bool = True
    image_size: int | None = None
    fit: str = "auto"

    def sized_for(self, ds: Dataset, probes: int = 32) -> Encoder:
        """This encoder with `ds.fit`, and the auto rule settled by evenly spaced images of it."""
        if self.image_size is not None:
            return self.with_fit(ds.fit)
        positions = np.unique(np.linspace(0, len(ds) - 1, min(probes, len(ds))).astype(np.int64))
        side = float(np.median([max(ds.image(i).size) for i in positions]))
        size = TINY if self.any_size and side <= TINY else self.native
        return replace(self, image_size=size, fit=ds.fit)

    def with_fit(self, fit: str) -> Encoder:
        """This encoder with another way of making pictures square."""
        return self if fit == self.fit else replace(self, fit=fit)

    def prepare(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(B, S, S, 3) uint8: squares as `fit` says, resized."""
        size = self.image_size or self.native
        return np.stack([square(image, size, self.fit) for image in images])

    def forward(self, pixels: np.ndarray) -> np.ndarray:
        """(B, S, S, 3) uint8 -> (B, dim) float32.

        On a CPU in slices whose activations stay in its caches, one core each: sums inside a layer
        then have the same order on any number of cores. Every slice has the same length (the last
        is filled up), since the order of sums depends on it: so a vector depends on its own image
        only, bit for bit, whatever else is in the batch.
        """
        import torch

        if self.device != "cpu":
            return self._pass(pixels)
        count = max(1, min(_CPU_IMAGES, _CPU_PIXELS // pixels.shape[1] ** 2))
        before = torch.get_num_threads()
        with ThreadPoolExecutor(
            min(before, cpu_count()), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            batches = [pixels[at : at + count] for at in range(0, len(pixels), count)]
            batches[-1] = _filled_up(batches[-1], count)
            parts = list(pool.map(self._pass, batches))
        torch.set_num_threads(before)
        return np.concatenate(parts)[: len(pixels)]

    def _pass(self, pixels: np.ndarray) -> np.ndarray:
        import torch

        mean = torch.tensor(self.mean, device=self.device).view(1, 3, 1, 1) * 255
        std = torch.tensor(self.std, device=self.device).view(1, 3, 1, 1) * 255
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).to(self.device)
            batch = batch.permute(0, 3, 1, 2).float().sub_(mean).div_(std)  # NHWC strides are kept
            return self.network(batch).float().cpu().numpy()

    def encode(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(B, dim) float32 for B images; a row depends on its image only (up to rounding)."""
        return self.forward(self.prepare(images))


@dataclass(frozen=True, eq=False)
class Concatenated:
    """Several encoders side by side.

    Features are joined as they come, as BlindCS does; none is rescaled.
    """

    parts: tuple[Encoder, ...]

    @property
    def name(self) -> str:
        return "+".join(part.name for part in self.parts)

    @property
    def dim(self) -> int:
        return sum(part.dim for part in self.parts)

    @property
    def device(self) -> str:
        return self.parts[0].device

    @property
    def image_size(self) -> int | None:
        sizes = [part.image_size for part in self.parts]
        known = [size for size in sizes if size is not None]
        return max(known) if len(known) == len(sizes) else None

    @property
    def weights_hash(self) -> str:
        return "+".join(part.weights_hash for part in self.parts)

    @property
    def fit(self) -> str:
        return self.parts[0].fit

    def sized_for(self, ds: Dataset) -> Concatenated:
        return Concatenated(tuple(part.sized_for(ds) for part in self.parts))

    def with_fit(self, fit: str) -> Concatenated:
        return Concatenated(tuple(part.with_fit(fit) for part in self.parts))

    def prepare(self, images: Sequence[Image.Image]) -> list[np.ndarray]:
        return [part.prepare(images) for part in self.parts]

    def forward(self, pixels: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(
            [part.forward(p) for part, p in zip(self.parts, pixels, strict=True)], axis=1
        )

    def encode(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self.forward(self.prepare(images))


def _filled_up(pixels: np.ndarray, count: int) -> np.ndarray:
    """`pixels` with its last image repeated until there are `count`."""
    lacking = count - len(pixels)
    return np.concatenate([pixels, np.repeat(pixels[-1:], lacking, axis=0)]) if lacking else pixels


def square(image: Image.Image, size: int, fit: str = "auto") -> np.ndarray:
    """(size, size, 3) uint8 of a picture of any shape.

    Parameters
    ----------
    image
        Any size and mode.
    size
        Side in pixels.
    fit
        "auto", "crop", "pad" or "squash", see the module.
    """
    from PIL import Image as Pillow

    if image.mode != "RGB":
        image = image.convert("RGB")
    width, height = image.size
    if fit == "auto":
        fit = "pad" if max(width, height) > WIDE * min(width, height) else "crop"
    if (width, height) == (size, size):
        return np.asarray(image, dtype=np.uint8)
    bicubic = Pillow.Resampling.BICUBIC
    if fit == "squash":
        return np.asarray(image.resize((size, size), bicubic), dtype=np.uint8)
    if fit == "pad":
        scale = size / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        padded = Pillow.new("RGB", (size, size), GREY)
        corner = ((size - inner[0]) // 2, (size - inner[1]) // 2)
        padded.paste(image.resize(inner, bicubic), corner)
        return np.asarray(padded, dtype=np.uint8)
    side = min(width, height)
    left = (width - side) / 2
    top = (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), bicubic, box=box), dtype=np.uint8)
