"""Vectors belong to pictures: adding images embeds the new ones, removing and renaming none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreset_engine.artifacts.store import Store
from coreset_engine.embedding import embedder
from coreset_engine.embedding.encoders.base import square
from coreset_engine.embedding.encoders.builders import make_encoder
from coreset_engine.pipeline.embedding_stage import plan_reuse
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch):
    """(folder of images, embedded): how many images each call of `embedded` embedded."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    counts = []
    plain = embedder._embed_range

    def counted(ds, encoder, start, stop, *rest):
        counts.append(stop - start)
        return plain(ds, encoder, start, stop, *rest)

    monkeypatch.setattr(embedder, "_embed_range", counted)
    folder = tmp_path / "images"
    folder.mkdir()

    def embedded() -> tuple[int, np.ndarray, list[str]]:
        counts.clear()
        run = Run(open_source(str(folder)), device="cpu")
        vectors = np.array(run.vectors)
        return sum(counts), vectors, run.dataset.ids.tolist()

    return folder, embedded


def save(folder: Path, seed: int, name: str = "") -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / (name or f"p{seed:03d}.png"))


def test_adding_removing_renaming_and_copies(workspace, tmp_path: Path, monkeypatch):
    folder, embedded = workspace
    for seed in range(21):
        save(folder, seed)
    assert embedded()[0] == 21
    save(folder, 90, "a-new.png")
    count, vectors, ids = embedded()
    assert count == 1 and ids[0] == "a-new.png"
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "other"))
    afresh = embedded()
    assert afresh[0] == 22 and np.array_equal(afresh[1], vectors)  # bit for bit
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    (folder / "p003.png").unlink()
    count, fewer, names = embedded()
    assert count == 0 and np.array_equal(fewer, np.delete(vectors, ids.index("p003.png"), axis=0))
    (folder / "p004.png").rename(folder / "z.png")
    count, renamed, names = embedded()
    assert count == 0 and np.array_equal(renamed[names.index("z.png")], fewer[4])
    (folder / "copy.png").write_bytes((folder / "z.png").read_bytes())
    count, copied, names = embedded()
    assert count == 0
    assert np.array_equal(copied[names.index("copy.png")], copied[names.index("z.png")])


def test_byte_identical_pictures_are_embedded_once(workspace):
    folder, embedded = workspace
    save(folder, 1)
    for copy in range(5):
        (folder / f"c{copy}.png").write_bytes((folder / "p001.png").read_bytes())
    save(folder, 2)
    count, vectors, _ = embedded()
    assert count == 2 and (vectors[:6] == vectors[0]).all() and not (vectors[6] == vectors[0]).all()


def test_a_changed_picture_of_the_same_name_is_embedded_again(workspace):
    folder, embedded = workspace
    for seed in range(4):
        save(folder, seed)
    _, before, _ = embedded()
    save(folder, 50, "p002.png")
    count, after, _ = embedded()
    assert count == 1
    assert [np.array_equal(a, b) for a, b in zip(before, after)] == [True, True, False, True]


def test_another_encoder_or_fit_shares_nothing(workspace, tmp_path: Path):
    folder, embedded = workspace
    for seed in range(3):
        save(folder, seed)
    assert embedded()[0] == 3
    run = Run(open_source(str(folder), fit="squash"), device="cpu")
    assert run.store.manifest("embeddings", run.embeddings.key)["info"]["embedded"] == 3


def test_a_damaged_artefact_is_not_reused(workspace, tmp_path: Path):
    folder, embedded = workspace
    for seed in range(3):
        save(folder, seed)
    _, before, _ = embedded()
    vectors = next(Store(tmp_path / "home").home.rglob("artefacts/embeddings/*/vectors.npy"))
    data = bytearray(vectors.read_bytes())
    data[-1] ^= 255
    vectors.write_bytes(data)
    save(folder, 9)
    count, after, _ = embedded()
    assert count == 4 and np.array_equal(after[:3], before)


def test_a_plan_asks_for_each_unknown_content_once():
    digests = np.array([b"b", b"a", b"b", b"c", b"a"], "S32")
    plan = plan_reuse(digests, iter(()))
    assert plan.todo.tolist() == [0, 1, 3] and plan.row.tolist() == [0, 1, 0, 2, 1]
    unproven = plan_reuse(np.array([b"", b"", b"x"], "S32"), iter(()))
    assert unproven.todo.tolist() == [0, 1, 2]


@pytest.mark.parametrize("size", [64, 224])
def test_a_vector_does_not_depend_on_the_batch(size: int):
    encoder = make_encoder("efficientnet_lite0", device="cpu", image_size=size)
    shape = (9, size, size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    full = encoder.forward(pixels)
    for begin, end in ((0, 1), (3, 5), (2, 9), (8, 9)):
        assert np.array_equal(encoder.forward(pixels[begin:end]), full[begin:end])


def flag(left: tuple, right: tuple) -> Image.Image:
    image = Image.new("RGB", (240, 60), (250, 250, 250))
    image.paste(left, (0, 0, 60, 60))
    image.paste(right, (180, 0, 240, 60))
    return image


def test_wide_pictures_that_differ_at_their_ends_differ():
    one = flag((0, 0, 160), (200, 0, 0))
    two = flag((0, 120, 0), (240, 120, 0))
    assert np.array_equal(square(one, 32, "crop"), square(two, 32, "crop"))
    for fit in ("auto", "pad", "squash"):
        assert not np.array_equal(square(one, 32, fit), square(two, 32, fit))
    padded = square(one, 32, "pad")
    assert (padded[0] == 128).all() and not (padded[16] == 128).all()


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (3, 2), (65, 64)])
@pytest.mark.parametrize("fit", ["auto", "crop", "pad", "squash"])
def test_any_shape_becomes_a_square(shape, fit):
    assert square(Image.new("L", shape, 7), 64, fit).shape == (64, 64, 3)


def test_usual_photographs_are_cropped_as_encoders_were_trained():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert np.array_equal(square(image, 32, "auto"), square(image, 32, "crop"))
