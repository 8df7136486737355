"""A FiftyOne dataset with detections: objects opened, chosen, and exported back as boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import coreset_engine as ce
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.export.targets import export
from coreset_engine.selection.request import SelectionRequest


def round_trip(position, name):
    """Six objects of three pictures, one box outside; three chosen and exported."""
    import fiftyone as fo

    made = fo.Dataset(name)
    for number in range(3):
        path = Path(position) / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (40, 80, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        boxes = [[0.1, 0.25, 0.25, 0.5], [0.5, 0.5, 0.25, 0.25]]
        boxes += [[2.0, 2.0, 0.1, 0.1]] if number == 0 else []
        found = [fo.Detection(label=f"kind {at}", bounding_box=box) for at, box in enumerate(boxes)]
        made.add_sample(fo.Sample(str(path), boxes=fo.Detections(detections=found)))
    source = ce.open_source(f"fiftyone:{name}", patches="boxes")
    again = ce.open_source(source.spec)
    run = ce.Run(source, store=Store(Path(position) / "home"))
    request = SelectionRequest.of("random", count=3)
    export(run, target="fiftyone", request=request, name=name)
    made.reload()
    chosen = [str(key) for key in ce.select(request, run).ids]
    exported = {
        sample.id: [
            [one.label, *np.round(one.bounding_box, 6).tolist()]
            for one in sample["coreset_objects"].detections
        ]
        for sample in made
        if sample["coreset_objects"] is not None
    }
    return dict(
        ids=[str(key) for key in source.ids],
        same=source.fingerprint == again.fingerprint,
        sizes=[list(source.image(i).size) for i in range(2)],
        classes=[source.classes[code] for code in source.labels],
        aside=[[one.reason, one.count] for one in source.rejected],
        chosen=chosen,
        exported=exported,
        tagged=sorted(made.match_tags("coreset:main").values("id")),
        samples={sample.id: [one.id for one in sample["boxes"].detections] for sample in made},
    )


def refusals(folder, name):
    import fiftyone as fo

    path = Path(folder) / "one.png"
    Image.new("RGB", (8, 8)).save(path)
    made = fo.Dataset(name)
    made.add_sample(fo.Sample(str(path), truth=fo.Classification(label="a")))
    message = []
    for options in (dict(patches="truth"), dict(patches="x", embeddings="y")):
        try:
            ce.open_source(f"fiftyone:{name}", **options)
        except BadInput as error:
            message.append(str(error))
    return message
