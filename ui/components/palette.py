"""Colours of charts and map, light and dark, distinguishable with common colour blindness.

Categories begin with Okabe and Ito's blue and orange (2008); the others were searched for the
largest least distance (CIEDE2000) within each eight, in normal vision and simulated deuteranopia
and protanopia, at a contrast of at least 2.3 to both papers. After eight the map changes the shape;
scales are viridis/cividis-like ramps. Every colour is "#rrggbb". `Palette` is what a theme needs;
`current()` picks the one of the viewer's theme.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

CATEGORICAL = (
    "#0072B2",
    "#E69F00",
    "#E5194C",
    "#66997F",
    "#7F99FF",
    "#336600",
    "#7F4C66",
    "#B299B2",
    "#994C00",
    "#19B2CC",
    "#E54C99",
    "#B2997F",
    "#9966FF",
    "#336666",
    "#FF6619",
    "#9900B2",
)
SAME_SHAPE = 8  # colours after which the map takes another shape (scatter-drawing.js)
SEQUENTIAL = (
    "#00224E",
    "#123570",
    "#3B496C",
    "#575D6D",
    "#707173",
    "#8A8678",
    "#A59C74",
    "#C3B369",
    "#E1CC55",
    "#FEE838",
)  # cividis: the same picture for deuteranopes
DIVERGING = ("#2166AC", "#67A9CF", "#D1E5F0", "#F7F7F7", "#FDDBC7", "#EF8A62", "#B2182B")


@dataclass(frozen=True)
class Palette:
    """One theme's colours.

    kept: selected. hard: skipped as hardest. easy: left out as easy. rest: not selected. picked:
    the image that is explained. must, never: always included, excluded.
    """

    name: str
    paper: str
    text: str
    faint: str
    grid: str
    kept: str
    hard: str
    easy: str
    rest: str
    picked: str
    must: str
    never: str


LIGHT = Palette(
    "light",
    "#FFFFFF",
    "#1F2933",
    "#5F6B7A",
    "#E4E7EB",
    "#0072B2",
    "#C24E00",
    "#9AA5B1",
    "#C3CAD3",
    "#CC2F7B",
    "#00795A",
    "#7A1F1F",
)
DARK = Palette(
    "dark",
    "#12161C",
    "#E6EAF0",
    "#9AA7B8",
    "#2A323D",
    "#56B4E9",
    "#F0884A",
    "#6B7785",
    "#4A5563",
    "#FF7AB8",
    "#2ECC9A",
    "#E07A7A",
)


def current() -> Palette:
    """The palette of the viewer's theme; light when unknown."""
    try:
        return DARK if st.context.theme.type == "dark" else LIGHT
    except AttributeError:
        return LIGHT


def category(i: int) -> str:
    """The colour of class or cluster i; repeats after 16."""
    return CATEGORICAL[int(i) % len(CATEGORICAL)]
