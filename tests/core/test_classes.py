"""A class is a name: numbers are mapped by name, and a folder name gives the class name back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset_engine.core.classes import align_classes, class_of_folder, folder_names, names_of


def test_numbers_are_mapped_by_name_never_by_position():
    found = align_classes(["ant", "bee", "cat"], ["bee", "cat", "dog"])
    assert found.codes.tolist() == [1, 2, -1]
    assert (found.only_a, found.only_b) == (("ant",), ("dog",))
    assert found.apply(np.array([0, 1, 2, -1, 0])).tolist() == [1, 2, -1, -1, 1]


def test_names_that_are_numbers_are_names():
    # Sorted as text "10" comes before "2"; as numbers it does not. Both lists mean the same.
    found = align_classes(["1", "10", "2"], ["1", "2", "10"])
    assert found.codes.tolist() == [0, 2, 1]


def test_case_spaces_and_the_empty_name_are_part_of_a_name():
    found = align_classes(["", "Cat", "cat", "cat "], ["cat", "cat ", "CAT", ""])
    assert found.codes.tolist() == [2, 3, -1, 0]


def test_decomposed_names_of_macos_match_composed_ones_where_there_is_no_doubt():
    composed = "caf\u00e9"
    decomposed = "cafe\u0301"
    assert align_classes([composed, "x"], [decomposed]).codes.tolist() == [0]
    # both spellings in one list: two classes, each matched exactly
    both = align_classes([composed, decomposed], [decomposed, composed])
    assert both.codes.tolist() == [1, 0]


def test_labels_beyond_the_names_are_their_numbers():
    assert names_of(("a",), np.array([-1, 0, 2])) == ("a", "1", "2")
    assert names_of((), np.array([], int)) == ()
    assert align_classes(names_of((), np.array([1])), ["1"]).codes.tolist() == [1]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("cat", "cat"),
        ("two words", "two words"),
        ("日本", "日本"),
        ("", "%"),
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        (".git", "%2Egit"),
        ("cat ", "cat%20"),
        ("CON", "%43ON"),
        ("nul.txt", "%6Eul.txt"),
        ("50%", "50%25"),
        ("a\\b:c", "a%5Cb%3Ac"),
    ],
)
def test_folder_of_a_class(name, folder):
    assert folder_names([name]) == {name: folder}
    assert class_of_folder(folder) == name


def test_classes_that_differ_in_case_only_get_folders_that_do_not():
    found = folder_names(["Cat", "cat", "cat ", "CAT", "Dog"])
    assert found == {
        "Cat": "%43at",
        "cat": "cat",
        "cat ": "cat%20",
        "CAT": "%43%41%54",
        "Dog": "Dog",
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(TEXT, unique=True, max_size=8))
def test_folders_are_different_on_every_file_system_and_reversible(names):
    found = folder_names(names)
    assert [class_of_folder(folder) for folder in found.values()] == names
    assert len({folder.casefold() for folder in found.values()}) == len(names)
    for folder in found.values():
        assert folder and not set(folder) & set('<>:"/\\|?*\0\n')
        assert folder[0] not in ". " and folder[-1] not in ". "
        assert len(folder.encode()) <= 255


def test_a_very_long_name_is_cut_and_stays_different():
    names = ["x" * 300, "x" * 301, "日" * 200]
    found = folder_names(names)
    assert len(set(found.values())) == 3
    assert all(len(folder.encode()) <= 255 for folder in found.values())
