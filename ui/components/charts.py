"""Every chart but the map: small plotly figures from arrays, with one theme for light and dark.

A builder returns the figure and its data as columns; `show` draws the figure with a camera button
(PNG or SVG) and offers the columns as CSV. Labels from data pass through `escape.chart`. Histograms
are binned here, so that a million images send a hundred bars.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui.components.escape import chart as safe
from ui.components.palette import Palette, category, current

Columns = Mapping[str, Sequence]
NO_PARTS: Mapping[str, Any] = MappingProxyType({})
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
REMOVED_BUTTONS = ["select2d", "lasso2d", "autoScale2d"]


def show(
    figure: go.Figure,
    name: str,
    data: Columns | Callable[[], Columns],
    *,
    key: str | None = None,
    height: int = 340,
    on_range: Callable[[float, float], None] | None = None,
) -> None:
    """Draw a figure in the viewer's theme, with its downloads.

    Parameters
    ----------
    figure : go.Figure
        From one of the builders below.
    name : str
        Stem of the downloaded files.
    data : mapping or callable
        What is drawn, as columns of equal length, for the CSV.
    key : str, optional
        Streamlit key, `name` by default.
    height : int
        Pixels.
    on_range : callable, optional
        on_range(low, high) is called before the next run after a drag over part of the x axis.
    """
    key = key or name
    apply_theme(figure, current(), height)
    image_format = st.session_state.get(f"{key}:format", "png")
    config = {
        "displaylogo": False,
        "responsive": True,
        "modeBarButtonsToRemove": REMOVED_BUTTONS,
        "toImageButtonOptions": {"format": image_format, "filename": name, "scale": 2},
    }
    if on_range is None:
        st.plotly_chart(figure, width="stretch", theme=None, key=key, config=config)
    else:
        drags = st.session_state.get(f"{key}:drags", 0)
        options = _range_selection(figure, key, on_range)
        st.plotly_chart(
            figure, width="stretch", theme=None, key=f"{key}:{drags}", config=config, **options
        )
    _save_menu(key, name, data)


def _save_menu(key: str, name: str, data: Columns | Callable[[], Columns]) -> None:
    with st.popover("Save chart", type="tertiary"):
        st.radio(
            "Format of the chart's camera button",
            ["png", "svg"],
            format_func=str.upper,
            key=f"{key}:format",
            horizontal=True,
        )
        st.download_button(
            "Data as CSV",
            lambda: as_csv(data() if callable(data) else data),
            f"{name}.csv",
            "text/csv",
            key=f"{key}:csv",
            on_click="ignore",
        )


def _range_selection(
    figure: go.Figure, key: str, on_range: Callable[[float, float], None]
) -> dict[str, Any]:
    """Options of st.plotly_chart that make a drag select a range; each drag ends in a new chart."""
    figure.update_layout(dragmode="select", selectdirection="h")
    count = st.session_state.get(f"{key}:drags", 0)

    def report() -> None:
        boxes = st.session_state[f"{key}:{count}"]["selection"]["box"]
        if boxes:
            st.session_state[f"{key}:drags"] = count + 1
            on_range(float(min(boxes[-1]["x"])), float(max(boxes[-1]["x"])))

    return dict(on_select=report, selection_mode="box")


def as_csv(columns: Columns) -> str:
    """Columns of equal length as CSV text; cells that look like formulas are quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def apply_theme(figure: go.Figure, palette: Palette, height: int = 340) -> go.Figure:
    """Colours, fonts and margins that every chart shares; returns the figure."""
    axis = dict(
        gridcolor=palette.grid,
        zerolinecolor=palette.grid,
        linecolor=palette.grid,
        automargin=True,
        title_font_size=13,
    )
    top, legend = _legend_layout(figure, height)
    figure.update_layout(
        height=height,
        margin=dict(l=8, r=8, t=top, b=8),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        bargap=0.04,
        title_font_size=15,
        title_x=0,
        title_xanchor="left",
        title_y=0.99,
        title_yanchor="top",
        font=dict(family=FONT, size=13, color=palette.text),
        legend=dict(orientation="h", xanchor="left", x=0, title_text="", **legend),
        hoverlabel=dict(bgcolor=palette.paper, font_color=palette.text, bordercolor=palette.grid),
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def _legend_layout(figure: go.Figure, height: int) -> tuple[int, dict[str, Any]]:
    """Pixels above the plot, and the legend's place: below it where it would hide the title."""
    has_title = bool(figure.layout.title.text)
    asked = figure.layout.showlegend  # None where plotly draws one for several traces
    has_legend = len(figure.data) > 1 if asked is None else asked
    top = 34 if has_title else 8
    if has_title and len(figure.data) > 3:
        return top + 8, dict(yanchor="top", y=-60 / max(height - 150, 100))
    return top + (26 if has_legend else 8), dict(yanchor="bottom", y=1.0)


def binned(values: np.ndarray, bins: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Bin edges (bins + 1,) over the finite values of (N,), and these values; never empty."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        low = low - 0.5
        high = high + 0.5
    return np.linspace(low, high, bins + 1), finite


def cut_histogram(
    values: np.ndarray,
    kept: np.ndarray,
    hard: np.ndarray,
    *,
    title: str,
    axis: str,
    cuts: Mapping[str, float] = NO_PARTS,
) -> tuple[go.Figure, Columns]:
    """Histogram of a score, stacked by what double-end pruning does with it (ELFS figure 4).

    Parameters
    ----------
    values : (N,) float
        The score; infinite values are left out.
    kept, hard : (N,) bool
        Selected, and skipped as hardest; the rest is left out as easy.
    title, axis : str
        Title, and name of the x axis.
    cuts : mapping of str to float
        Dashed lines: name -> position.
    """
    palette = current()
    edges, _ = binned(values)
    middle = (edges[1:] + edges[:-1]) / 2
    figure = go.Figure()
    data = {axis: middle.tolist()}
    finite = np.isfinite(values)
    for name, mask, color in (
        ("skipped as hardest", hard & ~kept, palette.hard),
        ("selected", kept, palette.kept),
        ("left out as easy", ~kept & ~hard, palette.easy),
    ):
        counts = np.histogram(values[mask & finite], edges)[0]
        if name != "selected" and not counts.any():
            continue
        data[name] = counts.tolist()
        figure.add_bar(x=middle, y=counts, name=name, marker_color=color, marker_line_width=0)
    for name, x in cuts.items():
        figure.add_vline(
            x=x,
            line_dash="dash",
            line_color=palette.text,
            annotation_text=safe(name),
            annotation_font_size=12,
            annotation_position="top left" if x == min(cuts.values()) else "top right",
        )
    figure.update_layout(barmode="stack", title=title, xaxis_title=axis, yaxis_title="images")
    return figure, data


def distributions(
    series: Mapping[str, np.ndarray], *, title: str, axis: str, bins: int = 80, share: bool = False
) -> tuple[go.Figure, Columns]:
    """Several distributions as step lines over common bins.

    Parameters
    ----------
    series : mapping of str to (N_i,) float
        Infinite values are left out.
    title, axis : str
        Title, and name of the x axis.
    bins : int
        Number of steps.
    share : bool
        Draw shares of each, in [0, 1], instead of counts.
    """
    edges, _ = binned(np.concatenate([np.asarray(v, float) for v in series.values()]), bins)
    middle = (edges[1:] + edges[:-1]) / 2
    figure = go.Figure()
    data = {axis: middle.tolist()}
    for i, (name, values) in enumerate(series.items()):
        counts = np.histogram(values[np.isfinite(values)], edges)[0].astype(float)
        if share and counts.sum():
            counts /= counts.sum()
        data[name] = counts.tolist()
        figure.add_scatter(
            x=middle,
            y=counts,
            name=safe(name),
            line_shape="hvh",
            line_color=category(i),
            fill="tozeroy" if i == 0 else None,
        )
    figure.update_layout(
        title=title, xaxis_title=axis, yaxis_title="share of images" if share else "images"
    )
    return figure, data


def bars(
    names: Sequence[str],
    groups: Mapping[str, np.ndarray],
    *,
    title: str,
    axis: str = "images",
    sideways: bool = False,
) -> tuple[go.Figure, Columns]:
    """Grouped bars, one group per name, for example a class or a cluster.

    Parameters
    ----------
    names : sequence of str
        M names, escaped here.
    groups : mapping of str to (M,) number
        Heights; one colour each.
    title, axis : str
        Title, and name of the axis of heights.
    sideways : bool
        Names on the y axis, the first at the top.
    """
    figure = go.Figure()
    data = {"name": list(names)}
    shown = [safe(name) for name in names]
    for i, (group, values) in enumerate(groups.items()):
        values = np.asarray(values).tolist()
        data[group] = values
        axes = dict(y=shown, x=values, orientation="h") if sideways else dict(x=shown, y=values)
        color = category(i) if len(groups) > 1 else current().kept
        figure.add_bar(**axes, name=safe(group), marker_color=color)
    figure.update_layout(title=title, barmode="group", bargap=0.25)
    if sideways:
        figure.update_layout(xaxis_title=axis)
        figure.update_yaxes(autorange="reversed", type="category")
    else:
        figure.update_layout(yaxis_title=axis)
        figure.update_xaxes(type="category")
    return figure, data


def confusion(
    counts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    row_axis: str = "true label",
    column_axis: str = "cluster",
) -> tuple[go.Figure, Columns]:
    """Confusion matrix, coloured by the share within the row.

    Parameters
    ----------
    counts : (R, C) int
    rows, columns : sequence of str
        R and C names, escaped here.
    title, row_axis, column_axis : str
        Title, and names of the axes.
    """
    palette = current()
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ramp = [[0.0, palette.paper], [1.0, palette.kept]]
    small = max(counts.shape) <= 20
    figure = go.Figure(
        go.Heatmap(
            z=share,
            x=[safe(name) for name in columns],
            y=[safe(name) for name in rows],
            colorscale=ramp,
            zmin=0,
            zmax=1,
            customdata=counts,
            text=np.where(counts > 0, counts.astype(str), "") if small else None,
            texttemplate="%{text}" if small else None,
            hovertemplate=(
                f"{row_axis} %{{y}}<br>{column_axis} %{{x}}<br>"
                "%{customdata} images, %{z:.1%} of the row<extra></extra>"
            ),
            colorbar=dict(
                title=dict(text="share of row", side="right", font_size=13),
                tickformat=".0%",
                thickness=12,
            ),
        )
    )
    figure.update_layout(title=title, xaxis_title=column_axis, yaxis_title=row_axis)
    figure.update_xaxes(type="category", tickangle=-35)
    figure.update_yaxes(autorange="reversed", type="category")
    data = {
        row_axis: np.repeat(rows, len(columns)).tolist(),
        column_axis: np.tile(columns, len(rows)).tolist(),
        "images": counts.ravel().tolist(),
    }
    return figure, data


def lines(
    x: np.ndarray,
    series: Mapping[str, np.ndarray],
    *,
    title: str,
    x_axis: str,
    y_axis: str,
    dots: bool = False,
) -> tuple[go.Figure, Columns]:
    """Curves over a shared x.

    Parameters
    ----------
    x : (M,) number
    series : mapping of str to (M,) float
        NaN breaks a curve.
    title, x_axis, y_axis : str
        Title, and names of the axes.
    dots : bool
        Mark the points.
    """
    figure = go.Figure()
    data = {x_axis: np.asarray(x).tolist()}
    for i, (name, y) in enumerate(series.items()):
        data[name] = np.asarray(y).tolist()
        figure.add_scatter(
            x=x,
            y=y,
            name=safe(name),
            line_color=category(i),
            mode="lines+markers" if dots else "lines",
        )
    figure.update_layout(
        title=title, xaxis_title=x_axis, yaxis_title=y_axis, showlegend=len(series) > 1
    )
    return figure, data


def score_by_rank(
    score: np.ndarray,
    parts: Mapping[str, np.ndarray] = NO_PARTS,
    *,
    k: int | None = None,
    title: str = "Score against rank",
    points: int = 600,
) -> tuple[go.Figure, Columns]:
    """A score sorted best first, and its parts in the same order.

    Parameters
    ----------
    score : (N,) float
    parts : mapping of str to (N,) float
        Terms of the score.
    k : int, optional
        Last selected rank, marked by a line.
    title : str
    points : int
        At most so many ranks are drawn, evenly spaced.
    """
    order = np.argsort(-score, kind="stable")
    at = np.unique(np.linspace(0, len(score) - 1, min(points, len(score))).astype(int))
    series = {"score": score[order][at], **{name: part[order][at] for name, part in parts.items()}}
    figure, data = lines(
        at + 1, series, title=title, x_axis="rank (1 = selected first)", y_axis="score"
    )
    if k:
        figure.add_vline(
            x=k, line_dash="dash", line_color=current().text, annotation_text=f"{k:,} selected"
        )
    return figure, data


def interval_curves(
    series: Mapping[str, np.ndarray],
    *,
    title: str,
    x_axis: str,
    y_axis: str,
    at: float | None = None,
) -> tuple[go.Figure, Columns]:
    """Curves with bands over a logarithmic number of images; the last one is the faint baseline.

    Parameters
    ----------
    series : mapping of str to (R, 4) float
        Name -> x, value, low, high by ascending x; values are shares.
    title, x_axis, y_axis : str
        What people read.
    at : float, optional
        Position of a dashed line.
    """
    palette = current()
    figure = go.Figure()
    data: dict[str, list] = {"curve": [], x_axis: [], "value": [], "low": [], "high": []}
    for i, (name, points) in enumerate(series.items()):
        x, value, low, high = points.T
        baseline = i == len(series) - 1 and len(series) > 1
        color = palette.faint if baseline else palette.kept
        figure.add_scatter(
            x=np.r_[x, x[::-1]],
            y=np.r_[high, low[::-1]],
            fill="toself",
            fillcolor=color,
            opacity=0.16,
            line_width=0,
            hoverinfo="skip",
            mode="lines",
            showlegend=False,
        )
        figure.add_scatter(
            x=x,
            y=value,
            name=safe(name),
            mode="lines+markers",
            line=dict(color=color, dash="dot" if baseline else "solid"),
        )
        data["curve"] += [name] * len(x)
        for column, values in zip((x_axis, "value", "low", "high"), (x, value, low, high)):
            data[column] += values.tolist()
    figure.update_layout(title=title, xaxis_title=x_axis, yaxis_title=y_axis)
    ticks = round_numbers(np.concatenate([points[:, 0] for points in series.values()]))
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    figure.update_yaxes(tickformat=".0%")
    if at:
        figure.add_vline(x=at, line_dash="dash", line_color=palette.text)
    return figure, data


def round_numbers(values: np.ndarray) -> list[int]:
    """The numbers 1, 2, 5, 10, 20, ... within the range of (n,) positive values, to mark an axis.

    Only powers of ten where the values span more than three of them.
    """
    low = float(np.min(values, initial=np.inf))
    high = float(np.max(values, initial=1))
    steps = (1, 2, 5) if high < 1000 * low else (1,)
    ticks = [step * 10**power for power in range(13) for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def budget_curve(
    rates: Sequence[float],
    means: Mapping[str, Sequence[float]],
    stds: Mapping[str, Sequence[float]],
    *,
    band: str = "random",
    full: float | None = None,
) -> tuple[go.Figure, Columns]:
    """Test accuracy against the share kept; `band` is drawn as a mean ± std band.

    Parameters
    ----------
    rates : sequence of float
        Shares removed, in [0, 1).
    means, stds : mapping of str to sequence of float
        Method -> accuracy in [0, 1] at each rate, over seeds; and its standard deviation.
    band : str
        The method drawn as a band.
    full : float or None
        Accuracy when training on all images, drawn as a dotted line.
    """
    palette = current()
    figure = go.Figure()
    x = 1 - np.asarray(rates, float)
    data: dict[str, list] = {"share kept": x.tolist()}
    for i, (name, values) in enumerate(means.items()):
        mean = np.asarray(values, float)
        std = np.asarray(stds[name], float)
        data[f"{name} mean"] = mean.tolist()
        data[f"{name} std"] = std.tolist()
        if name == band:
            _add_band(figure, name, x, mean, std)
        figure.add_scatter(
            x=x,
            y=mean,
            name=safe(name),
            mode="lines+markers",
            line_color=palette.faint if name == band else category(i),
            error_y=None if name == band else dict(type="data", array=std, thickness=1.2),
        )
    if full is not None:
        figure.add_hline(
            y=full, line_dash="dot", line_color=palette.text, annotation_text="all images"
        )
    figure.update_layout(
        title="Accuracy at each budget",
        xaxis_title="share of images kept",
        yaxis_title="test accuracy",
    )
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".1%")
    return figure, data


def _add_band(
    figure: go.Figure, name: str, x: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> None:
    figure.add_scatter(
        x=np.r_[x, x[::-1]],
        y=np.r_[mean + std, (mean - std)[::-1]],
        fill="toself",
        fillcolor=current().rest,
        opacity=0.5,
        line_width=0,
        hoverinfo="skip",
        mode="lines",
        name=f"{safe(name)} ± std",
    )
