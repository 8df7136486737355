"""The records of a paper's table of accuracies: what each row was made by, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RATES = (0.3, 0.5, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class PaperRow:
    """One row of a table.

    Attributes
    ----------
    label, method : str
        What the table calls it, and the method that makes it here.
    figures : tuple of float or None
        Accuracies in percent, one for each rate of the table, or one alone where the table prints
        the mean over its rates; None where the paper draws a curve or prints no figure.
    recipe : str
        Recipe of run settings and parameters; "" = none.
    run, params, options : mapping
        Fields of RunConfig, parameters of the method and fields of EvaluationConfig, beside the
        recipe's.
    """

    label: str
    method: str
    figures: tuple[float | None, ...]
    recipe: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper.

    Attributes
    ----------
    name, title, source : str
    dataset : str
        What has to be given, for people.
    model : str
        Network that is trained on each coreset.
    full : float
        Accuracy on all images, in percent.
    rows : tuple of PaperRow
    rates : tuple of float
    steps : int
        Training steps whatever the coreset's size; 0 = the network's usual passes over the set.
    epochs : int
        Passes over each coreset, instead of steps; 0 = not.
    seeds : int
        Runs a cell is averaged over.
    minutes : float
        Of one training as ELFS' table 6 measures it on a 2080 Ti; 0 = not measured.
    note : str
        What differs from the paper whatever the row.
    mean_over_rates : bool
        Each row has one figure, the mean over the rates.
    """

    name: str
    title: str
    source: str
    dataset: str
    model: str
    full: float
    rows: tuple[PaperRow, ...]
    rates: tuple[float, ...] = RATES
    steps: int = 0
    epochs: int = 0
    seeds: int = 5
    minutes: float = 0.0
    note: str = ""
    mean_over_rates: bool = False

    def figure(self, row: PaperRow, rate: float | None) -> float | None:
        """The paper's figure of a row at a rate; rate None: the mean over the rates."""
        return row.figures[0 if rate is None else self.rates.index(rate)]

    @property
    def trainings(self) -> int:
        """Trainings of a full reproduction, the one on all images of each seed included."""
        return self.seeds * (len(self.rows) * len(self.rates) + 1)
