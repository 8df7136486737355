"""Sprite sheets put the right picture in the right place, quickly; broken files become a crossed
tile."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset
from ui.components import thumbnails, tiles
from ui.components.tiles import TILE


def dataset_of(reader, n=600, fingerprint="f"):
    return Dataset("x", np.array([f"id-{i}" for i in range(n)]), fingerprint, reader)


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))


def flat(i):
    return Image.new("RGB", (28, 28), (i % 251, 0, 9))


def test_sheet_places_tiles_in_order():
    chosen = [5, 250, 7, 599]
    got = tiles.sheet(dataset_of(flat, fingerprint="order"), chosen, columns=3)
    assert got.shape == (2 * TILE, 3 * TILE, 3)
    for position, i in enumerate(chosen):
        row, column = divmod(position, 3)
        middle = got[row * TILE + TILE // 2, column * TILE + TILE // 2]
        assert middle.tolist() == [i % 251, 0, 9]
    assert (got[TILE:, TILE:] == 0).all()


def test_a_broken_image_is_a_tile_not_an_error():
    def reader(i):
        raise BadInput("cannot be decoded")

    tile = tiles.sheet(dataset_of(reader, fingerprint="broken"), [0])[:TILE, :TILE]
    assert tile[0, 0].tolist() == [90, 90, 90] and tile[0, TILE // 2].tolist() == [150, 150, 150]


def test_small_images_grow_without_blur_and_wide_ones_keep_their_shape():
    checker = Image.fromarray((np.indices((8, 8)).sum(0) % 2 * 255).astype(np.uint8))
    assert set(np.unique(np.asarray(tiles.fitted(checker, TILE)))) == {0, 255}
    wide = np.asarray(tiles.fitted(Image.new("RGB", (400, 100), "white"), TILE))
    assert (wide[:10] == 128).all() and (wide[TILE // 2] == 255).all()


def test_large_images_are_shrunk_once_and_kept(tmp_path):
    calls = []

    def reader(i):
        calls.append(i)
        return Image.new("RGB", (2000, 1000), "red")

    for _attempt in range(2):
        tiles._tile(dataset_of(reader, fingerprint="large"), 3)
    assert calls == [3] and len(list((tmp_path / "thumbs").rglob("*.jpg"))) == 1


def test_five_hundred_thumbnails_fit_one_small_sheet():
    dataset = dataset_of(flat, fingerprint="fast")
    url = thumbnails.data_url(tiles.sheet(dataset, list(range(500))))
    assert url.startswith("data:image/jpeg;base64,") and len(url) < 2_000_000


@pytest.mark.parametrize(
    "name, caption",
    [
        ("train-07049", "…07049"),
        ("folder/sub/0123456.png", "…0123456"),
        ("abcdefghijklmn", "…fghijklmn"),
        ("photo-12", "photo-12"),
    ],
)
def test_a_long_id_keeps_its_last_part_whole(name, caption):
    assert thumbnails._short_id(name, 10) == caption
