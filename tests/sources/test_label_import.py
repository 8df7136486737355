"""Labels as real tools write them: read, joined to images by whatever names them, and accounted
for."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_import import import_labels, read_labels

IDS = ["a/0001.png", "a/0002.png", "b/0003.png", "b/x y.png"]
PATHS = [f"/data/set/{key}" for key in IDS]
WANTED = {"a/0001.png": "cat", "a/0002.png": "dog", "b/0003.png": "cat"}


def written(folder, data, name="labels.csv"):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def matched(path, **options):
    return import_labels(path).match(IDS, PATHS, **options)


# -- CSV -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        "id,label\na/0001.png,cat\na/0002.png,dog\nb/0003.png,cat\n",
        "id;label\r\na/0001.png;cat\r\na/0002.png;dog\r\nb/0003.png;cat\r\n",  # Excel in Europe
        "sep=;\r\nid;label\r\na/0001.png;cat\r\na/0002.png;dog\r\nb/0003.png;cat\r\n",
        "id\tlabel\na/0001.png\tcat\na/0002.png\tdog\nb/0003.png\tcat\n",
        "\ufeffID,Label\na/0001.png,cat\na/0002.png,dog\nb/0003.png,cat\n",
        "id,label\na/0001.png,cat\na/0002.png,dog\nb/0003.png,cat\n".encode("utf-16"),
        "id\tlabel\na/0001.png\tcat\na/0002.png\tdog\nb/0003.png\tcat\n".encode("utf-16-le"),
        '"id","label"\n"a/0001.png","cat"\n"a/0002.png","dog"\n"b/0003.png","cat"\n',
        ",id,label\n0,a/0001.png,cat\n1,a/0002.png,dog\n2,b/0003.png,cat\n",  # pandas' index
        "a/0001.png,cat\na/0002.png,dog\nb/0003.png,cat\n",  # no head at all
        "filepath,label\n/data/set/a/0001.png,cat\n/data/set/a/0002.png,dog\n"
        "/data/set/b/0003.png,cat\n",
        "filename,class\n/elsewhere/a/0001.png,cat\n/elsewhere/a/0002.png,dog\n"
        "/elsewhere/b/0003.png,cat\n",
        "image,choice\nC:\\set\\a\\0001.png,cat\nC:\\set\\a\\0002.png,dog\nC:\\set\\b\\0003.png,cat\n",
        "image,choice\n/data/local-files/?d=images/a/0001.png,cat\n"
        "/data/local-files/?d=images/a/0002.png,dog\n/data/local-files/?d=images/b/0003.png,cat\n",
        "file,label\n0001.png,cat\n0002.png,dog\n0003.png,cat\n",
        "key,label\n0001,cat\n0002,dog\n0003,cat\n",
        "id,label\n1,cat\n2,dog\n3,cat\n",  # a spreadsheet ate the zeros
        "coreset_id,id,label\na/0001.png,3,cat\na/0002.png,2,dog\nb/0003.png,1,cat\n",
        # Label Studio with a control called Animal
        "image,id,Animal,annotator,annotation_id,created_at,lead_time\n"
        "a/0001.png,7,cat,1,1,x,1.5\na/0002.png,8,dog,1,2,x,1.5\nb/0003.png,9,cat,1,3,x,1.5\n",
    ],
)
def test_a_table_as_its_tool_writes_it(tmp_path, data):
    assert matched(written(tmp_path, data)).labels == WANTED


def test_separators_of_lines_inside_a_text_are_text(tmp_path):
    path = written(tmp_path, 'id,label\na/0001.png,"a\u2028b"\na/0002.png,"two\nlines"\n')
    assert matched(path).labels == {"a/0001.png": "a\u2028b", "a/0002.png": "two\nlines"}


def test_one_broken_row_is_set_aside_and_costs_no_other(tmp_path):
    lines = [f"i{n:03d},cat" for n in range(100)]
    lines[40] = '"i040"x,cat'
    lines[50] = "i050"
    lines[60] = "i060,"
    lines[70] = "i070,cat,too,many"
    path = written(tmp_path, "id,label\n" + "\n".join(lines) + "\n")
    found = import_labels(path).match([f"i{n:03d}" for n in range(100)])
    assert len(found.labels) == 96 and found.rows == 100
    assert sorted(found.set_aside.values()) == [1, 1, 1, 1]
    assert found.set_aside_examples["no label"] == ["line 62"]
    assert found.set_aside_examples["a field is missing"] == ["line 52"]


def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path):
    path = written(tmp_path, 'id,label\na/0001.png,"cat\na/0002.png,dog\nb/0003.png,cat\n')
    found = matched(path)
    assert found.labels == {"a/0002.png": "dog", "b/0003.png": "cat"}
    assert sum(found.set_aside.values()) == 1


def test_a_file_name_that_two_images_have_names_neither(tmp_path):
    path = written(tmp_path, "file,label\n1.png,cat\n2.png,dog\n")
    found = import_labels(path).match(["a/1.png", "b/1.png", "a/2.png"])
    assert found.labels == {"a/2.png": "dog"} and found.unmatched_examples == ["1.png"]


def test_what_matched_and_what_did_not_is_said_with_examples(tmp_path):
    rows = [f"{key},cat" for key in IDS] + [f"gone{i},dog" for i in range(5)]
    found = matched(written(tmp_path, "id,label\n" + "\n".join(rows)))
    assert (found.rows, found.matched, found.unmatched) == (9, 4, 5)
    assert found.matched_examples == [(key, key) for key in IDS[:3]]
    assert found.unmatched_examples == ["gone0", "gone1", "gone2"]
    message = " ".join(found.sentences())
    assert "4 of 9 rows matched an image by column 'id'" in message and "'gone2'" in message


def test_no_match_at_all_is_a_sentence_with_examples(tmp_path):
    path = written(tmp_path, "id,label\nnobody,cat\n")
    with pytest.raises(BadInput, match="none of them in this source, for example 'nobody'"):
        matched(path)


def test_columns_can_be_named(tmp_path):
    path = written(tmp_path, "pic,id,verdict,label\na/0001.png,9,cat,x\na/0002.png,8,dog,y\n")
    named = import_labels(path, id_column="pic", label_column="verdict").match(IDS, PATHS)
    assert named.labels == {"a/0001.png": "cat", "a/0002.png": "dog"}
    with pytest.raises(BadInput, match="has no column 'nix'; it has pic, id, verdict, label"):
        import_labels(path, label_column="nix")


def test_a_class_known_with_its_spaces_keeps_them(tmp_path):
    path = written(tmp_path, "id,label\na/0001.png,cat \na/0002.png, dog\n")
    assert matched(path, classes=["cat ", "dog"]).labels == {
        "a/0001.png": "cat ",
        "a/0002.png": "dog",
    }


# -- several annotators ----------------------------------------------------------------------------


def test_annotators_vote_and_a_tie_is_left_open(tmp_path):
    votes = {"a/0001.png": "cat cat dog", "a/0002.png": "cat dog", "b/0003.png": "cat"}
    rows = [f"{key},{name}" for key, names in votes.items() for name in names.split()]
    path = written(tmp_path, "id,label\n" + "\n".join(rows))
    found = matched(path)
    assert found.labels == {"a/0001.png": "cat", "b/0003.png": "cat"}
    assert [(one.id, dict(one.votes), one.taken) for one in found.conflicts] == [
        ("a/0001.png", {"cat": 2, "dog": 1}, "cat"),
        ("a/0002.png", {"cat": 1, "dog": 1}, ""),
    ]
    assert "2 images have different labels, 1 decided by majority" in found.sentences()[-1]
    assert matched(path, conflicts="skip").labels == {"b/0003.png": "cat"}
    with pytest.raises(BadInput, match="majority or skip"):
        matched(path, conflicts="last")


# -- Label Studio ----------------------------------------------------------------------------------


def annotation(*choices, **more):
    result = [dict(type="choices", value=dict(choices=list(choices)))] if choices else []
    return dict(result=result, **more)


def task(key, *annotations):
    return dict(data=dict(coreset_id=key, image="x"), annotations=list(annotations))


def test_full_json_counts_annotators_and_not_their_corrections(tmp_path):
    tasks = [
        task(IDS[0], annotation("cat", completed_by=1), annotation("dog", completed_by=2)),
        # the same person twice: the later one counts
        task(
            IDS[1],
            annotation("cat", completed_by=1, updated_at="2024-01-01"),
            annotation("dog", completed_by=1, updated_at="2024-01-02"),
        ),
        # verified ones alone count where there are any
        task(
            IDS[2],
            annotation("dog", completed_by=1),
            annotation("dog", completed_by=2),
            annotation("cat", completed_by=3, ground_truth=True),
        ),
        task(IDS[3], annotation("cat", was_cancelled=True), annotation("dog")),
    ]
    found = matched(written(tmp_path, json.dumps(tasks), "t.json"))
    assert found.labels == {IDS[1]: "dog", IDS[2]: "cat", IDS[3]: "dog"}
    assert len(found.conflicts) == 1 and found.conflicts[0].id == IDS[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["annotations"][0]["result"][0]["value"].update(choices=[]),
        lambda one: one["annotations"][0].pop("result"),
        lambda one: one["annotations"][0].update(result=None),
        lambda one: one["annotations"][0]["result"][0].pop("value"),
        lambda one: one["data"].pop("coreset_id") and one["data"].pop("image"),
        lambda one: one.update(annotations=None),
        lambda one: one.update(annotations=[None]),
        lambda one: one["annotations"][0]["result"][0]["value"].update(choices=["cat", "dog"]),
        lambda one: one.clear(),
    ],
)
def test_one_task_without_a_choice_in_a_hundred_is_set_aside(tmp_path, change):
    ids = [f"p{i:02d}.png" for i in range(100)]
    tasks = [task(key, annotation("cat")) for key in ids]
    change(tasks[40])
    found = import_labels(written(tmp_path, json.dumps(tasks), "t.json")).match(ids)
    assert len(found.labels) == 99 and sum(found.set_aside.values()) == 1
    (positions,) = found.set_aside_examples.values()
    assert positions == ["task 40"]


def test_a_rating_beside_the_choice_and_numbers_as_choices(tmp_path):
    one = task("7", annotation("x"))
    one["annotations"][0]["result"].insert(0, dict(type="rating", value=dict(rating=3)))
    two = dict(data=dict(coreset_id=8), annotations=[annotation(7)])
    assert read_labels(written(tmp_path, json.dumps([one, two]), "t.json")) == {"7": "x", "8": "7"}


def test_json_min_with_several_choices_and_annotators(tmp_path):
    rows = [
        dict(coreset_id=IDS[0], label="cat", annotator=1),
        dict(coreset_id=IDS[0], label="cat", annotator=2),
        dict(coreset_id=IDS[1], label={"choices": ["cat", "dog"]}),
        dict(coreset_id=IDS[2], label={"choices": ["dog"]}),
        dict(coreset_id=IDS[3]),
    ]
    found = matched(written(tmp_path, json.dumps(rows), "min.json"))
    assert found.labels == {IDS[0]: "cat", IDS[2]: "dog"}
    assert found.set_aside == {"several classes for one image": 1, "no label": 1}


def test_csv_of_label_studio_with_several_choices_in_a_cell(tmp_path):
    data = 'coreset_id,label\na/0001.png,"{""choices"": [""cat"", ""dog""]}"\na/0002.png,dog\n'
    found = matched(written(tmp_path, data))
    assert found.labels == {"a/0002.png": "dog"} and sum(found.set_aside.values()) == 1


def test_json_lines_with_a_torn_one(tmp_path):
    lines = [json.dumps(dict(id=key, label="cat")) for key in IDS]
    lines[1] = lines[1][:-4]
    found = matched(written(tmp_path, "\n".join(lines), "l.jsonl"))
    assert sorted(found.labels) == [IDS[0], IDS[2], IDS[3]]


# -- COCO, YOLO, CVAT, folders, Parquet ------------------------------------------------------------


def test_coco(tmp_path):
    document = dict(
        images=[dict(id=i, file_name=key.split("/")[1]) for i, key in enumerate(IDS)],
        categories=[dict(id=5, name="cat"), dict(id=9, name="dog")],
        annotations=[
            dict(image_id=0, category_id=5),
            dict(image_id=1, category_id=9),
            dict(image_id=1, category_id=9),
            dict(image_id=2, category_id=5),
            dict(image_id=2, category_id=9),
            dict(image_id=3, category_id=77),
        ],
    )
    for path in (
        written(tmp_path, json.dumps(document), "coco.json"),
        written(tmp_path, json.dumps(document), "folder.json").parent,
    ):
        found = matched(path)
        assert found.labels == {IDS[0]: "cat", IDS[1]: "dog"}
        reasons = ("several classes for one image", "the file does not list its category")
        assert found.set_aside == dict.fromkeys(reasons, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "cat\ndog\n"),
        ("data.yaml", "names: [cat, dog]\n"),
        ("data.yaml", "names:\n  0: cat\n  1: dog\n"),
    ],
)
def test_yolo(tmp_path, name, text):
    (tmp_path / "labels").mkdir()
    (tmp_path / name).write_text(text)
    (tmp_path / "labels" / "0001.txt").write_text("0 .5 .5 1 1\n0 .1 .1 .2 .2\n")
    (tmp_path / "labels" / "0002.txt").write_text("1 .5 .5 1 1\n")
    (tmp_path / "labels" / "0003.txt").write_text("")
    found = matched(tmp_path)
    assert found.labels == {IDS[0]: "cat", IDS[1]: "dog"} and found.set_aside == {"no label": 1}


def test_cvat(tmp_path):
    text = (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
        '<image id="0" name="a/0001.png"><tag label="cat"/></image>'
        '<image id="1" name="a/0002.png"><box label="dog" xtl="0"/><box label="dog"/></image>'
        '<image id="2" name="b/0003.png"/></annotations>'
    )
    found = matched(written(tmp_path, text, "annotations.xml"))
    assert found.labels == {IDS[0]: "cat", IDS[1]: "dog"} and found.set_aside == {"no label": 1}
    with pytest.raises(BadInput, match="XML entities"):
        matched(written(tmp_path, '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "bomb.xml"))


def test_a_folder_for_every_class(tmp_path):
    for folder in ("cat/0001.png", "%43at/0002.png", "b%2Fc/0003.png"):
        (tmp_path / folder).parent.mkdir(exist_ok=True)
        (tmp_path / folder).write_bytes(b"")
    assert matched(tmp_path).labels == {IDS[0]: "cat", IDS[1]: "Cat", IDS[2]: "b/c"}


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(["cat", None, "dog", ""]),
        pa.array(["cat", None, "dog", ""]).dictionary_encode(),
        pa.array([{"label": "cat"}, None, {"label": "dog"}, {"label": None}]),
        pa.array([["cat"], [], ["dog"], None], pa.list_(pa.string())),
        pa.array(["cat", None, "dog", ""], pa.large_string()),
    ],
)
def test_parquet_with_nested_and_null_classes(tmp_path, labels):
    pq.write_table(pa.table({"id": IDS, "label": labels}), tmp_path / "l.parquet")
    found = matched(tmp_path / "l.parquet")
    assert found.labels == {IDS[0]: "cat", IDS[2]: "dog"} and found.set_aside == {"no label": 2}


def test_parquet_with_numbers_and_their_names_in_the_schema(tmp_path):
    features = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    image = pa.array([{"path": key, "bytes": b"x"} for key in IDS])
    columns = {"image": image, "label": np.array([0, 1, -1, 1])}
    pq.write_table(pa.table(columns).replace_schema_metadata(about), tmp_path / "l.parquet")
    assert matched(tmp_path / "l.parquet").labels == {IDS[0]: "cat", IDS[1]: "dog", IDS[3]: "dog"}
    pq.write_table(pa.table(columns), tmp_path / "bare.parquet")  # classes without names
    assert matched(tmp_path / "bare.parquet").labels[IDS[3]] == "1"


def test_a_number_that_a_spreadsheet_made_a_fraction_is_the_number():
    from coreset_engine.sources.label_formats import classes_of

    assert (
        classes_of(7.0) == ("7",)
        and classes_of(float("nan")) == ()
        and classes_of(True) == ("true",)
    )


@pytest.mark.parametrize(
    "document",
    [
        {"images": [{"id": [1], "file_name": "a/0001.png"}], "annotations": [{"image_id": [1]}]},
        {"images": [1, None], "annotations": [1], "categories": 5},
        {"images": [{"id": 1}], "annotations": [{"category_id": {}, "image_id": 1}]},
        [{"data": {"coreset_id": "a"}, "annotations": 5}],
        [{"data": [1], "annotations": [{"result": 5}]}],
    ],
)
def test_documents_that_lie_about_their_types_are_a_sentence(tmp_path, document):
    path = written(tmp_path, json.dumps(document), "x.json")
    with pytest.raises(BadInput, match="x.json"):
        read_labels(path)


# -- names that two systems write differently


def test_unicode_forms_letter_case_and_uploaded_names_match():
    composed = ["caf\u00e9.png", "IMG_2.JPG", "1a2b3c4d.png"]
    decomposed = "id,label\ncafe\u0301.png,a\nimg_2.jpg,b\n1a2b3c4d.png,c\n"
    assert imported(decomposed, composed) == {composed[0]: "a", composed[1]: "b", composed[2]: "c"}
    uploads = (
        '[{"data": {"image": "/data/upload/3/0a1b2c3d-caf\u00e9.png"}, "annotations": '
        '[{"result": [{"value": {"choices": ["a"]}}]}]}]'
    )
    assert imported(uploads, composed) == {composed[0]: "a"}


def imported(text, ids):
    with tempfile.TemporaryDirectory() as folder:
        return import_labels(written(Path(folder), text, "given")).match(ids).labels


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = written(tmp_path, "id,label,label\na/0001.png,x,y\n")
    with pytest.raises(BadInput, match="2 columns called 'label'; rename them"):
        import_labels(path)


@pytest.mark.parametrize("start", [b"PK\x03\x04\x14\x00", b"\xd0\xcf\x11\xe0\xa1\xb1"])
def test_a_workbook_is_named_as_one(tmp_path, start):
    with pytest.raises(BadInput, match="is a workbook or an archive.*save the sheet as CSV"):
        import_labels(written(tmp_path, start * 20, "labels.xlsx"))


def test_the_names_of_yolo_classes_must_be_readable(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0001.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "data.yaml").write_text("names: [a, b")
    with pytest.raises(BadInput, match="data.yaml.*cannot be read.*classes.txt"):
        import_labels(tmp_path)


def test_a_yolo_class_beyond_the_names_is_set_aside(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0001.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "labels" / "0002.txt").write_text("5 .5 .5 .1 .1\n")
    (tmp_path / "labels" / "classes.txt").write_text("ant\nbee\n")
    match = import_labels(tmp_path).match(IDS)
    assert match.labels == {"a/0001.png": "ant"} and match.rows == 2
    assert match.set_aside == {"a class number that the list of names does not have": 1}


def test_paths_of_other_files_are_other_images_and_a_copy_is_the_same(tmp_path):
    """Rows that name train/1.png and val/1.png label the first alone where train is the source;
    where neither is in the source, both may be what was copied."""
    for part in ("train", "val", "copy"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "1.png").write_bytes(b"x")
    rows = [f"{tmp_path}/train/1.png,cat", f"{tmp_path}/val/1.png,dog"]
    both = import_labels(written(tmp_path, "\n".join(["file,label", *rows])))
    match = both.match(["1.png"], [str(tmp_path / "train" / "1.png")])
    assert match.labels == {"1.png": "cat"} and match.unmatched == 1
    one = import_labels(written(tmp_path, "\n".join(["file,label", rows[0]])))
    copied = one.match(["1.png"], [str(tmp_path / "copy" / "1.png")])
    assert copied.labels == {"1.png": "cat"}


def test_a_file_of_probabilities_is_answered_with_where_predictions_go(tmp_path):
    path = written(tmp_path, "image,p_cat,p_dog\na/0001.png,0.5,0.5\n")
    with pytest.raises(BadInput, match="needs id and label.*predictions of a model are taken by"):
        matched(path)
