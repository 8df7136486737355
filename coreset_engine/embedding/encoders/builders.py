"""`make_encoder`: from the name a user writes to an encoder that is ready to run."""

from __future__ import annotations

from coreset_engine.core import registry
from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.embedding.encoders.base import Concatenated, Encoder, EncoderConfig

__all__ = ["Concatenated", "Encoder", "EncoderConfig", "make_encoder"]


def make_encoder(
    name: str, *, weights: str | None = None, device: str = "auto", image_size: int | None = None
) -> Encoder | Concatenated:
    """The encoder called `name`.

    Parameters
    ----------
    name : str
        A row of ENCODERS, "timm:NAME", "open_clip:ARCH/TAG", or several joined by "+".
    weights : str, optional
        A checkpoint on disk instead of the usual weights.
    device : str
        "auto", "cpu" or "cuda".
    image_size : int in [16, 1024], optional
        Pixels a side; None = the automatic rule.

    Returns
    -------
    Encoder or Concatenated

    Raises
    ------
    BadInput
        For an unknown name or an image size the network does not take.
    Missing
        When weights can neither be found nor downloaded.
    """
    if image_size is not None and not 16 <= image_size <= 1024:
        raise BadInput(
            f"image_size={image_size} must lie between 16 and 1024; leave it out for the automatic "
            "size."
        )
    parts = [part.strip() for part in str(name).split("+")]
    if weights is not None and len(parts) > 1:
        raise BadInput(
            f"weights={str(weights)!r} cannot be shared by the {len(parts)} encoders of {name!r}; "
            "give weights only to a single encoder."
        )
    config = EncoderConfig(
        weights=str(weights) if weights else None,
        device=resolve_device(device),
        image_size=image_size,
    )
    made = tuple(_make_one(part, config) for part in parts)
    return made[0] if len(made) == 1 else Concatenated(made)


def _make_one(name: str, config: EncoderConfig) -> Encoder:
    from coreset_engine.embedding.encoders import networks

    if name.startswith("timm:"):
        return networks.timm_encoder(name.removeprefix("timm:"), config)
    if name.startswith("open_clip:"):
        return networks.open_clip_encoder(name.removeprefix("open_clip:"), config)
    row = registry.look_up(registry.ENCODERS, name, "encoder")
    return registry.load(row.function)(config)
