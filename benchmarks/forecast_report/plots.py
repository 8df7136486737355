"""The figures of docs/forecast.md, from the raw file of benchmarks/forecast.py, as SVG.

forecast-predicted.svg: expected against true gains, every candidate of every set and rate, with
constants from the other sets. forecast-coverage.svg: how many true gains lie inside intervals of
each nominal level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np

from benchmarks import methods
from benchmarks.forecast_report.cells import Judged, held_out, read_cells

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
WIDTH, HEIGHT, MARGIN = 400, 330, 48
PANELS = (("50 to 80 % pruned", 0.0, 0.85), ("90 to 99.5 % pruned", 0.85, 1.0))
VIEWS = (("pool's own mix of classes", ""), ("balanced classes", "_balanced"))


def draw(raw: Path, folder: Path) -> None:
    """Write both figures."""
    cells = read_cells(raw)
    names = [name for name in methods.SIZES if any(cell.set == name for cell in cells)]
    plain = held_out(cells)
    panels = [predicted(plain, names, *panel) for panel in PANELS]
    write(folder / "forecast-predicted.svg", panels, names)
    panels = [coverage(held_out(cells, end), names, title) for title, end in VIEWS]
    write(folder / "forecast-coverage.svg", panels, [*names, "mean of the sets"])


def predicted(
    some: list[Judged], names: Sequence[str], title: str, low: float, high: float
) -> list[str]:
    """Points at (expected, true), means over seeds, and the line where both are the same."""
    points: dict[tuple, list[Judged]] = {}
    for one in some:
        if low < one.cell.rate < high:
            points.setdefault((one.cell.set, one.cell.rate, one.cell.name), []).append(one)
    positions = [
        (key[0], float(np.mean([one.expected for one in own])), own[0].truth)
        for key, own in points.items()
    ]
    values = [value for _, x, y in positions for value in (x, y)]
    ends = (float(np.floor(min(values))), float(np.ceil(max(values))))
    across, up = scale(ends, MARGIN, WIDTH - 10), scale(ends, HEIGHT - MARGIN, 26)
    out = axes(title, "expected gain over random, points", "true gain, points", ends, across, up)
    out.append(line([(across(end), up(end)) for end in ends], "#999", dashed=True))
    for name, x, y in positions:
        colour = COLOURS[names.index(name)]
        out.append(
            f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="2.5" fill="{colour}" '
            'fill-opacity="0.7"/>'
        )
    return out


def coverage(some: list[Judged], names: Sequence[str], title: str) -> list[str]:
    """Share of true gains inside, by nominal level: a line for each set, a thick one for all."""
    across, up = scale((0, 100), MARGIN, WIDTH - 10), scale((0, 100), HEIGHT - MARGIN, 26)
    out = axes(title, "nominal level, %", "true gains inside, %", (0, 100), across, up)
    out.append(line([(across(end), up(end)) for end in (0, 100)], "#999", dashed=True))
    curves = []
    for name in names:
        own = [one for one in some if one.cell.set == name]
        apart = np.array([abs(one.truth - one.expected) / one.spread for one in own])
        shares = [100 * float((apart <= reach(level)).mean()) for level in LEVELS]
        curves.append(shares)
        positions = [(across(100 * x), up(y)) for x, y in zip(LEVELS, shares, strict=True)]
        out.append(line(positions, COLOURS[names.index(name)]))
    shares = np.mean(curves, axis=0).tolist()
    positions = [(across(100 * x), up(y)) for x, y in zip(LEVELS, shares, strict=True)]
    return [*out, line(positions, "#000", thick=3)]


def reach(level: float) -> float:
    """Standard deviations to either side that hold this share of a normal distribution."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def scale(ends: tuple[float, float], start: float, stop: float) -> Callable[[float], float]:
    """Value -> place on the page."""
    return lambda value: start + (value - ends[0]) / (ends[1] - ends[0]) * (stop - start)


def axes(
    title: str,
    below: str,
    beside: str,
    ends: tuple[float, float],
    across: Callable[[float], float],
    up: Callable[[float], float],
) -> list[str]:
    """Title, frame, ticks and the names of both axes."""
    left, right, bottom, top = across(ends[0]), across(ends[1]), up(ends[0]), up(ends[1])
    middle = (top + bottom) / 2
    out = [
        text(title, (left + right) / 2, top - 10, bold=True),
        text(below, (left + right) / 2, bottom + 36),
        f'<g transform="rotate(-90 12 {middle:.0f})">{text(beside, 12, middle)}</g>',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" fill="none" stroke="#bbb"/>',
    ]
    step = next(size for size in (1, 2, 5, 10, 20, 50) if (ends[1] - ends[0]) / size <= 8)
    for value in np.arange(np.ceil(ends[0] / step) * step, ends[1] + 1e-9, step):
        out.append(text(f"{value:g}", across(value), bottom + 16))
        out.append(text(f"{value:g}", left - 14, up(value) + 4))
    return out


def line(
    positions: Sequence[tuple[float, float]], colour: str, thick: float = 1.5, dashed: bool = False
) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in positions)
    dash = ' stroke-dasharray="4 4"' if dashed else ""
    return (
        f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{thick}"{dash}/>'
    )


def text(words: str, x: float, y: float, bold: bool = False, anchor: str = "middle") -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{words}</text>'


def write(path: Path, panels: list[list[str]], names: Sequence[str]) -> None:
    """Two panels side by side over a legend, on white."""
    width, height = 2 * WIDTH, HEIGHT + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for position, panel in enumerate(panels):
        out += [f'<g transform="translate({position * WIDTH} 0)">', *panel, "</g>"]
    for position, name in enumerate(names):
        x = MARGIN + position * (width - 2 * MARGIN) / len(names)
        colour = (*COLOURS, "#000")[position]
        out.append(f'<rect x="{x:.0f}" y="{height - 22}" width="10" height="10" fill="{colour}"/>')
        out.append(text(name, x + 14, height - 13, anchor="start"))
    path.write_text("\n".join([*out, "</svg>"]) + "\n", encoding="utf-8")
