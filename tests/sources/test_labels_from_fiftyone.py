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
    assert "none of them in this source" in found["foreign"]
    assert found["files"] == {
        "id 0": "cat",
        "id 1": "dog",
        "id 3": "cat",
        "id 4": "dog",
        "id 5": "cat",
    }


def test_fields_of_numbers_and_lists_are_classes_where_they_are_named(fiftyone, tmp_path):
    found = fiftyone(scenes.kinds_of_fields, str(tmp_path), "kinds of fields")
    assert found["number"] == {"p0.png": "10", "p1.png": "9", "p3.png": "10"}
    assert found["truth"] == dict(zip(scenes._ids()[:4], "true false false true".split()))
    assert found["words"] == {"p0.png": "n10", "p1.png": "n9", "p3.png": "n10"}
    assert found["two/number"] == {"p0.png": "10", "p1.png": "9"}
    for field in ("share", "id"):
        assert "neither a label field nor a saved view" in found[field]
    assert found["source number"] == [["9", "10"], [1, 0, -1, 1]]
    assert found["source truth"] == [["false", "true"], [1, 0, 0, 1]]
    assert "has no label field 'share'" in found["source share"]


def test_every_slice_of_a_group_is_read(fiftyone, tmp_path):
    found = fiftyone(scenes.grouped, str(tmp_path), "grouped labels")
    assert found["tags"] == found["predictions"] == 6
    assert found["decisions"] == ["confirm"] * 6
    assert "holds no selection made by Coreset Explorer" in found["alone"]
