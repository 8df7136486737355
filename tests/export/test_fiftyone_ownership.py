"""What is in a user's FiftyOne dataset is theirs: never overwritten, and back as it was when an
export fails."""

from __future__ import annotations

import pytest
import scenes_ownership as scenes
from synthetic_bundles import pictures


@pytest.fixture
def source(tmp_path):
    return str(pictures(tmp_path / "images"))


@pytest.mark.parametrize(
    "what", ["field", "tag", "saved view", "saved view with the same slug", "brain run", "run"]
)
def test_a_name_somebody_else_took_is_refused_before_the_first_write(
    fiftyone, source, tmp_path, what
):
    found = fiftyone(scenes.taken, str(tmp_path), source, what)
    assert f"already has a {what.removesuffix(' with the same slug')} " in found["said"]
    assert "give the selection another name" in found["said"]
    assert found["same"] and found["kept"] == 3


def test_the_tag_coreset_of_somebody_else_is_left_alone(fiftyone, source, tmp_path):
    found = fiftyone(scenes.shared_tag, str(tmp_path), source, "shared tag")
    assert [counts["coreset"] for counts in found["counts"]] == [1, 1] and found["still"]
    assert [counts["coreset:main"] for counts in found["counts"]] == [3, 5]
    assert "was not made by this export and was left alone" in found["said"]


@pytest.mark.parametrize("exported_before", [False, True])
@pytest.mark.parametrize("where", scenes.FAILURES)
def test_a_failed_export_leaves_the_dataset_as_it_was(
    fiftyone, source, tmp_path, where, exported_before
):
    found = fiftyone(scenes.failing, str(tmp_path), source, where, exported_before)
    assert found["failed"] and found["same"]
    assert found["points"] == (8 if exported_before else False)
    assert found["kept"] == 3 and found["scratch"] == []


def test_remains_of_a_killed_process_are_known_as_ours(fiftyone, source, tmp_path):
    found = fiftyone(scenes.killed, str(tmp_path), source, "killed")
    assert found["left"] == ["coreset_umap_unfinished"]
    assert sorted(found["brain"]) == ["coreset_similarity", "coreset_umap"]
    assert found["kept"] == 3 and set(found["mine"]) == {"text"}


def test_an_id_that_another_source_happens_to_share_matches_nothing(fiftyone, source, tmp_path):
    other = pictures(tmp_path / "elsewhere")
    for path in other.rglob("*.*"):
        path.write_bytes(path.read_bytes() + b"other")
    found = fiftyone(scenes.strangers_ids, str(tmp_path), source, str(other), "strangers ids")
    assert "has none of these 8 images" in found["said"] and found["same"]


def test_a_source_that_grew_is_matched_by_its_files(fiftyone, source, tmp_path):
    found = fiftyone(scenes.grown_source, str(tmp_path), source, "grown")
    assert found == {"written": 8, "absent": 1, "kept": 8, "n": 8}


def test_every_slice_of_a_group_is_tagged_and_shown_and_no_tag_stays(fiftyone, tmp_path):
    for seen in fiftyone(scenes.groups, str(tmp_path), "slices"):
        assert seen["tagged"] == seen["shared"] == seen["shown"] == seen["wanted"]
        assert seen["ranks"] == seen["told"] == len(seen["wanted"])


def test_dynamic_groups_are_opened_and_patches_are_refused(fiftyone, tmp_path):
    found = fiftyone(scenes.odd_views, str(tmp_path), "odd views")
    assert found["dynamic"] == 4 and "shows patches, clips or frames" in found["said"]


def test_a_full_database_is_a_sentence_and_the_next_try_works(fiftyone, source, tmp_path):
    found = fiftyone(scenes.full_database, str(tmp_path), source, "full database")
    first, second = found["said"]
    assert "refuses to write the dataset 'full database' (OperationFailure: No space left" in first
    assert "nothing of this export remains in it; make room" in first and found["same"]
    assert "could not be removed (OperationFailure" in second
    assert "export the same selection again" in second
    assert found["kept"] == 3 and set(found["mine"]) == {"text"}


def test_a_full_disk_leaves_no_half_of_a_new_dataset(fiftyone, source, tmp_path):
    found = fiftyone(scenes.full_new_dataset, str(tmp_path), source, "full new")
    assert found["said"][1::2] == [False] * 3
    assert "'/tmp/x' cannot be written (No space left on device)" in found["said"][0]
    assert all(
        "refuses to write the dataset 'full new'" in message for message in found["said"][2::2]
    )
    assert found["created"] and found["kept"] == 3
