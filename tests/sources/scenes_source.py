"""What the FiftyOne source tests do inside a process with a real FiftyOne; each returns plain data
to compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.fiftyone_labels import read_labels
from coreset_engine.sources.open import open_source


def picture(path: Path, shade: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (5, 3), (shade, 10, 200)).save(path)
    return str(path)


def build(folder, name, n=6):
    """A dataset as users have it: labels, tags, plain fields, vectors, two saved views."""
    import fiftyone as fo
    import fiftyone.brain as brain

    dataset = fo.Dataset(name)
    samples = []
    for i in range(n):
        # the same file name in every folder, and awkward characters
        path = picture(Path(folder) / f"ünï {i} ☃" / "same name.png", 20 * i)
        sample = fo.Sample(
            filepath=path,
            patient=f"p{i // 2}",
            cost=i + 0.5 if i else None,
            night=bool(i % 2),
            vec=np.arange(4.0) + i,
            tags=["even"] if i % 2 == 0 else ["odd", "x"],
        )
        sample["ground_truth"] = fo.Classification(label=f"c{i % 3}") if i != 4 else None
        sample["other"] = fo.Classification(label="same")
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    dataset.save_view("late first", dataset.sort_by("cost", reverse=True).limit(4))
    dataset.save_view("nothing", dataset.match_tags("no such tag"))
    brain.compute_similarity(dataset, embeddings=np.eye(n, 8), brain_key="sim", backend="sklearn")
    return dict(ids=dataset.values("id"), paths=dataset.values("filepath"))


def look(spec, **options):
    dataset = open_source(spec, **options)
    return dict(
        spec=dataset.spec,
        ids=dataset.ids.tolist(),
        paths=dataset.paths.tolist(),
        classes=dataset.classes,
        labels=None if dataset.labels is None else dataset.labels.tolist(),
        fingerprint=dataset.fingerprint,
        columns={
            name: [None if v != v else v for v in column.tolist()]
            for name, column in dataset.columns.items()
        },
        vectors=None if dataset.vectors is None else dataset.vectors.tolist(),
        shades=[shade(dataset, i) for i in range(len(dataset))],
        rejected=[(row.name, row.reason) for row in dataset.rejected],
    )


def shade(dataset, i):
    try:
        return int(np.asarray(dataset.image(i))[0, 0, 0])
    except BadInput:
        return None


def refused(spec):
    try:
        open_source(spec)
    except BadInput as error:
        return str(error)
    return ""


def changes(folder, name):
    """Fingerprints: as built, values reordered, a label changed, one deleted, one added, a file
    replaced."""
    import fiftyone as fo

    build(folder, name)
    dataset = fo.load_dataset(name)
    prints = {"built": open_source(f"fiftyone:{name}").fingerprint}
    dataset.save_view("turned", dataset.sort_by("filepath", reverse=True))
    prints["turned"] = open_source(f"fiftyone:{name}/turned").fingerprint
    sample = dataset.first()
    sample["ground_truth"] = fo.Classification(label="new")
    sample.save()
    prints["relabelled"] = open_source(f"fiftyone:{name}").fingerprint
    dataset.add_samples(
        [fo.Sample(filepath=picture(Path(folder) / "extra.png", 7))], progress=False
    )
    prints["added"] = open_source(f"fiftyone:{name}").fingerprint
    dataset.delete_samples([dataset.last().id])
    prints["back"] = open_source(f"fiftyone:{name}").fingerprint
    dataset.delete_samples([dataset.first().id])
    prints["deleted"] = open_source(f"fiftyone:{name}").fingerprint
    picture(Path(dataset.first().filepath), 99)
    prints["repainted"] = open_source(f"fiftyone:{name}").fingerprint
    return prints


def groups(folder, name):
    import fiftyone as fo

    dataset = fo.Dataset(name)
    dataset.add_group_field("scene", default="left")
    samples = []
    owners = []
    for i in range(3):
        group = fo.Group()
        for side in ("left", "right"):
            samples.append(
                fo.Sample(
                    filepath=picture(Path(folder) / f"{i}-{side}.png", i), scene=group.element(side)
                )
            )
            owners.append(group.id)
    dataset.add_samples(samples, progress=False)
    found = open_source(f"fiftyone:{name}")
    owner_of = dict(zip((sample.id for sample in samples), owners, strict=True))
    return dict(
        ids=found.ids.tolist(),
        group=found.columns["group"].tolist(),
        wanted=[owner_of[key] for key in found.ids.tolist()],
    )


def back_again(folder, name):
    """Open, choose, change the dataset behind our back, export to it: what lands where."""
    import fiftyone as fo

    from coreset_engine.artifacts.selection_folder import read_selection, write_selection
    from coreset_engine.core.types import Selection
    from coreset_engine.export.bundle import ExportBundle
    from coreset_engine.export.fiftyone import live

    build(folder, name)
    source = open_source(f"fiftyone:{name}")
    kept = np.array([4, 0, 2])
    scores = np.arange(6.0)
    chosen = Selection(source.ids[kept], kept, np.ones(3), scores, "random", {}, source.fingerprint)
    written = write_selection(
        Path(folder) / "selection",
        source,
        chosen,
        {},
        dict(source=source.spec, source_fingerprint=source.fingerprint, method="random"),
    )
    dataset = fo.load_dataset(name)
    gone = source.ids[2]
    dataset.delete_samples([gone])
    dataset.add_samples([fo.Sample(filepath=picture(Path(folder) / "new.png", 7))], progress=False)
    table, manifest = read_selection(written)
    answer = live.write_fiftyone_dataset(ExportBundle(table, manifest, Path(folder)), name)
    ids = dataset.values("id")
    return dict(
        told=answer,
        ids=source.ids.tolist(),
        score=dict(zip(ids, dataset.values("coreset_score"), strict=True)),
        tagged=dataset.match_tags("coreset").values("id"),
        labels=dataset.values("ground_truth.label"),
        tags=dataset.count_sample_tags(),
        count=len(dataset),
    )


def made_here_comes_back(folder, name):
    """A folder exported to FiftyOne and opened from there: the same images, labels and names."""
    import fiftyone as fo

    from coreset_engine.artifacts.selection_folder import read_selection, write_selection
    from coreset_engine.core.types import Selection
    from coreset_engine.export.bundle import ExportBundle
    from coreset_engine.export.fiftyone import live

    for i, position in enumerate(("a/1.png", "b/1.png", "b/ü ☃.png", "c/2.png")):
        picture(Path(folder) / "pics" / position, 40 * i)
    source = open_source(str(Path(folder) / "pics"))
    chosen = Selection(
        source.ids[:1], np.array([0]), np.ones(1), np.zeros(4), "random", {}, source.fingerprint
    )
    written = write_selection(
        Path(folder) / "selection",
        source,
        chosen,
        {},
        dict(source=source.spec, source_fingerprint=source.fingerprint, method="random"),
    )
    live.write_fiftyone_dataset(ExportBundle(*read_selection(written), Path(folder), source), name)
    found = open_source(f"fiftyone:{name}")
    first = fo.load_dataset(name).first()  # label one image in FiftyOne
    first["person"] = fo.Classification(label="seen")
    first.save()
    ours = dict(zip(*fo.load_dataset(name).values(["id", "coreset_id"]), strict=True))
    row = {key: i for i, key in enumerate(source.ids.tolist())}
    order = [row[ours[key]] for key in found.ids.tolist()]
    return dict(
        order=sorted(order),
        classes=[list(source.classes), list(found.classes)],
        labels=[source.labels[order].tolist(), found.labels.tolist()],
        same=[
            bool((np.asarray(source.image(i)) == np.asarray(found.image(j))).all())
            for j, i in enumerate(order)
        ],
        spec=found.spec,
        back=[
            read_labels(name, "person"),
            {first["coreset_id"]: "seen"},
            read_labels(name, "ground_truth"),
            {
                str(key): source.classes[code]
                for key, code in zip(source.ids, source.labels, strict=True)
            },
        ],
    )


def labels_of_every_kind(folder):
    """What a source makes of labels that are empty, several, or those of objects."""
    import fiftyone as fo

    def box(label):
        return fo.Detection(label=label, bounding_box=[0, 0, 0.5, 0.5])

    dataset = fo.Dataset("labels of every kind")
    names = [("cat",), ("",), ("cat", "dog"), ("dog", "dog"), ()]
    for number, labels in enumerate(names):
        sample = fo.Sample(filepath=picture(Path(folder) / f"{number}.png", 20 * number))
        sample["one"] = fo.Classification(label=labels[0]) if labels else None
        sample["many"] = fo.Classifications(
            classifications=[fo.Classification(label=label) for label in labels]
        )
        sample["ground_truth"] = fo.Detections(detections=[box(label) for label in labels])
        dataset.add_sample(sample)
    found = {}
    for field in ("one", "many", "ground_truth", None):
        source = open_source(
            "fiftyone:labels of every kind", **({"labels": field} if field else {})
        )
        labels = source.labels
        found[str(field)] = dict(
            names=None
            if labels is None
            else [source.classes[c] if c >= 0 else "-" for c in labels],
            notes=[note.text for note in source.notes if note.topic == "labels"],
        )
    return found
