"""Every chart but the big map: small plotly figures from arrays, one look for light and dark.

A builder returns a `plotly.graph_objects.Figure`; `show` draws it with a camera button (PNG or SVG)
and a CSV of exactly what is drawn. Labels from data pass through `escape.chart`. Histograms are
binned here, so that a million images send a hundred bars.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui.components.escape import chart as safe
from ui.components.palette import Palette, category, current

Columns = Mapping[str, Sequence]


def show(
    figure: go.Figure,
    name: str,
    data: Columns | Callable[[], Columns],
    *,
    key: str | None = None,
    height: int = 340,
    on_range: Callable[[float, float], None] | None = None,
) -> None:
    """Draw `figure` in the viewer's theme, with its downloads. name: stem of the files and, by
    default, the key.

    on_range(low, high): called before the next run when somebody has dragged over a part of the x
    axis.
    """
    key = key or name
    dress(figure, current(), height)
    asked = {} if on_range is None else _dragged(figure, key, on_range)
    shown = key if on_range is None else f"{key}:{st.session_state.get(f'{key}:drags', 0)}"
    kind = st.session_state.get(f"{key}:format", "png")
    st.plotly_chart(
        figure,
        width="stretch",
        theme=None,
        key=shown,
        **asked,
        config={
            "displaylogo": False,
            "responsive": True,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
            "toImageButtonOptions": {"format": kind, "filename": name, "scale": 2},
        },
    )
    with st.popover("Keep this chart", type="tertiary"):
        st.radio(
            "The chart's camera button saves",
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


def _dragged(
    figure: go.Figure, key: str, on_range: Callable[[float, float], None]
) -> dict[str, Any]:
    """What st.plotly_chart needs so that dragging tells a range. Each drag ends in a new chart,
    without the box."""
    figure.update_layout(dragmode="select", selectdirection="h")
    count = st.session_state.get(f"{key}:drags", 0)

    def tell() -> None:
        boxes = st.session_state[f"{key}:{count}"]["selection"]["box"]
        if boxes:
            st.session_state[f"{key}:drags"] = count + 1
            on_range(float(min(boxes[-1]["x"])), float(max(boxes[-1]["x"])))

    return dict(on_select=tell, selection_mode="box")


def as_csv(columns: Columns) -> str:
    """Columns of equal length as CSV text; cells that a spreadsheet would run as a formula are
    quoted."""
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


def dress(figure: go.Figure, palette: Palette, height: int = 340) -> go.Figure:
    """One look: quiet grid, readable on both backgrounds."""
    axis = dict(
        gridcolor=palette.grid,
        zerolinecolor=palette.grid,
        linecolor=palette.grid,
        automargin=True,
        title_font_size=13,
    )
    legend = len(figure.data) > 1 and figure.layout.showlegend is not False
    below = (
        bool(figure.layout.title.text) and len(figure.data) > 3
    )  # its rows would run over the title
    top = (34 if figure.layout.title.text else 8) + (26 if legend and not below else 8)
    place = (
        dict(yanchor="top", y=-60 / max(height - 150, 100))
        if below
        else dict(yanchor="bottom", y=1.0)
    )
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
        font=dict(
            family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            size=13,
            color=palette.text,
        ),
        legend=dict(orientation="h", xanchor="left", x=0, title_text="", **place),
        hoverlabel=dict(bgcolor=palette.paper, font_color=palette.text, bordercolor=palette.grid),
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def binned(values: np.ndarray, bins: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Edges (bins + 1,) over the finite range of values (N,); never empty, even for constants."""
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
    cuts: Mapping[str, float] = {},
    bins: int = 80,
) -> tuple[go.Figure, Columns]:  # noqa: B006
    """Distribution of a score (N,), stacked by fate. kept, hard: (N,) bool; the rest was dropped as
    easy or redundant.
    cuts: name -> position of a dashed line (the two cuts of double-end pruning, ELFS figure 4)."""
    palette, (edges, _) = current(), binned(values, bins)
    middle = (edges[1:] + edges[:-1]) / 2
    figure = go.Figure()
    data = {axis: middle.tolist()}
    finite = np.isfinite(values)
    for name, mask, color in (
        ("dropped as hardest", hard & ~kept, palette.hard),
        ("kept", kept, palette.kept),
        ("dropped as easy", ~kept & ~hard, palette.easy),
    ):
        counts = np.histogram(values[mask & finite], edges)[0]
        if name != "kept" and not counts.any():
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
            annotation_position="top left" if name == "beta" else "top right",
        )
    figure.update_layout(barmode="stack", title=title, xaxis_title=axis, yaxis_title="images")
    return figure, data


def overlaid(
    series: Mapping[str, np.ndarray], *, title: str, axis: str, bins: int = 80, share: bool = False
) -> tuple[go.Figure, Columns]:
    """Several distributions as step lines over one axis; share=True draws shares of each instead of
    counts."""
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
    """Grouped bars, one group per name (a class, a cluster)."""
    figure = go.Figure()
    data = {"name": list(names)}
    shown = [safe(name) for name in names]
    for i, (group, values) in enumerate(groups.items()):
        values = np.asarray(values).tolist()
        data[group] = values
        place = dict(y=shown, x=values, orientation="h") if sideways else dict(x=shown, y=values)
        color = category(i) if len(groups) > 1 else current().kept
        figure.add_bar(**place, name=safe(group), marker_color=color)
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
    row_axis: str = "truth",
    column_axis: str = "pseudo-label",
) -> tuple[go.Figure, Columns]:
    """Confusion matrix (R, C) of counts, coloured by the share within the row, numbers inside the
    cells."""
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
            text=counts if small else None,
            texttemplate="%{text}" if small else None,
            hovertemplate=(
                f"{row_axis} %{{y}}<br>{column_axis} %{{x}}<br>"
                "%{customdata} images, %{z:.1%}<extra></extra>"
            ),
            colorbar=dict(
                title=dict(text="share of row", side="right"), tickformat=".0%", thickness=12
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
    log_x: bool = False,
    dots: bool = False,
) -> tuple[go.Figure, Columns]:
    """Plain curves over a shared x."""
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
    if log_x:
        figure.update_xaxes(type="log")
    return figure, data


def score_by_rank(
    score: np.ndarray,
    parts: Mapping[str, np.ndarray] = {},
    *,
    k: int | None = None,  # noqa: B006
    title: str = "Score against rank",
    points: int = 600,
) -> tuple[go.Figure, Columns]:
    """A score sorted best first (and its parts in the same order), thinned to `points`; k marks the
    threshold."""
    order = np.argsort(-score, kind="stable")
    at = np.unique(np.linspace(0, len(score) - 1, min(points, len(score))).astype(int))
    series = {"score": score[order][at], **{name: part[order][at] for name, part in parts.items()}}
    figure, data = lines(
        at + 1, series, title=title, x_axis="rank (1 = kept first)", y_axis="score"
    )
    if k:
        figure.add_vline(
            x=k, line_dash="dash", line_color=current().text, annotation_text=f"k = {k:,}"
        )
    return figure, data


def budget_curve(
    rates: Sequence[float],
    means: Mapping[str, Sequence[float]],
    stds: Mapping[str, Sequence[float]],
    *,
    band: str = "random",
    full: float | None = None,
) -> tuple[go.Figure, Columns]:
    """Test accuracy against pruning rate, mean over seeds with error bars; `band` is drawn as a
    mean +- std band."""
    palette = current()
    figure = go.Figure()
    x = np.asarray(rates, float)
    data: dict[str, list] = {"prune rate": x.tolist()}
    for i, (name, mean) in enumerate(means.items()):
        mean = np.asarray(mean, float)
        std = np.asarray(stds[name], float)
        data[f"{name} mean"], data[f"{name} std"] = mean.tolist(), std.tolist()
        if name == band:
            figure.add_scatter(
                x=np.r_[x, x[::-1]],
                y=np.r_[mean + std, (mean - std)[::-1]],
                fill="toself",
                fillcolor=palette.rest,
                opacity=0.5,
                line_width=0,
                hoverinfo="skip",
                mode="lines",
                name=f"{safe(name)} ± std",
            )
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
        title="Accuracy at each budget", xaxis_title="share removed", yaxis_title="test accuracy"
    )
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".1%")
    return figure, data
