"""Labels people gave in FiftyOne, read back; each scene returns plain data."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_import import import_labels


def labelled(folder, name):
    """Six samples of an exported dataset with labels of every kind."""
    import fiftyone as fo

    dataset = fo.Dataset(name)
    for i in range(6):
        path = Path(folder) / f"p{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i * 30, 0, 0)).save(path)
        dataset.add_sample(fo.Sample(filepath=str(path), coreset_id=f"p{i}.png"))
    several = [["cat"], ["cat", "dog"], [], ["dog"], ["dog", "dog"], ["cat"]]
    names = ["cat", "dog", None, "cat", "dog", "cat"]
    one = [None if n is None else fo.Classification(label=n) for n in names]
    dataset.set_values("person", one)
    dataset.set_values("ground_truth", [fo.Classification(label="old")] * 6)
    dataset.set_values("coreset_pseudo_label", [fo.Classification(label="cluster 1")] * 6)
    run = dataset.init_run()
    run.manifest = {"source_fingerprint": "ours"}
    run.tag = "coreset:main"
    dataset.register_run("coreset_main", run)
    found = {}
    for spec in (f"fiftyone:{name}", f"fiftyone:{name}/person"):
        found[spec] = import_labels(spec).match(_ids(), fingerprint="ours").labels
    named = import_labels(f"fiftyone:{name}", label_column="ground_truth")
    found["by option"] = named.match(_ids(), fingerprint="ours").labels
    # ids of another source that look the same are not looked at; the files are
    rows = import_labels(f"fiftyone:{name}")
    found["foreign"] = _said(lambda: rows.match(_ids(), fingerprint="another"))
    files = [str(Path(folder) / key) for key in _ids()]
    found["files"] = rows.match([f"id {i}" for i in range(6)], files, fingerprint="another").labels
    tags = [fo.Classifications(classifications=_classes(fo, c)) for c in several]
    dataset.set_values("several", tags)
    match = import_labels(f"fiftyone:{name}/several").match(_ids(), fingerprint="ours")
    found["several"] = [match.labels, match.set_aside]
    boxes = [fo.Detections(detections=_boxes(fo, c)) for c in several]
    dataset.set_values("boxes", boxes)
    found["boxes"] = (
        import_labels(f"fiftyone:{name}/boxes").match(_ids(), fingerprint="ours").labels
    )
    found["ambiguous"] = _said(lambda: import_labels(f"fiftyone:{name}"))
    found["unknown"] = _said(lambda: import_labels(f"fiftyone:{name}/nix"))
    return found


def _classes(fo, names):
    return [fo.Classification(label=name) for name in names]


def _boxes(fo, names):
    return [fo.Detection(label=name, bounding_box=[0, 0, 1, 1]) for name in names]


def _ids():
    return [f"p{i}.png" for i in range(6)]


def _said(call):
    try:
        call()
    except BadInput as error:
        return str(error)
    return ""


def kinds_of_fields(folder, name):
    """Classes in fields of whole numbers, truth values, fractions and lists; views; groups."""
    import fiftyone as fo

    from coreset_engine.sources.open import open_source

    dataset = fo.Dataset(name)
    paths = []
    for i in range(4):
        path = Path(folder) / f"p{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i * 30, 0, 0)).save(path)
        paths.append(str(path))
    numbers = [10, 9, None, 10]
    for path, number in zip(paths, numbers, strict=True):
        sample = fo.Sample(filepath=path, number=number, truth=number == 10, share=0.5)
        sample["words"] = [] if number is None else [f"n{number}"]
        dataset.add_sample(sample)
    dataset.save_view("two", dataset[:2])
    ids = [f"p{i}.png" for i in range(4)]
    found = {}
    for field in ("number", "truth", "words", "two/number", "share", "id"):
        rows = f"fiftyone:{name}/{field}"
        found[field] = _error_of(lambda rows=rows: import_labels(rows).match(ids, paths).labels)
    for field in ("number", "truth", "share"):
        found[f"source {field}"] = _error_of(
            lambda field=field: _classes_of(open_source(f"fiftyone:{name}", labels=field))
        )
    return found


def _error_of(call):
    """What the call gives, or the sentence it refuses with."""
    try:
        return call()
    except BadInput as fault:
        return str(fault)


def _classes_of(source):
    return [list(source.classes), source.labels.tolist()]


def grouped(folder, name):
    """Every slice of a group is read: tags, predictions, decisions."""
    import fiftyone as fo

    from coreset_engine.sources import fiftyone_labels as sources

    dataset = fo.Dataset(name)
    dataset.add_group_field("group", default="left")
    for i in range(3):
        group = fo.Group()
        for part in ("left", "right"):
            path = Path(folder) / f"{part}{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (i * 30, 0, 0)).save(path)
            dataset.add_sample(
                fo.Sample(
                    filepath=str(path),
                    group=group.element(part),
                    tags=["confirm-label"],
                    predictions=fo.Classification(label=part),
                )
            )
    run = dataset.init_run()
    run.manifest = {"source_fingerprint": "ours"}
    run.tag = "coreset:main"
    alone = _error_of(lambda: sources.decision_rows(name))
    dataset.register_run("coreset_main", run)
    return dict(
        alone=alone,
        tags=len(sources.sample_tags(name)),
        predictions=len(sources.prediction_table(f"{name}/predictions")),
        decisions=sorted(sources.decision_rows(name).values()),
    )
