"""Labels as tools and people write them: what each file says of three pictures, or why it is
refused. The right classes are written by hand from each tool's own description of its format."""

from __future__ import annotations

import json

import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_import import import_labels

IDS = ["a.png", "b.png", "c.png"]
ABC = {"a.png": "cat", "b.png": "dog", "c.png": "cat"}
AB = {"a.png": "cat", "b.png": "dog"}


def labels_of(path, **columns):
    return import_labels(path, **columns).match(IDS)


def coco(images, annotations, categories):
    return json.dumps(
        dict(
            images=[dict(id=key, file_name=name) for key, name in images],
            annotations=[dict(image_id=image, category_id=one) for image, one in annotations],
            categories=[dict(id=key, name=name) for key, name in categories],
        )
    )


PAIR = [(1, "a.png"), (2, "b.png")]
KNOWN = [(1, "cat"), (2, "dog")]


def task(*results, **more):
    answers = [
        dict(from_name=name, type=kind, value={kind: value}) for name, kind, value in results
    ]
    annotations = [dict(completed_by=1, result=answers)] if results else []
    return dict(data=dict(image="a.png"), annotations=annotations) | more


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("filename,cat,dog\na.png,1,0\nb.png,0,1\nc.png,1,0\n", ABC),
        ("filename, Blue Jay, dog\na.png, 1.0, 0.0\nb.png, 0.0, 1.0\nc.png, 1.0, 1.0\n",
         {"a.png": "Blue Jay", "b.png": "dog"}),
        ("filename,class,class_name\na.png,0,cat\nb.png,1,dog\nc.png,0,cat\n", ABC),
        ("Image Name,Class Name\na.png,cat\nb.png,dog\nc.png,cat\n", ABC),
        ("# made by a tool\n# version 2\nid,label\na.png,cat\nb.png,dog\n", AB),
        ("TRAIN,gs://bucket/a.png,cat\nTEST,gs://bucket/b.png,dog\n", AB),
        ("id,label\na.png,1.0\nb.png,2.0\nc.png,\n", {"a.png": "1", "b.png": "2"}),
        ("id,label\na.png,cat|dog\nb.png,dog\nc.png,cat\n", {"b.png": "dog", "c.png": "cat"}),
        ("id,label\na.png,NA\nb.png,None\nc.png,null\n",
         {"a.png": "NA", "b.png": "None", "c.png": "null"}),
        ("filename,width,class,xmin,ymin\na.png,8,cat,1,1\na.png,8,dog,2,1\nb.png,8,dog,1,1\n",
         {"b.png": "dog"}),
        ('filename,file_attributes,region_attributes\na.png,"{}","{""kind"":""cat""}"\n'
         'b.png,"{""kind"":{""dog"":true,""cat"":false}}","{}"\n', AB),
    ],
    ids="one-hot roboflow spelt-names spaced-names comments automl floats several na objects via".split(),
)  # fmt: skip
def test_tables(tmp_path, text, right):
    (tmp_path / "labels.csv").write_text(text)
    assert labels_of(tmp_path / "labels.csv").labels == right


@pytest.mark.parametrize(
    ("content", "right"),
    [
        ([dict(image="/data/upload/1/0a1b2c3d-a.png", sentiment="cat", id=1, lead_time=2.0),
          dict(image="/data/upload/1/0a1b2c3d-b.png", sentiment="dog", id=2, lead_time=2.0)], AB),
        ([task(("stars", "rating", 4))], {"a.png": "4"}),
        ([task(("kind", "taxonomy", [["Animal", "Cat"]]))], {"a.png": "Animal/Cat"}),
        ([task(("shape", "ellipselabels", ["cat"]))], {"a.png": "cat"}),
        ({"a.png9": dict(filename="a.png", regions=[dict(region_attributes=dict(kind="cat"))]),
          "b.png9": dict(filename="b.png", regions={}, file_attributes=dict(kind="dog"))}, AB),
    ],
    ids="json-min rating taxonomy ellipse via".split(),
)  # fmt: skip
def test_json(tmp_path, content, right):
    (tmp_path / "labels.json").write_text(json.dumps(content))
    assert labels_of(tmp_path / "labels.json").labels == right


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([task(("kind", "choices", ["cat"]), ("quality", "choices", ["blurred"]))],
         r"several controls \(kind, quality\); name one: FILE#NAME or --label-column"),
        ([task(("note", "text", ["a cat"]))], "free text"),
        ([task(predictions=[dict(result=[])])], "predictions of a model and no annotation"),
        ([dict(image="a.png", mood="good", colour="red")], "image, mood, colour.*--label-column"),
        (json.loads(coco([(1, "a.png"), (1, "b.png")], [(1, 1)], KNOWN)), "id is also that of another"),
        (json.loads(coco(PAIR, [(1, 1)], [(1, "cat"), (1, "dog")])), "two names"),
        (json.loads(coco(PAIR, [(1, 9)], KNOWN)), "does not list its category"),
    ],
    ids="controls free-text predictions fields image-ids categories unknown".split(),
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_reason(tmp_path, content, reason):
    (tmp_path / "labels.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match=reason):
        labels_of(tmp_path / "labels.json")


def test_one_of_several_controls_can_be_named(tmp_path):
    both = [task(("kind", "choices", ["cat"]), ("quality", "choices", ["blurred"]))]
    (tmp_path / "labels.json").write_text(json.dumps(both))
    found = labels_of(tmp_path / "labels.json", label_column="quality")
    assert found.labels == {"a.png": "blurred"}


def test_ids_of_coco_that_two_images_share_cost_these_images_only(tmp_path):
    document = coco([(1, "a.png"), (1, "b.png"), (2, "c.png")], [(1, 1), (2, 2), (7, 1)], KNOWN)
    (tmp_path / "coco.json").write_text(document)
    found = labels_of(tmp_path / "coco.json")
    assert found.labels == {"c.png": "dog"}
    assert found.set_aside == {
        "its id is also that of another image of the file": 2,
        "belongs to an image that the file does not list": 1,
    }


def test_categories_of_coco_may_be_a_mapping(tmp_path):
    document = json.loads(coco(PAIR, [(1, 1), (2, 2)], [])) | {
        "categories": {"1": "cat", "2": "dog"}
    }
    (tmp_path / "coco.json").write_text(json.dumps(document))
    assert labels_of(tmp_path / "coco.json").labels == AB


def test_a_stale_file_name_in_pascal_voc_gives_way_to_the_name_of_the_xml(tmp_path):
    for name, label in AB.items():
        xml = f"<annotation><filename>image.jpg</filename><object><name>{label}</name></object>"
        (tmp_path / name.replace(".png", ".xml")).write_text(f"{xml}</annotation>")
    assert labels_of(tmp_path).labels == AB


def test_two_lists_of_yolo_names_that_disagree_are_refused(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 1 1\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    notes = [dict(id=0, name="dog"), dict(id=1, name="cat")]
    (tmp_path / "notes.json").write_text(json.dumps(dict(categories=notes)))
    with pytest.raises(BadInput, match="class 0 is 'cat' in .*classes.txt.* and 'dog' in .*notes"):
        labels_of(tmp_path)


@pytest.mark.parametrize("name", ["狗", "ねこ", "Кошка"])
def test_national_encodings_are_refused_and_never_garbled(tmp_path, name):
    encoding = {"狗": "gb18030", "ねこ": "shift_jis", "Кошка": "cp1251"}[name]
    (tmp_path / "labels.csv").write_bytes(
        f"id,label\na.png,{name}\nb.png,{name}\n".encode(encoding)
    )
    with pytest.raises(BadInput, match="not UTF-8.*save it as UTF-8"):
        labels_of(tmp_path / "labels.csv")


@pytest.mark.parametrize("name", ["Straße", "Citroën", "Ångström", "œuf", "100 €", "“quoted”"])
def test_western_texts_of_excel_are_read(tmp_path, name):
    (tmp_path / "labels.csv").write_bytes(f"id;label\na.png;{name}\n".encode("cp1252"))
    assert labels_of(tmp_path / "labels.csv").labels == {"a.png": name}


def test_xml_is_read_in_the_encoding_it_declares(tmp_path):
    head = '<?xml version="1.0" encoding="GB2312"?>'
    body = "<filename>a.png</filename><object><name>猫</name></object>"
    text = f"{head}<annotation>{body}</annotation>"
    (tmp_path / "a.xml").write_bytes(text.encode("gb2312"))
    assert labels_of(tmp_path / "a.xml").labels == {"a.png": "猫"}
