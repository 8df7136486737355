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
