"""What `--recipe NAME` does to the options of a command that selects: method and parameters."""

from __future__ import annotations

from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import DEFAULT_METHOD, METHODS, look_up
from coreset_engine.pipeline.recipes import find


def take_recipe(name: str, values: dict[str, Any]) -> None:
    """Fill method, parameters and beta from a recipe; explicit values override it.

    The settings of the run are taken in by `RunConfig` itself.

    Parameters
    ----------
    name
        Of the recipe.
    values
        The command's options, changed in place. Nothing happens to a command that selects nothing
        or several methods.

    Raises
    ------
    BadInput
        An unknown recipe, or another method than the recipe's.
    """
    from coreset_engine.selection.budget import DEFAULT_RATE  # imports NumPy, which --help does not

    recipe = find(name)
    if "method" not in values or "param" not in values:
        return
    asked = look_up(METHODS, values["method"], "method").name
    if asked not in (DEFAULT_METHOD, recipe.method):
        raise BadInput(
            f"--recipe {recipe.name} uses method {recipe.method!r}, not {values['method']!r}; "
            "leave out --method, or the recipe."
        )
    values["method"] = recipe.method
    params = dict(recipe.params)
    if values.get("count") is None:
        rate = values.get("prune_rate")
        params = recipe.params_at(DEFAULT_RATE if rate is None else float(rate))
    for option in ("beta", "n_neighbours"):
        if option in values:
            own = params.pop(option, None)
            values[option] = own if values[option] is None else values[option]
    items = [f"{name}={value}" for name, value in params.items()]
    values["param"] = [*items, *(values["param"] or ())]
