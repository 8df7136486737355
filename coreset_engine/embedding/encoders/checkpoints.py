"""Weights of encoders: read from a checkpoint or downloaded, loaded into a network, hashed.

Nothing is unpickled: `.safetensors`, or torch files read with weights_only=True.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.user_paths import user_path
from coreset_engine.embedding.encoders.base import EncoderConfig


def checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file by name; unpacks wrappers such as {"state_dict": ...}."""
    path = user_path(path)
    if not path.is_file():
        raise BadInput(
            f"weights={str(path)!r} is not a file; give a .safetensors, .pt or .pth checkpoint."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # the parsers raise many types; whichever it is, the file is not one we can read
        raise BadInput(
            f"weights={str(path)!r} cannot be read as plain tensors ({type(error).__name__}); give "
            "a .safetensors file or a torch checkpoint that holds tensors only."
        ) from error
    for wrapper in ("state_dict", "model", "teacher"):
        inner = state.get(wrapper) if isinstance(state, dict) else None
        if isinstance(inner, dict):
            state = inner
    if not isinstance(state, dict):
        raise BadInput(
            f"weights={str(path)!r} holds a {type(state).__name__}, not named tensors; save a "
            "state_dict."
        )
    return {
        name.removeprefix("module."): tensor
        for name, tensor in state.items()
        if torch.is_tensor(tensor)
    }


def weights_hash(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def load_by_position(network: nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """Load tensors in file order: the packaged checkpoint has other names than timm."""
    own = network.state_dict()
    if len(weights) != len(own) or any(
        a.shape != b.shape for a, b in zip(own.values(), weights.values(), strict=True)
    ):
        raise BadInput(
            f"the checkpoint holds {len(weights)} tensors, encoder {name!r} has {len(own)} of "
            "certain shapes; give weights made for this network."
        )
    network.load_state_dict(dict(zip(own, weights.values(), strict=True)))


def mismatch(
    own: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], optional: Collection[str]
) -> str:
    """Parameters of `own` missing from `weights` or of another shape; "" when all fit."""
    absent = [key for key in own if key not in weights and key not in optional]
    wrong = [key for key in own if key in weights and weights[key].shape != own[key].shape]
    if not absent and not wrong:
        return ""
    first = f"lacks {absent[0]!r}" if absent else f"has {wrong[0]!r} with a different shape"
    return f"{first} ({len(absent)} tensors missing, {len(wrong)} of another shape)"


def load_by_name(network: nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """Load by name.

    Extra tensors (classifier, projection head, prototypes) are ignored; missing ones are not.
    """
    own = network.state_dict()
    weights = {key.removeprefix("backbone."): value for key, value in weights.items()}
    counters = {
        key for key in own if key.endswith("num_batches_tracked")
    }  # old checkpoints lack them; unused here
    if error := mismatch(own, weights, counters):
        raise BadInput(
            f"the checkpoint for encoder {name!r} {error}; give weights made for this network."
        )
    network.load_state_dict({key: weights[key] for key in own if key in weights}, strict=False)


def weights_or_download(name: str, config: EncoderConfig, address: str) -> dict[str, torch.Tensor]:
    if config.weights:
        return checkpoint(config.weights)
    with fetching(name):
        path = Path(torch.hub.get_dir()) / "checkpoints" / address.rpartition("/")[2]
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(path), progress=False)
        return checkpoint(path)


@contextmanager
def fetching(name: str) -> Iterator[None]:
    """Turn failed downloads into one sentence, an unreachable network into a quick failure."""
    import logging

    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE or not _reachable(constants.ENDPOINT)
    quiet = logging.root.manager.disable
    logging.disable(logging.ERROR)  # the libraries log each retry; the sentence below says it once
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BadInput) or "out of memory" in str(error):
            raise
        raise Missing(
            f"the weights of encoder {name!r} are not on this machine and could not be downloaded; "
            "connect to the network, give weights=PATH, or use 'efficientnet_lite0', which needs "
            "no download."
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = offline
        logging.disable(quiet)


def _reachable(address: str) -> bool:
    """Whether the host's name resolves; with a proxy that is the proxy's business."""
    if any(
        os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    ):
        return True
    try:
        socket.getaddrinfo(address.partition("://")[2].partition("/")[0].partition(":")[0], 443)
    except OSError:
        return False
    return True
