"""Label Studio: tasks.json to import, config.xml, the images to serve; reads its export back.

Tasks come best first, and only for unlabelled images. The suggested class (label spreading
from given labels, else the pseudo-label) is a prediction, which the annotator confirms or changes.
`prefix` is how the project reaches the pictures: the default suits Label Studio's local file
serving with `destination` as document root.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images
from coreset_engine.export.formats.image_files import BROWSER
from coreset_engine.export.staging import final_destination, fresh

PREFIX = "/data/local-files/?d="
FROM = "label"
TO = "image"


def write_label_studio(
    bundle: ExportBundle,
    destination: str | Path,
    progress: Progress = silent,
    *,
    link: str = "hard",
    labels: str = "auto",
    prefix: str = PREFIX,
) -> dict[str, Any]:
    """Write tasks.json, config.xml and images/ into `destination`, best image first.

    Parameters
    ----------
    bundle, destination, progress
        What to write where, and whom to tell.
    link
        "hard" or "copy".
    labels
        "truth", "pseudo" or "auto": see `images.class_labels`; shown as a prediction.
    prefix
        How the project reaches the pictures. The default is Label Studio's local file serving with
        `destination` as document root.

    Raises
    ------
    Missing
        Without pictures.
    BadInput
        When `destination` cannot be written or an option is unknown.
    """
    images.check_link(link)
    destination = Path(destination)
    rows = images.kept(bundle, bundle.to_label)
    if not len(rows) and bundle.selected.any():
        raise BadInput(
            f"all {int(bundle.selected.sum()):,} selected images are labelled; choose the next "
            "ones first (coreset next)."
        )
    classes = images.suggested_labels(bundle, labels)
    confidence = _confidence(bundle)
    tasks = []
    with filesystem.writing(destination):
        folder = fresh(destination / "images")
        for number, row in enumerate(rows, 1):
            path = images.put(bundle, row, folder, link, BROWSER)
            data = dict(
                image=prefix + quote(f"images/{path.name}"),
                coreset_id=str(bundle.ids[row]),
                **{f"coreset_{name}": value for name, value in images.scores(bundle, row).items()},
            )
            tasks.append(
                dict(
                    id=number,
                    data=data,
                    predictions=_prediction(
                        classes.name(row), None if confidence is None else float(confidence[row])
                    ),
                )
            )
            progress(number, len(rows), "pictures")
        images.write_json(destination / "tasks.json", tasks)
        (destination / "config.xml").write_text(_config(classes.names), encoding="utf-8")
    return dict(
        tasks=len(tasks),
        classes=len(classes.names),
        path=str(destination / "tasks.json"),
        config=str(destination / "config.xml"),
        **({"steps": _steps(destination)} if prefix == PREFIX else {}),
    )


def _confidence(bundle: ExportBundle) -> np.ndarray | None:
    """(N,) how sure the suggested label is, in [0, 1]; None where that is not known."""
    for column in ("suggested_confidence", "confidence"):
        if column in bundle.table:
            return bundle.table[column].to_numpy(float)
    return None


def _steps(destination: Path) -> list[str]:
    """How to make Label Studio show the pictures, and where tasks and labels go."""
    root = final_destination(destination).resolve()
    return [
        "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={shlex.quote(str(root))}",
        "in the project: Settings > Labeling Interface > Code: paste config.xml",
        "Settings > Cloud Storage > Add Source Storage > Local files, Absolute local path "
        f"{shlex.quote(str(root / 'images'))}; save it, do not sync it (otherwise every image "
        "becomes its own task)",
        "Import: tasks.json; when labelled, Export as JSON and run: coreset import-labels FILE "
        f"--selection {shlex.quote(str(root))} --out NEXT",
    ]


def _prediction(name: str | None, confidence: float | None) -> list[dict[str, Any]]:
    if name is None:
        return []
    result = dict(from_name=FROM, to_name=TO, type="choices", value=dict(choices=[name]))
    return [
        dict(model_version="coreset", result=[result])
        | ({} if confidence is None else {"score": confidence})
    ]


def _config(known: Sequence[str]) -> str:
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in known)
    return (
        f'<View>\n  <Image name="{TO}" value="$image"/>\n  <Choices name="{FROM}" toName="{TO}" choice="single">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )
