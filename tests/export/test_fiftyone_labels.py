"""Given labels, suspects and decisions go to FiftyOne and come back; predictions are read from it."""

from __future__ import annotations

import pytest
import scenes_label_exports as scenes
from synthetic_bundles import NAMES, pictures


@pytest.fixture
def source(tmp_path):
    return str(pictures(tmp_path / "images"))


def test_labels_go_there_and_decisions_come_back(fiftyone, source, tmp_path):
    found = fiftyone(scenes.there_and_back, str(tmp_path), source, "labels")
    first, second = sorted(found["given"], key=lambda key: found["given"][key] or "zzz")[:2]
    assert (found["given"][first], found["given"][second]) == ("cat", "dog")
    assert sum(name is not None for name in found["given"].values()) == 2
    assert found["suspects"] == [second, first], "most suspect first, only the suspected"
    assert found["confidence"] == [0.9] and found["said"].count("confirm") == 1
    assert found["decisions"] == {second: "confirm", first: "ignore"}
    assert found["relabelled"] == {second: "owl"}
    assert (found["kind"], found["classes"], found["missing"]) == ("logits", ["a", "b"], 0)
    assert found["rows"] == len(NAMES)


def test_what_is_not_there_is_a_sentence(fiftyone):
    message = fiftyone(scenes.refusals, "labels")
    assert (
        "no dataset 'nobody'" in message[0]
        and "holds no selection made by Coreset Explorer" in message[1]
    )
    assert "NAME/FIELD" in message[2] and "no field 'field' of classifications" in message[3]
