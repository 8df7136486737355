"""A budget curve as SVG: mean accuracy against the pruning rate, random as a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from coreset_engine.core.registry import BASELINE

WIDTH = 760
HEIGHT = 440
LEFT = 64
TOP = 44
RIGHT = 170
BOTTOM = 52
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C6D31")
BAND = BASELINE
GREY = "#7a828c"


def budget_curve(
    curves: Mapping[str, Sequence[tuple[float, float, float]]], full: float | None, title: str
) -> str:
    """Draw mean accuracy against the share removed, one line for each method.

    Parameters
    ----------
    curves : mapping
        Method -> (share removed, mean, standard deviation) per rate, all in [0, 1].
    full : float or None
        Accuracy with all images, drawn as a dashed line.
    title : str

    Returns
    -------
    str
        An SVG document.
    """
    points = [point for curve in curves.values() for point in curve]
    rates = sorted({rate for rate, _, _ in points})
    low = min([mean - std for _, mean, std in points] + ([] if full is None else [full]))
    high = max([mean + std for _, mean, std in points] + ([] if full is None else [full]))
    room = max(high - low, 0.01) * 0.06
    low = low - room
    high = high + room
    span = (rates[-1] - rates[0]) or 1.0

    def x(rate: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((rate - rates[0]) / span if len(rates) > 1 else 0.5)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [
        *_axes(rates, low, high, x, y),
        f'<text x="{LEFT}" y="24" font-size="16">{escape(title)}</text>',
    ]
    if full is not None:
        parts.append(
            f'<path d="M{LEFT} {y(full):.1f}H{WIDTH - RIGHT}" stroke="#444" '
            'stroke-dasharray="2 4"/>'
            f'<text x="{WIDTH - RIGHT + 8}" y="{y(full) + 4:.1f}">all images</text>'
        )
    for i, (name, curve) in enumerate(sorted(curves.items(), key=lambda item: item[0] != BAND)):
        colour = GREY if name == BAND else COLOURS[(i - 1) % len(COLOURS)]
        parts += _curve(name, sorted(curve), colour, x, y)
        parts.append(_legend(name, colour, HEIGHT - BOTTOM - 18 * (len(curves) - i)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="system-ui,sans-serif" font-size="12" fill="#1f2933" '
        f'role="img"><title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _legend(name: str, colour: str, top: int) -> str:
    return (
        f'<rect x="{WIDTH - RIGHT + 30}" y="{top}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{WIDTH - RIGHT + 46}" y="{top + 10}">{escape(name)}</text>'
    )


def _axes(rates, low, high, x, y) -> list[str]:
    parts = []
    for step in range(6):
        value = low + (high - low) * step / 5
        parts.append(
            f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#e4e7eb"/>'
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.1%}</text>'
        )
    parts += [
        f'<text x="{x(rate):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
        f"{100 * rate:g}%</text>"
        for rate in rates
    ]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
        "share removed</text>"
    )
    return parts


def _curve(name, curve, colour, x, y) -> list[str]:
    line = "M" + "L".join(f"{x(rate):.1f} {y(mean):.1f}" for rate, mean, _ in curve)
    parts = []
    if name == BAND:
        above = [f"{x(rate):.1f} {y(mean + std):.1f}" for rate, mean, std in curve]
        below = [f"{x(rate):.1f} {y(mean - std):.1f}" for rate, mean, std in reversed(curve)]
        parts.append(f'<path d="M{"L".join(above + below)}Z" fill="{colour}" fill-opacity=".25"/>')
    else:
        parts += [
            f'<path d="M{x(rate):.1f} {y(mean - std):.1f}V{y(mean + std):.1f}" stroke="{colour}"/>'
            for rate, mean, std in curve
        ]
    parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    parts += [
        f'<circle cx="{x(rate):.1f}" cy="{y(mean):.1f}" r="3.2" fill="{colour}"/>'
        for rate, mean, _ in curve
    ]
    return parts
