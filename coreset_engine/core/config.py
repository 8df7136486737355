"""Frozen config dataclasses with bounds, read by forms, command-line help, docs and validation.

    @dataclass(frozen=True)
    class ElfsConfig:
        beta: float = knob(0.0, "share of the whole set dropped first as hardest", low=0.0,
            high=1.0, step=0.01)

`make(ElfsConfig, {"beta": "0.4"})` converts, checks and builds it, or raises `BadInput` with value,
constraint, remedy.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

from coreset_engine.core.errors import BadInput

Config = TypeVar("Config")


def knob(  # noqa: PLR0913
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: tuple[Any, ...] = (),
    label: str = "",
    words: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that knows its help text, bounds, slider step and choices.

    Parameters
    ----------
    default
        Default value.
    help : str
        One phrase, shown by forms, `--help` and the documentation.
    low, high : float, optional
        Inclusive bounds.
    step : float, optional
        Of the slider.
    choices : tuple
        Allowed values; () = any.
    label : str
        Title on forms; "" = the field's name.
    words : tuple of str
        Values beside numbers, such as "auto"; the caller replaces them by a number before the
        config is used.
    """
    about = dict(help=help, low=low, high=high, step=step, choices=tuple(choices), label=label)
    about |= dict(words=tuple(words)) if words else {}
    return dataclasses.field(default=default, metadata=about)


def make(config: type[Config], values: dict[str, Any]) -> Config:
    """Build `config` from loosely typed values and check each one.

    The values are strings from a shell or JSON from a manifest.
    """
    about: Any = config
    fields = {field.name: field for field in dataclasses.fields(about)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise BadInput(f"unknown parameter {unknown[0]!r}; known: {', '.join(fields) or 'none'}.")
    return config(**{name: check_value(fields[name], value) for name, value in values.items()})


def left_to(config: Any, word: str = "auto") -> list[str]:
    """Names of the fields of `config` whose value is this word instead of a number."""
    return [
        field.name
        for field in dataclasses.fields(config)
        if word in field.metadata.get("words", ()) and getattr(config, field.name) == word
    ]


def check_value(field: dataclasses.Field[Any], value: Any) -> Any:
    """`value` converted to the type of `field` and within its bounds and choices, or BadInput."""
    about = field.metadata
    default = field.default
    choices = about.get("choices", ())
    if choices:
        if value not in choices:
            raise BadInput(
                f"{field.name}={value!r} is not supported; choose one of "
                f"{', '.join(map(str, choices))}."
            )
        return value
    if value is None and default is None:
        return None
    if isinstance(value, str) and value.strip().lower() in about.get("words", ()):
        return value.strip().lower()
    value = _converted(field, value)
    low = about.get("low")
    high = about.get("high")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and not math.isfinite(value):
        raise BadInput(f"{field.name}={value} must be a finite number.")
    if number and ((low is not None and value < low) or (high is not None and value > high)):
        raise BadInput(
            f"{field.name}={value} must lie between {low} and "
            f"{'any size' if high is None else high}."
        )
    return value


def _converted(field: dataclasses.Field[Any], value: Any) -> Any:
    kind: Any = type(field.default)
    if field.default is None:
        kind = _OPTIONAL.get(str(field.type))
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
        if kind is int:
            if float(value) != int(float(value)):
                raise ValueError
            return int(float(value))
        if kind is float:
            return float(value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise BadInput(
            f"{field.name}={value!r} must be {_NOUN[kind]}, for example {_example(field)}."
        ) from None
    return value


def _example(field: dataclasses.Field[Any]) -> Any:
    return field.metadata.get("low") if field.default is None else field.default


_OPTIONAL = {"float | None": float, "int | None": int}
_NOUN = {bool: "true or false", int: "a whole number", float: "a number"}
