"""The FiftyOne plugin: Coreset Explorer's selection from inside the FiftyOne App.

FiftyOne loads this folder through a link in its plugins folder (`python -m coreset_engine plugin
install`), so the package it belongs to is found from this file's own place. All work is the
engine's (`run.inside_fiftyone`); here are the forms, the panel and what is shown afterwards.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import fiftyone.operators as foo
import fiftyone.operators.types as types

_ROOT = str(Path(__file__).resolve().parents[4])
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from coreset_engine.core.errors import CoresetError  # noqa: E402 - found through the line above
from coreset_engine.core.registry import (  # noqa: E402
    BASELINE,
    DEFAULT_METHOD,
    METHODS,
    featured,
    load,
)
from coreset_engine.export.fiftyone import plugin_backend as engine  # noqa: E402
from coreset_engine.pipeline.config import RunConfig  # noqa: E402
from coreset_engine.pipeline.recipes import RECIPES  # noqa: E402

ICON = "filter_alt"
PANEL_METHODS = [*featured(), BASELINE]


def _not_done(error: CoresetError) -> dict:
    return {"said": f"Not done: {error}"}


def _choices(values, labels=None) -> types.Dropdown:
    dropdown = types.Dropdown()
    for value in values:
        dropdown.add_choice(value, label=(labels or {}).get(value, value))
    return dropdown


def _titles(knob: str) -> str:
    """Titles of the panel's methods that have this knob."""
    return ", ".join(METHODS[name].title for name in PANEL_METHODS if getattr(METHODS[name], knob))


def _answer(rows: dict[str, str], label: str) -> types.Property:
    outputs = types.Object()
    for name, title in rows.items():
        outputs.str(name, label=title)
    return types.Property(outputs, view=types.View(label=label))


class ComputeScores(foo.Operator):
    """Embeds, clusters, watches a training, measures coverage; writes one field per score."""

    @property
    def config(self):
        return foo.OperatorConfig(
            name="compute_scores",
            label="Coreset: compute scores",
            icon=ICON,
            dynamic=True,
            description="Difficulty and coverage of every image, without labels",
            allow_delegated_execution=True,
            allow_immediate_execution=True,
            view_target=False,
        )

    def resolve_input(self, ctx):
        inputs = types.Object()
        fields = engine.vector_sources(ctx.dataset)
        inputs.enum(
            "embeddings",
            ["", *fields],
            default="",
            label="Embeddings",
            description="Vectors to reuse; none = embed the images",
            view=_choices(["", *fields], {"": "embed the images"}),
        )
        inputs.str("encoder", default="efficientnet_lite0", label="Encoder")
        inputs.int("n_clusters", default=0, min=0, label="Clusters", description="0 = automatic")
        inputs.int("seed", default=0, min=0, label="Seed")
        _stage_inputs(inputs)
        return types.Property(inputs, view=types.View(label="Compute coreset scores"))

    def execute(self, ctx):
        try:
            summary = engine.compute(
                ctx.dataset.name, progress=_progress(ctx), **_run_params(ctx.params)
            )
        except CoresetError as error:
            return _not_done(error)
        if not ctx.delegated:
            ctx.ops.reload_dataset()
        return summary

    def resolve_output(self, ctx):
        return _answer({"said": "Result"}, "Coreset scores")


class SelectCoreset(foo.Operator):
    """Select, and write fields, tags, saved views and the manifest under a name."""

    @property
    def config(self):
        return foo.OperatorConfig(
            name="select_coreset",
            label="Coreset: select",
            icon=ICON,
            dynamic=True,
            allow_delegated_execution=True,
            allow_immediate_execution=True,
            description="Select the images worth keeping",
            view_target=False,
        )

    def resolve_input(self, ctx):
        inputs = types.Object()
        summaries = {name: f"{row.title}: {row.summary}" for name, row in METHODS.items()}
        inputs.enum(
            "method",
            list(METHODS),
            default=DEFAULT_METHOD,
            required=True,
            label="Method",
            view=_choices(METHODS, summaries),
        )
        inputs.float(
            "prune_rate",
            default=0.9,
            min=0,
            max=0.999,
            label="Pruning rate",
            description="share removed",
        )
        row = _method(ctx.params)
        if row.beta:
            inputs.float(
                "beta",
                min=0,
                max=1,
                label="Hard cut beta",
                description="share dropped first as hardest; empty = by the pruning rate",
            )
        if row.alpha:
            inputs.int("n_neighbours", default=1000, min=1, label="Redundancy neighbours alpha")
        _method_inputs(inputs, row)
        _stage_inputs(inputs)
        inputs.str(
            "selection",
            default="main",
            label="Name",
            description="an existing name is updated, a new one is added",
        )
        inputs.str(
            "embeddings",
            label="Embeddings",
            description="field or brain key the scores were computed with",
        )
        scopes = _scopes(ctx)
        inputs.enum(
            "among",
            list(scopes),
            default="dataset",
            label="Among",
            description="the samples to score and select from",
            view=_choices(scopes, scopes),
        )
        return types.Property(inputs, view=types.View(label="Select a coreset"))

    def execute(self, ctx):
        try:
            summary = engine.choose(
                ctx.dataset.name,
                samples=_samples(ctx),
                progress=_progress(ctx),
                **_selection_params(ctx.params),
                **_run_params(ctx.params),
            )
        except CoresetError as error:
            return _not_done(error)
        if not ctx.delegated:
            ctx.ops.set_view(
                view=_kept_view(ctx, summary)
            )  # this also makes the App read the new fields
        return summary

    def resolve_output(self, ctx):
        return _answer({"said": "Result"}, "Coreset")


class TakeLabels(foo.Operator):
    """Import labels, recompute the scores, and write the next selection."""

    @property
    def config(self):
        return foo.OperatorConfig(
            name="take_labels",
            label="Coreset: import labels and select again",
            icon=ICON,
            dynamic=True,
            allow_delegated_execution=True,
            allow_immediate_execution=True,
            description="Labelled samples are kept; the rest is selected using their labels",
            view_target=False,
        )

    def resolve_input(self, ctx):
        inputs = types.Object()
        fields = ["", *engine.label_fields(ctx.dataset)]
        inputs.enum(
            "field",
            fields,
            default="",
            label="Field with the labels",
            view=_choices(fields, {"": "the only one with values"}),
        )
        inputs.enum(
            "method",
            list(METHODS),
            default=DEFAULT_METHOD,
            required=True,
            label="Method",
            view=_choices(METHODS),
        )
        inputs.float("prune_rate", default=0.9, min=0, max=0.999, label="Pruning rate")
        inputs.str("selection", default="labelled", label="Name of the selection")
        return types.Property(inputs, view=types.View(label="Import labels and select again"))

    def execute(self, ctx):
        names = ("field", "method", "prune_rate", "selection")
        chosen = {key: ctx.params[key] for key in names if ctx.params.get(key) not in (None, "")}
        try:
            summary = engine.take_labels(
                ctx.dataset.name, progress=_progress(ctx), **chosen, **_run_params(ctx.params)
            )
        except CoresetError as error:
            return _not_done(error)
        if not ctx.delegated:
            ctx.ops.set_view(view=_kept_view(ctx, summary))
        return summary

    def resolve_output(self, ctx):
        return _answer({"said": "Result"}, "Labels")


class CompareSelections(foo.Operator):
    """What two selections share, and the samples that only one keeps."""

    @property
    def config(self):
        return foo.OperatorConfig(
            name="compare_selections",
            label="Coreset: compare selections",
            icon=ICON,
            description="Overlap of two selections of this dataset",
            view_target=False,
        )

    def resolve_input(self, ctx):
        inputs = types.Object()
        names = engine.selections(ctx.dataset)
        if len(names) < 2:
            inputs.view(
                "few",
                types.Warning(
                    label="This dataset has fewer than two selections",
                    description="Select twice, under two names.",
                ),
            )
        for key, title, position in (("one", "One selection", 0), ("other", "The other", 1)):
            inputs.enum(
                key,
                names,
                default=names[position] if len(names) > position else None,
                required=True,
                label=title,
                view=_choices(names),
            )
        inputs.bool("show", default=True, label="Show the samples that only one of them keeps")
        return types.Property(inputs, view=types.View(label="Compare selections"))

    def execute(self, ctx):
        try:
            summary = engine.compare(ctx.dataset, ctx.params["one"], ctx.params["other"])
        except CoresetError as error:
            return _not_done(error)
        if ctx.params.get("show", True):
            ctx.ops.set_view(ctx.dataset.select(summary.pop("differ")))
        summary.pop("differ", None)
        return summary

    def resolve_output(self, ctx):
        return _answer({"said": "Result"}, "Comparison")


class CoresetPanel(foo.Panel):
    """The three knobs, a histogram of scores with the kept part, and the apply button."""

    @property
    def config(self):
        return foo.PanelConfig(
            name="coreset_panel", label="Coreset", icon=ICON, surfaces="grid", allow_multiple=False
        )

    def on_load(self, ctx):
        start = {
            "method": DEFAULT_METHOD,
            "prune_rate": 90,
            "beta": 0,
            "alpha": 1000,
            "selection": "main",
        }
        for name, value in start.items():
            if ctx.panel.get_state(name) is None:
                ctx.panel.set_state(name, value)
        self.look(ctx)

    def on_change_dataset(self, ctx):
        self.look(ctx)

    def look(self, ctx):
        """Choose with the knobs as they stand; nothing is written."""
        try:
            seen = engine.preview(ctx.dataset.name, **self._knobs(ctx))
        except CoresetError as error:
            ctx.panel.set_state("said", str(error))
            ctx.panel.set_data("histogram", [])
            return
        ctx.panel.set_state("said", seen["said"])
        ctx.panel.set_data("histogram", seen["traces"])

    def apply(self, ctx):
        """Write the choice, then show it."""
        try:
            summary = engine.choose(
                ctx.dataset.name,
                selection=ctx.panel.get_state("selection") or "main",
                **self._knobs(ctx),
            )
        except CoresetError as error:
            ctx.ops.notify(str(error), variant="error")
            return
        ctx.ops.notify(summary["said"], variant="success")
        ctx.ops.set_view(view=_kept_view(ctx, summary))

    def scores(self, ctx):
        ctx.prompt("@coreset-explorer/coreset/compute_scores")

    @staticmethod
    def _knobs(ctx) -> dict:
        # the App's sliders move in hundredths of their range; whole percents are what the labels
        # say
        method = ctx.panel.get_state("method") or DEFAULT_METHOD
        knobs = {
            "method": method,
            "prune_rate": round(ctx.panel.get_state("prune_rate") or 0) / 100,
        }
        if METHODS[method].beta:
            knobs["beta"] = round(ctx.panel.get_state("beta") or 0) / 100
        elif METHODS[method].alpha:
            knobs["n_neighbours"] = int(ctx.panel.get_state("alpha") or 1000)
        return knobs

    def render(self, ctx):
        panel = types.Object()
        panel.enum(
            "method",
            PANEL_METHODS,
            label="Method",
            on_change=self.look,
            view=_choices(PANEL_METHODS, {name: METHODS[name].title for name in PANEL_METHODS}),
        )
        for name, title, low, high in (
            ("prune_rate", "Pruning rate p (% removed)", 0, 99),
            ("beta", f"Hard cut beta (% dropped as hardest; {_titles('beta')})", 0, 99),
            ("alpha", f"Redundancy neighbours alpha ({_titles('alpha')})", 1, 2000),
        ):
            panel.int(
                name,
                min=low,
                max=high,
                label=title,
                on_change=self.look,
                view=types.SliderView(label=title, label_position="top", value_precision=0),
            )
        panel.md(ctx.panel.get_state("said") or "Computing ...", name="said_line")
        layout = {
            "height": 260,
            "barmode": "stack",
            "margin": {"t": 10, "b": 40, "l": 40, "r": 10},
            "xaxis": {"title": "score"},
            "legend": {"orientation": "h"},
        }
        panel.plot("histogram", layout=layout, config={"displayModeBar": False})
        panel.str("selection", label="Name of the selection")
        panel.btn("apply", label="Write this selection", on_click=self.apply, variant="contained")
        panel.btn("scores", label="Compute scores ...", on_click=self.scores)
        return types.Property(panel, view=types.GridView(gap=2, padding=2))


def _scopes(ctx) -> dict[str, str]:
    """What can be selected among: the dataset, the view that is shown, the samples selected."""
    scopes = {"dataset": f"the whole dataset ({len(ctx.dataset):,} samples)"}
    if ctx.has_custom_view:
        scopes["view"] = f"the current view ({len(ctx.view):,} samples)"
    if ctx.selected:
        scopes["selected"] = f"the selected samples ({len(ctx.selected):,})"
    return scopes


def _samples(ctx) -> list[str] | None:
    """Ids of the samples to select among; None for the whole dataset."""
    among = ctx.params.get("among") or "dataset"
    if among == "selected":
        return list(ctx.selected)
    return ctx.view.values("id") if among == "view" else None


def _kept_view(ctx, summary: dict):
    ctx.dataset.reload()
    return ctx.dataset.load_saved_view(summary["view"])


def _progress(ctx):
    """progress(stage, done, total, unit) for the engine, shown for delegated operators."""

    def report(stage: str, done: int, total: int, unit: str = "") -> None:
        if ctx.delegated:
            ctx.set_progress(
                progress=done / total if total else 0.0,
                label=f"{stage}: {done:,} of {total:,} {unit}",
            )

    return report


def _stage_inputs(inputs) -> None:
    """A recipe, and settings of the stages; empty = those of the scores that are there."""
    names = ["", *RECIPES]
    inputs.enum(
        "recipe",
        names,
        default="",
        label="Recipe",
        description="settings of a paper or its code, by name",
        view=_choices(names, {"": "none"}),
    )
    inputs.str(
        "settings",
        label="Settings of stages",
        description="comma-separated GROUP.NAME=VALUE: temi.preset=paper, mlp.epochs=40, "
        "dynamics.margin=probability, coverage.exponent=2",
    )


def _method_inputs(inputs, row) -> None:
    """The method's parameters that have no field of their own, as text; empty = the default."""
    for part in dataclasses.fields(load(row.config)):
        about = part.metadata
        if part.name in ("beta", "n_neighbours") or not about:
            continue
        choices = ["", *map(str, about.get("choices", ()))]
        shared = dict(
            label=part.name.replace("_", " ").capitalize(),
            description=f"{about.get('help', '')}; empty = {part.default}",
        )
        if len(choices) > 1:
            inputs.enum(_PARAM + part.name, choices, default="", view=_choices(choices), **shared)
        else:
            inputs.str(_PARAM + part.name, **shared)


_PARAM = "param_"  # keeps a method's parameters apart from the operator's own


def _run_params(params: dict) -> dict:
    names = ("encoder", "seed", "recipe", "settings")
    settings = {name: params[name] for name in names if params.get(name) not in (None, "")}
    if "recipe" in settings and settings.get("encoder") == RunConfig().encoder:
        del settings["encoder"]  # the form's start, which a recipe replaces
    return settings | {
        "n_clusters": params.get("n_clusters") or None,
        "embeddings": params.get("embeddings") or None,
    }


def _selection_params(params: dict) -> dict:
    """The request: fields of the form, the method's own parameters, and the recipe's below them."""
    names = ("method", "prune_rate", "beta", "n_neighbours", "selection")
    chosen = {name: params[name] for name in names if params.get(name) not in (None, "")}
    known = {part.name for part in dataclasses.fields(load(_method(params).config))}
    own = {
        name: params[_PARAM + name] for name in known if params.get(_PARAM + name) not in (None, "")
    }
    recipe = RECIPES.get(params.get("recipe") or "")
    if recipe is None:
        return chosen | own
    below = recipe.params_at(float(chosen.get("prune_rate", 0.9)))
    return below | chosen | own | {"method": recipe.method}


def _method(params: dict):
    """The row of the method that is chosen, or of the recipe's."""
    recipe = RECIPES.get(params.get("recipe") or "")
    return METHODS[recipe.method if recipe else params.get("method") or DEFAULT_METHOD]


def register(plugin):
    """Called by FiftyOne."""
    for operator in (ComputeScores, SelectCoreset, TakeLabels, CompareSelections, CoresetPanel):
        plugin.register(operator)
