"""The demo's pictures: many, several kinds, with repeats and wrong labels that are declared."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.sources import demo_photos
from coreset_engine.sources.open import open_source


@pytest.fixture(scope="module")
def photos():
    return open_source("demo-photos")


def test_it_is_a_real_set_of_colour_pictures(photos):
    assert len(photos) == 640 and len(photos.classes) == 12
    counts = np.bincount(photos.labels, minlength=12)
    assert counts.min() >= 10 and counts.max() > 2 * counts.min()
    picture = np.asarray(photos.image(0))
    assert picture.shape == (96, 96, 3) and picture.std() > 10


def test_what_is_planted_is_declared(photos):
    planted = photos.columns["planted"]
    wrong = np.asarray(photos.classes)[photos.labels] != photos.columns["true_class"]
    assert set(np.flatnonzero(wrong)) == set(np.flatnonzero(planted == "wrong label"))
    assert wrong.sum() == 24
    assert "planted" in photos.notes[0].text and "24 wrong labels" in photos.notes[0].text
    pictures = [photos.image(i).tobytes() for i in range(len(photos))]
    for i in np.flatnonzero(planted == "exact duplicate"):
        assert pictures.count(pictures[i]) >= 2
    assert (planted == "near-duplicate").sum() == 24


def test_it_is_the_same_set_every_time(photos):
    demo_photos._made.cache_clear()
    assert open_source("demo-photos").fingerprint == photos.fingerprint


def test_nothing_goes_after_its_name():
    with pytest.raises(BadInput, match="use 'demo-photos'"):
        open_source("demo-photos:more")


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(demo_photos, "find_spec", lambda name: None)
    demo_photos._made.cache_clear()
    with pytest.raises(Missing, match="pip install scikit-image"):
        demo_photos.open_demo_photos()
    demo_photos._made.cache_clear()
