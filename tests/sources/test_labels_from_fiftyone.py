"""import-labels fiftyone:NAME[/FIELD]: what people labelled in FiftyOne, by proof of the image."""

from __future__ import annotations

import scenes_labels as scenes


def test_labels_come_back_from_every_kind_of_field(fiftyone, tmp_path):
    found = fiftyone(scenes.labelled, str(tmp_path), "labelled")
    person = {
        "p0.png": "cat",
        "p1.png": "dog",
        "p3.png": "cat",
        "p4.png": "dog",
        "p5.png": "cat",
    }
    # ours and ground_truth are not what people filled in, so one field is left
    assert found["fiftyone:labelled"] == found["fiftyone:labelled/person"] == person
    assert set(found["by option"].values()) == {"old"}
    one_class = {"p0.png": "cat", "p3.png": "dog", "p4.png": "dog", "p5.png": "cat"}
    assert found["several"] == [
        one_class,
        {"several classes for one image": 1, "no label": 1},
    ]
    assert found["boxes"] == one_class
    assert "has 3 fields with labels; name one of" in found["ambiguous"]
    assert (
        "'boxes', 'coreset_pseudo_label', 'ground_truth', 'person', 'several'" in found["unknown"]
    )


def test_an_id_of_another_source_is_not_taken_for_ours(fiftyone, tmp_path):
    found = fiftyone(scenes.labelled, str(tmp_path), "foreign labels")
    assert "none of them is in this source" in found["foreign"]
    assert found["files"] == {
        "id 0": "cat",
        "id 1": "dog",
        "id 3": "cat",
        "id 4": "dog",
        "id 5": "cat",
    }
