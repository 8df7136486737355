"""One contract for every encoder row: shape, type, determinism, independence of the batch; or one
clear sentence."""

from __future__ import annotations

import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from coreset_engine.core import registry
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.types import Dataset
from coreset_engine.embedding.encoders import checkpoints, networks
from coreset_engine.embedding.encoders.builders import make_encoder


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Downloads fail at once, as on a machine without a network; weights already on the machine
    still load."""

    def refuse(*args, **kwargs):
        raise URLError("no network in tests")

    monkeypatch.setattr(checkpoints, "_reachable", lambda address: False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def pictures(count: int = 5, side: int = 40) -> list[Image.Image]:
    rng = np.random.default_rng(7)
    shapes = [(side, side), (side, 2 * side), (side // 2, side), (side + 3, side), (1, 50)]
    return [
        Image.fromarray(rng.integers(0, 256, (*shapes[i % 5], 3), dtype=np.uint8))
        for i in range(count)
    ]


def check_contract(encoder) -> None:
    images = pictures()
    full = encoder.encode(images)
    assert full.shape == (5, encoder.dim) and full.dtype == np.float32 and np.isfinite(full).all()
    assert np.array_equal(full, encoder.encode(images))
    single = np.vstack([encoder.encode([image]) for image in images])
    np.testing.assert_allclose(full, single, rtol=1e-3, atol=1e-4 * float(np.abs(full).max()))
    assert np.linalg.norm(full[0] - full[3]) > 1e-3 * np.linalg.norm(
        full[0]
    )  # different images differ
    assert len(encoder.weights_hash) >= 64 and encoder.name


@pytest.mark.parametrize(
    "name",
    [*registry.ENCODERS, "resnet18+clip", "timm:mobilenetv3_small_050", "open_clip:RN50/openai"],
)
def test_every_encoder_works_or_says_why(name: str):
    try:
        encoder = make_encoder(name, device="cpu", image_size=None)
    except Missing as error:
        assert name != "efficientnet_lite0"
        message = str(error)
        assert (
            message.count("\n") == 0
            and "weights=PATH" in message
            and "efficientnet_lite0" in message
        )
    else:
        check_contract(encoder)
        assert encoder.name == name


@pytest.mark.parametrize(
    "name, build",
    [
        ("resnet18", "torchvision.models:resnet18"),
        ("efficientnet_lite1", "timm:tf_efficientnet_lite1"),
        ("efficientnet_lite2", "timm:tf_efficientnet_lite2"),
        ("timm:vit_tiny_patch16_224", "timm:vit_tiny_patch16_224"),
        ("timm:resnet10t", "timm:resnet10t"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_disk(tmp_path, name, build, suffix):
    """Random weights saved and given as weights=PATH: the same file gives the same features,
    another file others."""
    library, _, architecture = build.partition(":")
    module = __import__(library, fromlist=["x"])
    path = save_random(
        module.create_model if library == "timm" else getattr(module, architecture),
        architecture if library == "timm" else None,
        tmp_path / f"w{suffix}",
    )
    encoder = make_encoder(name, weights=path, device="cpu")
    check_contract(encoder)
    assert encoder.weights_hash == make_encoder(name, weights=path, device="cpu").weights_hash


def save_random(build, architecture, path):
    torch.manual_seed(0)
    state = (build(architecture) if architecture else build()).state_dict()
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    return path


def test_swav_checkpoint_layout(tmp_path):
    """The authors' file has a module. prefix, a projection head and prototypes, and no
    classifier."""
    from torchvision.models import resnet50

    state = {
        f"module.{key}": value
        for key, value in resnet50().state_dict().items()
        if not key.startswith("fc.")
    }
    state["module.prototypes.weight"] = torch.zeros(3, 128)
    torch.save(state, tmp_path / "swav.pth.tar")
    encoder = make_encoder(
        "resnet50_swav", weights=tmp_path / "swav.pth.tar", device="cpu", image_size=64
    )
    assert encoder.encode(pictures(2)).shape == (2, 2048)


def test_open_clip_with_own_weights(tmp_path):
    import open_clip

    torch.save(
        open_clip.create_model("RN50-quickgelu", pretrained=None).state_dict(), tmp_path / "clip.pt"
    )
    encoder = make_encoder("open_clip:RN50-quickgelu", weights=tmp_path / "clip.pt", device="cpu")
    assert encoder.encode(pictures(2)).shape == (2, encoder.dim) and encoder.dim == 1024
    assert encoder.mean == pytest.approx(networks.CLIP[0])


def test_lite0_is_taken_before_the_last_activation():
    """Against timm's own forward pass: our features, clipped to [0, 6] before pooling, are timm's
    pooled ones."""
    import timm

    encoder = make_encoder("efficientnet_lite0", device="cpu", image_size=64)
    images = pictures(3)
    ours = encoder.encode(images)
    assert (ours != 0).all()
    reference = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0).eval()
    given = checkpoints.checkpoint(networks._packaged_lite0())
    state = dict(zip(reference.state_dict(), list(given.values())[:-2], strict=True))
    reference.load_state_dict(state)
    batch = torch.from_numpy(encoder.prepare(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        theirs = reference(batch).numpy()
        before = encoder.network.network.forward_features(batch).clamp(0, 6).mean((2, 3)).numpy()
    np.testing.assert_allclose(before, theirs, atol=1e-4)
    assert (theirs == 0).mean() > 0.3


def test_folded_norms_change_nothing(tmp_path):
    """ResNet-18 with random weights and running statistics, against torchvision's own forward
    pass."""
    from torchvision.models import resnet18

    torch.manual_seed(1)
    reference = resnet18()
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
    torch.save(reference.state_dict(), tmp_path / "r.pt")
    encoder = make_encoder("resnet18", weights=tmp_path / "r.pt", device="cpu", image_size=64)
    reference.fc = torch.nn.Identity()
    images = pictures(3)
    batch = torch.from_numpy(encoder.prepare(images)).permute(0, 3, 1, 2).float() / 255
    batch = (batch - torch.tensor(encoder.mean).view(3, 1, 1)) / torch.tensor(encoder.std).view(
        3, 1, 1
    )
    with torch.inference_mode():
        expected = reference.eval()(batch).numpy()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in encoder.network.modules())
    np.testing.assert_allclose(
        encoder.encode(images), expected, rtol=1e-3, atol=1e-3 * float(expected.max())
    )


def test_concatenation_is_side_by_side(tmp_path):
    one = make_encoder("efficientnet_lite0", device="cpu", image_size=32)
    two = make_encoder("efficientnet_lite0+efficientnet_lite0", device="cpu", image_size=32)
    images = pictures(2)
    assert two.dim == 2560 and two.name == "efficientnet_lite0+efficientnet_lite0"
    assert np.array_equal(two.encode(images), np.hstack([one.encode(images)] * 2))


@pytest.mark.parametrize("side, expected", [(8, 64), (64, 64), (65, 224), (300, 224)])
def test_auto_size_rule(side, expected):
    ds = Dataset("x", np.array(["a"]), "f", reader=lambda i: Image.new("RGB", (side, side)))
    assert make_encoder("efficientnet_lite0", device="cpu").sized_for(ds).image_size == expected
    assert (
        make_encoder("efficientnet_lite0", device="cpu", image_size=96).sized_for(ds).image_size
        == 96
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"name": "efficientnet_lite9"}, "Did you mean 'efficientnet_lite"),
        ({"name": "timm:nope"}, "timm has no network"),
        ({"name": "open_clip:nope/x"}, "has no architecture"),
        ({"name": "open_clip:RN50/nope"}, "choose one of"),
        ({"name": "efficientnet_lite0", "image_size": 5}, "between 16 and 1024"),
        ({"name": ""}, "unknown"),
        ({"name": "efficientnet_lite0", "device": "tpu"}, "unknown"),
        ({"name": "efficientnet_lite0", "weights": "/nowhere.pt"}, "is not a file"),
        ({"name": "resnet18+clip", "weights": "/x.pt"}, "cannot be shared"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(BadInput, match=words):
        make_encoder(**arguments)


def test_pickles_and_foreign_checkpoints_are_refused(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BadInput, match="cannot be read as plain tensors"):
        make_encoder("efficientnet_lite0", weights=tmp_path / "bomb.pt")
    assert not (tmp_path / "ran").exists()
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    for name in ("efficientnet_lite0", "resnet18"):
        with pytest.raises(BadInput, match="made for this network"):
            make_encoder(name, weights=tmp_path / "other.pt")
    (tmp_path / "junk.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(BadInput, match="cannot be read as plain tensors"):
        make_encoder("resnet18", weights=tmp_path / "junk.safetensors")


def test_the_number_of_cores_changes_no_bit():
    import torch

    images = [
        Image.fromarray(array)
        for array in np.random.default_rng(3).integers(0, 255, (24, 64, 64, 3), dtype=np.uint8)
    ]
    encoder = make_encoder("efficientnet_lite0", image_size=64)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(encoder.encode(images))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[1], found[2])


@pytest.mark.parametrize("name", ["clip", "open_clip:ViT-B-32/openai"])
def test_an_absent_open_clip_is_one_sentence(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "open_clip", None)  # importing it raises ImportError
    with pytest.raises(Missing, match=f"encoder '{name}' needs .* pip install open_clip_torch"):
        make_encoder(name)
