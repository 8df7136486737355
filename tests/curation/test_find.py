"""Finding images: by hand on the circle, on a real folder with an encoder, and by text with a CLIP
model small enough to make here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.types import Dataset
from coreset_engine.curation import search_index
from coreset_engine.curation.search import find, marginal_relevance
from coreset_engine.curation.search_index import ExactIndex, ListIndex, best, build
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source

DEGREES = np.array([0, 10, 20, 90, 180, 350])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))


@pytest.fixture
def run():
    """Six vectors on the circle, of different lengths."""
    angle = np.deg2rad(DEGREES)
    vectors = np.c_[np.cos(angle), np.sin(angle)] * np.arange(1, 7)[:, None]
    ids = np.array([f"d{degrees}" for degrees in DEGREES])
    columns = {"half": np.where(DEGREES <= 90, "right", "left")}
    return Run(
        Dataset("circle", ids, "circle", vectors=vectors.astype(np.float32), columns=columns)
    )


def test_like_one_image(run):
    found = find(run, like="d0", count=3)
    assert found.ids.tolist() == ["d10", "d350", "d20"]  # 10 and 350 degrees are equally near
    assert found.similarity == pytest.approx(np.cos(np.deg2rad([10, 10, 20])), abs=1e-6)
    assert found.embedded == 0 and found.recall == 1.0 and len(found) == 3


def test_like_the_centre_of_several(run):
    """Of 0 and 20 degrees the centre is 10, whatever the vectors' lengths."""
    found = find(run, like=["d0", "d20"], count=2)
    assert found.ids.tolist() == ["d10", "d350"]
    assert found.similarity == pytest.approx([1, np.cos(np.deg2rad(20))], abs=1e-6)


def test_a_filter_that_leaves_nothing_is_refused_before_anything_is_embedded(tmp_path):
    for i in range(3):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
    run = Run(open_source(str(tmp_path)))
    with pytest.raises(BadInput, match="leaves none of the 3 images"):
        find(run, like="0.png", where="id contains x")
    assert not run.ready("embeddings")


def test_within_a_filter_as_a_filter_and_as_a_start(run):
    found = find(run, like="d0", count=10, where="half=left")
    assert found.ids.tolist() == ["d350", "d180"] and found.where.text == "half=left"
    assert found.filter.text == "id in (d350, d180)"
    request = found.request("random", 3)
    assert request.must_keep == ("d350", "d180") and request.budget.count == 3
    neighbours = find(run, like=np.array([0.0, 2.0], np.float32), count=1)
    assert neighbours.ids.tolist() == ["d90"]


def test_diverse_by_hand(run):
    """lambda 0.5 from d0: first 10 degrees. Then 350: 0.5 cos 10 - 0.5 cos 20 = 0.023, 20:
    0.5 cos 20 - 0.5 cos 10 < 0, 90: 0 - 0.5 cos 80 = -0.087: 350 is next."""
    found = find(run, like="d0", count=2, diverse=True)
    assert found.ids.tolist() == ["d10", "d350"]
    rows = np.eye(3)[[0, 0, 1]]
    chosen = marginal_relevance(rows, np.array([0.9, 0.8, 0.3]), 3, 0.5)
    assert chosen.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    "query, message",
    [
        ({}, "a search needs one query"),
        ({"like": "d0", "text": "x"}, "a search needs one query"),
        ({"like": []}, "the query is empty"),
        ({"like": " "}, "the query is empty"),
        ({"text": "  "}, "the text query is empty"),
        ({"like": "nobody"}, "neither an id of this source nor a file"),
        ({"like": 3}, "not an id, a file, an image or a vector"),
        ({"like": np.zeros(3, np.float32)}, "must be 2 finite numbers"),
        ({"like": ["d0", "d180"]}, "no common direction"),
        ({"like": "d0", "count": 0}, "must be a whole number of at least 1"),
        ({"like": "d0", "relevance": 2}, r"must lie in \[0, 1\]"),
        ({"like": "d0", "where": "half=top"}, "leaves none of the 6 images"),
        ({"like": "d0", "where": "id=d0"}, "only the images of the query itself"),
        ({"text": "a cat"}, "no matching text tower"),
        ({"like": Image.new("RGB", (8, 8))}, "there is no encoder"),
    ],
)
def test_queries_that_cannot_work_say_why(run, query, message):
    with pytest.raises(BadInput, match=message):
        find(run, **query)


def test_the_largest_without_sorting_all():
    values = np.array([0.5, 0.9, 0.5, 0.5, 0.1])
    assert best(values, 3)[0].tolist() == [1, 0, 2]  # ties by position
    assert best(values, 9)[0].tolist() == [1, 0, 2, 3, 4]
    mask = np.array([1, 0, 1, 1, 1], bool)
    assert best(values, 2, mask)[0].tolist() == [0, 2]


@pytest.fixture(scope="module")
def clustered():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(50, 24))
    rows = centres[rng.integers(0, 50, 6000)] + 0.4 * rng.normal(size=(6000, 24))
    return rows.astype(np.float32)


def test_lists_find_what_a_pass_finds(clustered):
    index, probed, recall = build(clustered)
    lists = ListIndex(clustered, index, probed, recall)
    exact = ExactIndex(clustered)
    assert recall >= 0.98
    shared = []
    for row in range(0, 6000, 300):
        direction = clustered[row] / np.linalg.norm(clustered[row])
        one, two = (index.search(direction, 20) for index in (lists, exact))
        shared.append(len(np.intersect1d(one[0], two[0])) / 20)
        assert one[1][0] == pytest.approx(two[1][0], abs=1e-6)
    assert np.mean(shared) >= 0.95
    mask = np.arange(6000) % 2 == 0
    assert (lists.search(direction, 20, mask)[0] % 2 == 0).all()


def test_masked_lists_look_into_the_lists(clustered, monkeypatch):
    monkeypatch.setattr(search_index, "FEW", 10)
    index, probed, recall = build(clustered)
    mask = np.arange(6000) % 2 == 0
    direction = clustered[7] / np.linalg.norm(clustered[7])
    found = ListIndex(clustered, index, probed, recall).search(direction, 10, mask)[0]
    exact = ExactIndex(clustered).search(direction, 10, mask)[0]
    assert len(np.intersect1d(found, exact)) >= 9


def test_an_index_is_kept_and_read_again(clustered, monkeypatch):
    monkeypatch.setattr(search_index, "EXACT_BYTES", 1000)
    ids = np.array([f"i{n}" for n in range(6000)])
    run = Run(Dataset("many", ids, "many", vectors=clustered))
    first = find(run, like="i7", count=10)
    assert first.recall < 1.0 or first.recall >= 0.98
    search_index._KEPT.clear()
    monkeypatch.setattr(search_index, "build", None)  # it must not be built again
    again = find(run, like="i7", count=10)
    assert again.ids.tolist() == first.ids.tolist()


# -- real pictures ---------------------------------------------------------------------------------


def pictures(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, colour in (("red", (200, 30, 30)), ("green", (30, 200, 30)), ("blue", (30, 30, 200))):
        for number in range(3):
            noise = rng.integers(-20, 20, (32, 32, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}{number}.png")
    return folder


def test_an_upload_is_embedded_once_and_as_the_source_is(tmp_path):
    folder = pictures(tmp_path / "images")
    run = Run(open_source(str(folder)))
    outside = tmp_path / "upload.png"
    outside.write_bytes((folder / "green1.png").read_bytes())
    found = find(run, like=outside, count=9)
    assert found.embedded == 1 and found.ids[0] == "green1.png"
    assert found.similarity[0] == pytest.approx(1, abs=1e-6)
    assert set(found.ids[:3]) == {"green0.png", "green1.png", "green2.png"}
    inside = find(run, like=str(folder / "green1.png"), count=8)
    assert inside.embedded == 0 and "green1.png" not in inside.ids
    with pytest.raises(BadInput, match="has no text tower"):
        find(run, text="a green picture")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(BadInput, match="is not an image of a known format"):
        find(run, like=broken)


TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 1,
    },
}


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """(name, checkpoint with both towers, checkpoint of the image tower): a CLIP with one layer a
    tower, weights as they are initialised."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    (folder / "ViT-tiny-test.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "ViT-tiny-test.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model("ViT-tiny-test")
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "both.safetensors")
    image = {name: value for name, value in state.items() if name.startswith("visual.")}
    save_file(image, folder / "image.safetensors")
    return "open_clip:ViT-tiny-test", folder / "both.safetensors", folder / "image.safetensors"


def test_a_text_finds_images_by_the_text_tower(tmp_path, tiny_clip):
    """The cosines are those of the model itself, asked directly."""
    import open_clip
    import torch
    from safetensors.torch import load_file

    name, both, _ = tiny_clip
    run = Run(open_source(str(pictures(tmp_path / "images"))), encoder=name, weights=str(both))
    found = find(run, text="a  green picture", count=9)
    assert found.query == "a green picture" and found.embedded == 1
    model = open_clip.create_model("ViT-tiny-test")
    model.load_state_dict(load_file(both))
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer("ViT-tiny-test")(["a green picture"])
        direction = model.eval().encode_text(tokens)[0].numpy()
    vectors = np.asarray(run.vectors)
    cosine = vectors @ direction / np.linalg.norm(vectors, axis=1) / np.linalg.norm(direction)
    assert found.indices.tolist() == np.argsort(-cosine, kind="stable").tolist()
    assert found.similarity == pytest.approx(np.sort(cosine)[::-1], abs=1e-5)
    assert run.similarity_to("text: a green picture") == pytest.approx(cosine, abs=1e-5)


def test_a_checkpoint_without_text_tower_says_so(tmp_path, tiny_clip):
    name, _, image = tiny_clip
    run = Run(open_source(str(pictures(tmp_path / "images"))), encoder=name, weights=str(image))
    with pytest.raises(
        BadInput, match="which the text tower of encoder .* needs; give a checkpoint"
    ):
        find(run, text="a green picture")


def test_weights_that_are_nowhere_are_a_sentence(tmp_path, monkeypatch):
    from coreset_engine.embedding.encoders import checkpoints
    from coreset_engine.embedding.encoders.text import text_tower

    monkeypatch.setattr(checkpoints, "_reachable", lambda address: False)
    with pytest.raises(Missing, match="are not on this machine and could not be downloaded"):
        text_tower("open_clip:ViT-B-32/openai", None, "cpu")
