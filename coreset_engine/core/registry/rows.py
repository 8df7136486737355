"""What a row of a table says, how a row is found by name, and how what it names is imported."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, TypeVar

from coreset_engine.core.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class Row:
    """One entry of a table.

    function, config: "module:name", imported on first use by `load`. needs: artefacts or
    conditions it rests on. aliases: other names that lead here. title: what people read, in words,
    with the short name in brackets; the name when empty.
    """

    name: str
    function: str
    config: str
    summary: str
    needs: tuple[str, ...] = ()
    family: str = ""
    paper: str = ""
    cost: str = ""
    aliases: tuple[str, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name)


@dataclass(frozen=True, kw_only=True)
class MethodRow(Row):
    """A selection method and what it can do; nothing else in the package asks for its name.

    needs: vectors, neighbours, pseudo_labels, dynamics, coverage.
    live: ranks the whole set in a moment, so that a slider may ask for all of it.
    nested: one order serves every budget; what is kept is a window of it.
    independent: ranks each image whatever others take part, so that blocked ones change nothing.
    double_end: its order runs from hard to easy, and the hardest share beta is dropped first.
    counts_preselected: must-keep images change the order of the others.
    beta, alpha, labels: takes a hard cut, redundancy neighbours, a choice of labels to learn from.
    score: column whose values it ranks by; a `score` parameter overrides it. "" = none.
    featured: offered first, and counted ahead for sets too large to draw.
    random: what differs from seed to seed: clustering, training, coverage (samples), draw (of
    images or starting points), ties.
    portfolio: number of images up to which the forecast always judges it and `auto` may take it,
    0 = never: such a method needs vectors and neighbours alone and is fast up to that size.
    trials: parameters that the forecast tries beside the defaults, each as (name, value) pairs.
    """

    live: bool = True
    nested: bool = False
    independent: bool = False
    double_end: bool = False
    counts_preselected: bool = False
    beta: bool = False
    alpha: bool = False
    labels: bool = False
    score: str = ""
    featured: bool = False
    random: tuple[str, ...] = ()
    portfolio: int = 0
    trials: tuple[tuple[tuple[str, Any], ...], ...] = ()

    @property
    def counts_other_sources(self) -> bool:
        """Whether images of another source can count as kept: it compares vectors alone."""
        return self.needs == ("vectors",) and not self.independent

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of the pipeline that it needs finished."""
        return tuple("embeddings" if need == "vectors" else need for need in self.needs)


AnyRow = TypeVar("AnyRow", bound=Row)
ANY_SIZE = 10**12  # of MethodRow.portfolio


def load(path: str) -> Any:
    """The object behind "module:name"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def look_up(table: dict[str, AnyRow], name: str, noun: str) -> AnyRow:
    """The row called `name` (or an alias), else BadInput that names near misses and what exists."""
    key = str(name).strip().lower()
    for row in table.values():
        if key == row.name or key in row.aliases:
            return row
    raise unknown_name(noun, name, sorted(table))


def table(*rows: AnyRow) -> dict[str, AnyRow]:
    """The rows by name, in this order."""
    return {row.name: row for row in rows}


def tried(name: str, *values: Any) -> tuple[tuple[tuple[str, Any], ...], ...]:
    """`trials` of one parameter."""
    return tuple(((name, value),) for value in values)
