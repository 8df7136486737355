"""A selection on one HTML page, for colleagues without the app: map, knobs, counts, certificate,
pictures, manifest.

One self-contained file: pictures are data URLs, there is no script and no request, every name from
data is escaped.
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from coreset_engine.core.types import Dataset, Selection
from ui.components import palette
from ui.components.escape import hypertext as safe
from ui.components.thumbnails import data_url, sheet

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;background:#fff;max-width:1000px;margin:32px auto;
padding:0 20px}h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:28px 0 8px}p.sub{color:#5f6b7a;margin:2px 0 0}
table{border-collapse:collapse;font-size:14px}td,th{padding:3px 14px 3px 0;text-align:left;border-bottom:1px solid
#e4e7eb}td.n{text-align:right;font-variant-numeric:tabular-nums}img{max-width:100%;border:1px solid #e4e7eb;
border-radius:6px}pre{background:#f3f5f8;padding:12px;border-radius:6px;overflow:auto;font-size:12px}
.two{display:flex;gap:32px;flex-wrap:wrap}i.kept{display:inline-block;width:.8em;height:.8em;border-radius:50%;
background:#0072B2}i.rest{display:inline-block;width:.8em;height:.8em;border-radius:50%;background:#c3cad3}"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report(
    dataset: Dataset,
    selection: Selection,
    *,
    title: str,
    points: np.ndarray | None = None,
    groups: tuple[list[str], np.ndarray] | None = None,
    certificate: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
    pictures: int = 120,
) -> str:
    """The page as text. points: (N, 2) map. groups: names and (N,) int64 group of each image (-1 =
    none)."""
    parts = [
        f"<h1>{safe(title)}</h1>",
        f'<p class="sub">{_headline(dataset, selection)}</p>',
        '<div class="two">',
        f"<div><h2>Knobs</h2>{_table(_knobs(selection))}</div>",
    ]
    if certificate:
        parts.append(f"<div><h2>Certificate</h2>{_table(flat(certificate))}</div>")
    parts.append("</div>")
    if points is not None:
        parts.append(
            '<h2>Map</h2><p class="sub"><i class="kept"></i> in the coreset &nbsp; <i class="rest"></i> '
            f'the rest</p><img alt="map of the set" src="{map_picture(points, selection.indices)}">'
        )
    if groups is not None:
        parts.append(f"<h2>Kept per group</h2>{_group_table(*groups, selection.indices)}")
    if dataset.reader is not None and pictures:
        best = sheet(dataset, selection.indices[:pictures], columns=12)
        parts.append(
            f"<h2>The first {min(pictures, len(selection))} of the coreset</h2>"
            f'<img alt="thumbnails" src="{data_url(best)}">'
        )
    if manifest:
        text = json.dumps(manifest, indent=1, default=str, ensure_ascii=True)
        parts.append(
            "<h2>Manifest</h2><pre>"
            + "\n".join(safe(line, 400).replace("  ", " ") for line in text.splitlines())
            + "</pre>"
        )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{_POLICY}"><title>{safe(title)}</title><style>{_STYLE}</style></head><body>'
        + "\n".join(parts)
        + "</body></html>"
    )


def _headline(dataset: Dataset, selection: Selection) -> str:
    share = len(selection) / len(dataset)
    return f"{len(selection):,} of {len(dataset):,} images kept ({share:.1%}) by {safe(selection.method)}"


def _knobs(selection: Selection) -> dict[str, Any]:
    return {"method": selection.method, **selection.params, "source": selection.source_key}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested JSON as one level, numbers and short texts only: what a table can show."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{name} ")
        elif isinstance(value, int | float | str | bool):
            out[f"{prefix}{name}".replace("_", " ")] = value
    return out


def _table(rows: Mapping[str, Any]) -> str:
    def shown(value: Any) -> str:
        return f"{value:.6g}" if isinstance(value, float) else safe(value, 120)

    return (
        "<table>"
        + "".join(
            f'<tr><td>{safe(name)}</td><td class="n">{shown(value)}</td></tr>'
            for name, value in rows.items()
        )
        + "</table>"
    )


def _group_table(names: list[str], codes: np.ndarray, kept: np.ndarray) -> str:
    whole = np.bincount(codes[codes >= 0], minlength=len(names))
    inside = np.bincount(codes[kept][codes[kept] >= 0], minlength=len(names))
    rows = "".join(
        f'<tr><td>{safe(name)}</td><td class="n">{a:,}</td><td class="n">{b:,}</td>'
        f'<td class="n">{b / max(1, a):.1%}</td></tr>'
        for name, a, b in zip(names, whole, inside)
    )
    return f"<table><tr><th>group</th><th>whole set</th><th>kept</th><th>share kept</th></tr>{rows}</table>"


def map_picture(points: np.ndarray, kept: np.ndarray, width: int = 960, height: int = 620) -> str:
    """The map as a PNG data URL: the rest in grey by density, the coreset on top.

    points: (N, 2); kept: (k,) positions.
    """
    low = points.min(0)
    high = points.max(0)
    place = (points - low) / np.maximum(high - low, 1e-9)
    x = (place[:, 0] * (width - 9)).astype(int) + 4
    y = ((1 - place[:, 1]) * (height - 9)).astype(int) + 4
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
