"""The menu of recipes on Home: a paper's or program's settings put into the widgets at once."""

from __future__ import annotations

from typing import Any

import streamlit as st

from coreset_engine.core.registry import PROXIES
from coreset_engine.pipeline.config import RunConfig, setting_groups
from coreset_engine.pipeline.recipes import RECIPES, Recipe
from ui.state import session

# Method parameters that have a session value of their own, which sliders change too.
OWN_VALUES = {"beta": "beta", "n_neighbours": "alpha"}


def recipe_menu(view: session.RunView) -> None:
    """Choose a recipe; its settings, method and parameters then stand in their widgets."""
    key = session.bind("recipe")
    st.selectbox(
        "Recipe",
        [None, *_offered(view)],
        key=key,
        placeholder="None",
        format_func=_title,
        on_change=_chosen,
        args=(key, view),
        help="The settings, method and parameters of a paper or of its authors' program, as "
        "--recipe takes them. Later changes override it.",
    )


def recipe_settings(name: str | None) -> dict[str, dict[str, Any]]:
    """Part of a run -> the settings that the recipe `name` gives it."""
    config = RunConfig(recipe=name)
    parts = {group: getattr(config, about.name) for group, about in setting_groups(config).items()}
    return {group: dict(settings) for group, settings in parts.items() if settings}


def _offered(view: session.RunView) -> list[str]:
    """Recipes whose proxy this source's inputs allow, and the one taken before."""
    has_images = view.dataset.reader is not None
    return [
        name
        for name, recipe in RECIPES.items()
        if has_images
        or name == session.get("recipe")
        or "images" not in PROXIES[RunConfig(recipe=recipe.name).proxy].needs
    ]


def _title(name: str | None) -> str:
    return "None" if name is None else f"{name}: {RECIPES[name].summary}"


def _chosen(key: str, view: session.RunView) -> None:
    """Take the earlier recipe's settings back, and put the chosen one's into the session."""
    earlier = RECIPES.get(session.get("recipe"))
    recipe = RECIPES.get(st.session_state[key])
    values: dict[str, Any] = {"recipe": recipe.name if recipe else None}
    advanced = dict(session.get("advanced") or {})
    params = dict(session.get("params") or {})
    if earlier is not None:
        values |= {name: getattr(RunConfig(), name) for name in earlier.run}
        for group in recipe_settings(earlier.name):
            advanced.pop(group, None)
        params.pop(earlier.method, None)
    if recipe is not None:
        values |= {**recipe.run, **_of_method(recipe)}
        advanced |= recipe_settings(recipe.name)
        own = {name: one for name, one in recipe.params.items() if name not in OWN_VALUES}
        params[recipe.method] = own
    if view.dataset.vectors is not None:
        values.pop("encoder", None)  # the source's vectors take its place
    session.rebind_all({**values, "advanced": advanced, "params": params})


def _of_method(recipe: Recipe) -> dict[str, Any]:
    """The method, and what the recipe says of beta and neighbours at the pruning rate."""
    params = recipe.params_at(session.get("prune_rate"))
    own = {held: params[name] for name, held in OWN_VALUES.items() if name in params}
    return {"method": recipe.method, **own}
