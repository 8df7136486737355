"""Label Studio: tasks.json to import, config.xml for the project, the pictures to serve; and its
export read back.

Tasks come best first; the pseudo-label is a prediction, which the annotator confirms or changes.
`prefix` is how the project reaches the pictures: the default suits Label Studio's local file
serving with `place` as document root.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images

PREFIX = "/data/local-files/?d="
FROM = "label"
TO = "image"


def write_label_studio(
    bundle: ExportBundle,
    place: str | Path,
    progress: Progress = silent,
    *,
    link: str = "hard",
    labels: str = "auto",
    prefix: str = PREFIX,
) -> dict[str, Any]:
    """Write tasks.json, config.xml and images/ into `place`. Raises Missing without pictures,
    BadInput else."""
    images.check_link(link)
    place = Path(place)
    rows = images.kept(bundle)
    names = images.class_names(bundle, labels)
    known = sorted({name for name in names if name is not None})
    confidence = (
        bundle.table["confidence"].to_numpy(float) if "confidence" in bundle.table else None
    )
    tasks = []
    try:
        folder = images.fresh(place / "images")
        for number, row in enumerate(rows, 1):
            path = images.put(bundle, row, folder, link)
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
                        names[row], None if confidence is None else float(confidence[row])
                    ),
                )
            )
            progress(number, len(rows), "pictures")
        images.write_json(place / "tasks.json", tasks)
        (place / "config.xml").write_text(_config(known), encoding="utf-8")
    except OSError as fault:
        raise BadInput(
            f"{str(place)!r} cannot be written ({fault.strerror or fault}); choose a folder you can write, "
            "on a disk with room."
        ) from None
    return dict(
        tasks=len(tasks),
        classes=len(known),
        path=str(place / "tasks.json"),
        config=str(place / "config.xml"),
    )


def _prediction(name: str | None, confidence: float | None) -> list[dict[str, Any]]:
    if name is None:
        return []
    result = dict(from_name=FROM, to_name=TO, type="choices", value=dict(choices=[name]))
    return [
        dict(model_version="coreset", result=[result])
        | ({} if confidence is None else {"score": confidence})
    ]


def _config(known: list[str]) -> str:
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in known)
    return (
        f'<View>\n  <Image name="{TO}" value="$image"/>\n  <Choices name="{FROM}" toName="{TO}" choice="single">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )
