"""A selection as one HTML page, for colleagues without the app.

The page is self-contained: images are data URLs, there is no script and no request. The template
(report.html.j2) escapes everything it inserts.
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Dataset, Selection
from ui.components import palette
from ui.components.escape import plain
from ui.components.thumbnails import data_url, sheet

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, eq=False)
class Parts:
    """What a report shows besides the selection; None or empty leaves a part out.

    points: (N, 2) float map positions. groups: names of the groups, and the (N,) int64 group of
    each image, -1 for none. certificate, manifest: nested values as they are stored with the
    selection.
    """

    points: np.ndarray | None = None
    groups: tuple[list[str], np.ndarray] | None = None
    certificate: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)


def report(
    dataset: Dataset,
    selection: Selection,
    parts: Parts = Parts(),
    *,
    title: str,
    pictures: int = 120,
) -> str:
    """Render the page as one HTML text that loads nothing.

    Parameters
    ----------
    dataset : Dataset
        N images.
    selection : Selection
        Of that dataset.
    parts : Parts
        Map, groups, certificate and manifest.
    title : str
        Escaped.
    pictures : int
        How many of the coreset's first images are shown.
    """
    kept = selection.indices
    with_pictures = dataset.reader is not None and pictures > 0
    return _template().render(
        policy=_POLICY,
        title=title,
        headline=_headline(dataset, selection),
        parameters=_parameters(selection),
        certificate=flat(parts.certificate),
        map=None if parts.points is None else map_picture(parts.points, kept),
        colours=palette.LIGHT,
        groups=[] if parts.groups is None else _kept_by_group(*parts.groups, kept),
        thumbnails=data_url(sheet(dataset, kept[:pictures], columns=12)) if with_pictures else "",
        n_thumbnails=min(pictures, len(selection)),
        manifest=_manifest_lines(parts.manifest),
    )


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["line"] = plain
    environment.filters["number_or_line"] = _number_or_line
    return environment.get_template("report.html.j2")


def _number_or_line(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else plain(value)


def _headline(dataset: Dataset, selection: Selection) -> str:
    share = len(selection) / len(dataset)
    kept = f"{len(selection):,} of {len(dataset):,} images kept ({share:.1%})"
    return f"{kept} by {plain(_title(selection.method))}"


def _title(method: str) -> str:
    """The method's title, with its name where the title does not say it."""
    title = METHODS[method].title if method in METHODS else method
    return title if title == method else f"{title} · {method}"


def _parameters(selection: Selection) -> dict[str, Any]:
    return {"method": _title(selection.method), **selection.params, "source": selection.source_key}


def _manifest_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Indented JSON, each line cut at 400 characters."""
    if not manifest:
        return []
    text = json.dumps(manifest, indent=1, default=str, ensure_ascii=True)
    indents = (len(line) - len(line.lstrip()) for line in text.splitlines())
    return [
        "\N{NO-BREAK SPACE}" * indent + plain(line, 400)
        for indent, line in zip(indents, text.splitlines())
    ]


def _kept_by_group(names: list[str], codes: np.ndarray, kept: np.ndarray) -> list[dict[str, str]]:
    total = np.bincount(codes[codes >= 0], minlength=len(names))
    inside = np.bincount(codes[kept][codes[kept] >= 0], minlength=len(names))
    return [
        dict(name=name, total=f"{of:,}", kept=f"{k:,}", share=f"{k / max(1, of):.1%}")
        for name, of, k in zip(names, total, inside)
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested JSON as one level, numbers and short texts only: what a table can show."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{name} ")
        elif isinstance(value, int | float | str | bool):
            out[f"{prefix}{name}".replace("_", " ")] = value
    return out


def map_picture(points: np.ndarray, kept: np.ndarray, width: int = 960, height: int = 620) -> str:
    """The map as a PNG data URL: the rest in grey by density, the coreset on top.

    Parameters
    ----------
    points : (N, 2) float
        Any scale.
    kept : (k,) int64
        Positions of the coreset.
    width, height : int
        Pixels.
    """
    low = points.min(0)
    high = points.max(0)
    scaled = (points - low) / np.maximum(high - low, 1e-9)
    x = (scaled[:, 0] * (width - 9)).astype(int) + 4
    y = ((1 - scaled[:, 1]) * (height - 9)).astype(int) + 4
    canvas = np.full((height, width, 3), 255.0)
    rest = np.bincount(y * width + x, minlength=width * height).reshape(height, width)
    _stamp(canvas, _grown(rest, 1), palette.LIGHT.rest)
    top = np.bincount(y[kept] * width + x[kept], minlength=width * height).reshape(height, width)
    _stamp(canvas, _grown(top, 1 if len(kept) > 5000 else 2), palette.LIGHT.kept)
    out = io.BytesIO()
    Image.fromarray(canvas.astype(np.uint8)).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + b64encode(out.getvalue()).decode("ascii")


def _grown(counts: np.ndarray, by: int) -> np.ndarray:
    """Each dot as a small disc (padding of 4 pixels keeps np.roll from wrapping visibly)."""
    out = np.zeros(counts.shape)
    for dy in range(-by, by + 1):
        for dx in range(-by, by + 1):
            if dx * dx + dy * dy <= by * by:
                out += np.roll(counts, (dy, dx), (0, 1))
    return out


def _stamp(canvas: np.ndarray, density: np.ndarray, color: str) -> None:
    alpha = (1 - 0.35**density)[..., None]
    paint = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], float)
    canvas += alpha * (paint - canvas)
