"""The text tower of CLIP encoders: sentences as vectors that can be compared with images.

Only open_clip's models have one. An encoder joined from several ("resnet18+clip") is searched by
the dimensions of its CLIP part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.embedding.encoders.base import EncoderConfig
from coreset_engine.embedding.encoders.checkpoints import checkpoint, fetching, mismatch
from coreset_engine.embedding.encoders.networks import OPENAI_CLIP, open_clip_parts

_PREFIX = "open_clip:"


@dataclass(frozen=True, eq=False)
class TextTower:
    """A model that embeds texts beside the images of one encoder. name: as the user wrote it."""

    name: str
    model: Any
    tokenizer: Any
    device: str

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(T, D) float32, not normalised."""
        tokens = self.tokenizer(list(texts)).to(self.device)
        with torch.inference_mode():
            return self.model.encode_text(tokens).float().cpu().numpy()


def text_part(encoder: str) -> int | None:
    """Which of the encoders joined in a name has a text tower; None = none."""
    parts = [part.strip() for part in encoder.split("+")]
    starts = [at for at, part in enumerate(parts) if part == "clip" or part.startswith(_PREFIX)]
    return starts[0] if starts else None


@lru_cache(maxsize=1)
def text_tower(encoder: str, weights: str | None, device: str) -> TextTower:
    """The text tower that belongs to an encoder.

    Parameters
    ----------
    encoder
        As of a run: "clip", "open_clip:ARCH/TAG", or several joined by "+".
    weights
        A checkpoint on disk with both towers, instead of the usual one.
    device
        "cpu" or "cuda".

    Raises
    ------
    BadInput
        For an encoder without a text tower, or a checkpoint that lacks it.
    Missing
        Without open_clip, or without weights where none can be downloaded.
    """
    part = text_part(encoder)
    if part is None:
        raise no_text_tower(encoder)
    name = encoder.split("+")[part].strip()
    config = EncoderConfig(weights=weights, device=device)
    wanted = OPENAI_CLIP if name == "clip" else name.removeprefix(_PREFIX)
    open_clip, architecture, tag = open_clip_parts(wanted, config, name)
    if weights:
        model = open_clip.create_model(architecture, pretrained=None, pretrained_image=False)
        _load_text(model, checkpoint(weights), name, weights)
    else:
        with fetching(name):
            model = open_clip.create_model(architecture, pretrained=tag)
    try:
        tokenizer = open_clip.get_tokenizer(architecture)
    except Exception as error:  # noqa: BLE001 - tokenizers of some models are downloaded
        raise Missing(
            f"the tokenizer of encoder {name!r} is not on this machine ({type(error).__name__}); "
            "connect to the network once, or search by an image (--like)."
        ) from error
    return TextTower(name, model.eval().requires_grad_(False).to(device), tokenizer, device)


def no_text_tower(encoder: str) -> BadInput:
    """The error for an encoder that cannot embed texts."""
    return BadInput(
        f"encoder {encoder!r} has no text tower, so text search is not available; embed with "
        "--encoder clip or open_clip:ARCH/TAG (--weights PATH works offline), or search by an "
        "image (--like)."
    )


def _load_text(model: Any, state: dict[str, torch.Tensor], name: str, weights: str) -> None:
    """Load everything but the image tower, by name."""
    own = {key: value for key, value in model.state_dict().items() if not key.startswith("visual.")}
    buffers = {name for name, _ in model.named_buffers()}
    if error := mismatch(own, state, buffers):
        raise BadInput(
            f"weights={weights!r} {error}, which the text tower of encoder {name!r} needs; give a "
            "checkpoint with both towers, or search by an image (--like)."
        )
    model.load_state_dict({key: state[key] for key in own if key in state}, strict=False)
