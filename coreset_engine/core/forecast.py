"""Records of a forecast: what each method is expected to gain over random, and what follows.

A forecast is a table of rows, one for each candidate (a method with its parameters) and pruning
rate. This module holds the table and reads answers from it; how the rows come about is the business
of `coreset_engine.forecasting`, the rule behind `best` is in `core.forecast_rule`.

Gains are differences in accuracy to random coresets of the same size, in points (hundredths), under
the pool's own class mix and, as `balanced`, with every class weighted alike. `low` and `high`
bound a 90 % interval.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from coreset_engine.core import forecast_rule
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.forecast_rule import Gain, Option
from coreset_engine.core.registry import BASELINE, METHODS, look_up

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Advice", "Forecast", "ForecastRow", "Gain", "LabelsNeeded", "candidate_name"]


def candidate_name(method: str, params: Mapping[str, Any]) -> str:
    """A method with its parameters in one line: "elfs beta=0.1"."""
    return " ".join([method, *(f"{name}={value}" for name, value in sorted(params.items()))])


@dataclass(frozen=True)
class ForecastRow:
    """One candidate at one pruning rate.

    Attributes
    ----------
    method, params
        A row of METHODS and the parameters that differ from its defaults.
    prune_rate : float
        Share removed.
    n_kept : int
        Images kept.
    gain, low, high : float
        Expected gain over random in points and its 90 % interval, for the pool's own class mix.
    balanced_gain, balanced_low, balanced_high : float
        The same where every class counts alike.
    share, share_low, share_high : float
        Expected accuracy as a share of what labels for all images give, with its 90 % interval.
    judged, judged_balanced : float
        Difference to random on the surrogate tasks, in points, before calibration.
    judged_by_labels, judged_by_labels_balanced : float or None
        The same in the task of the labels that people gave; None without such.
    """

    method: str
    params: Mapping[str, Any]
    prune_rate: float
    n_kept: int
    gain: float
    low: float
    high: float
    balanced_gain: float
    balanced_low: float
    balanced_high: float
    share: float
    share_low: float
    share_high: float
    judged: float = 0.0
    judged_balanced: float = 0.0
    judged_by_labels: float | None = None
    judged_by_labels_balanced: float | None = None

    @property
    def name(self) -> str:
        """The candidate in one line, for tables."""
        return candidate_name(self.method, self.params)

    def view(self, balanced: bool = False) -> Gain:
        """The gain under the pool's mix, or for balanced classes."""
        if balanced:
            return Gain(self.balanced_gain, self.balanced_low, self.balanced_high)
        return Gain(self.gain, self.low, self.high)


@dataclass(frozen=True)
class Advice:
    """What to take at one pruning rate.

    Attributes
    ----------
    method, params
        The choice.
    prune_rate : float
    decided : bool
        Whether the forecast decides; where it cannot, the safest candidate is taken.
    gain, low, high : float
        Expected gain of the choice over random in points, with its 90 % interval.
    reason : str
        One sentence without a full stop.
    """

    method: str
    params: Mapping[str, Any]
    prune_rate: float
    decided: bool
    gain: float
    low: float
    high: float
    reason: str

    @property
    def name(self) -> str:
        """The choice in one line."""
        return candidate_name(self.method, self.params)


@dataclass(frozen=True)
class LabelsNeeded:
    """How many labelled images reach a share of the accuracy that labels for all images give.

    Attributes
    ----------
    share : float
        In (0, 1).
    method : str
        Whose coresets are labelled; "auto" takes the advice at each rate.
    count, low, high : int
        Images, and the 90 % interval.
    """

    share: float
    method: str
    count: int
    low: int
    high: int


@dataclass(frozen=True)
class Forecast:
    """Expected gains over random of every candidate at every pruning rate judged so far.

    Attributes
    ----------
    rows : tuple of ForecastRow
        Random is one of the candidates, with a gain of 0.
    n_images : int
    seed : int
    complete : bool
        False while cells are still to come.
    safest : mapping
        Pruning rate as text -> method taken where the forecast cannot decide; "" takes the one
        whose interval has the highest low end.
    seconds : float
        Time spent on cells that were not known before.
    n_labels : int
        Given labels that judged beside the surrogate tasks; 0 = none.
    set_aside : mapping
        Candidate, as `candidate_name` writes it -> why it could not be judged.
    """

    rows: tuple[ForecastRow, ...]
    n_images: int
    seed: int = 0
    complete: bool = True
    safest: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    n_labels: int = 0
    set_aside: Mapping[str, str] = field(default_factory=dict)

    @property
    def rates(self) -> tuple[float, ...]:
        """Pruning rates judged, ascending."""
        return tuple(sorted({row.prune_rate for row in self.rows}))

    @property
    def candidates(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """(method, parameters) of every candidate, in the order of the rows."""
        by_name = {row.name: (row.method, row.params) for row in self.rows}
        return tuple(by_name.values())

    def curve(self, method: str, **params: Any) -> list[ForecastRow]:
        """The rows of one candidate by ascending pruning rate.

        Parameters
        ----------
        method
            A name or alias in METHODS.
        **params
            Parameters of the candidate; without any, its defaults, or the best parameters at each
            rate where the defaults were not judged.

        Raises
        ------
        BadInput
            A candidate that this forecast does not hold.
        """
        own = [one for one in self.rows if one.method == look_up(METHODS, method, "method").name]
        exact = [one for one in own if dict(one.params) == params]
        if not own or (params and not exact):
            why = self.set_aside.get(
                candidate_name(look_up(METHODS, method, "method").name, params)
            )
            if why:
                raise BadInput(f"{candidate_name(method, params)!r} could not be estimated: {why}")
            known = ", ".join(candidate_name(*one) for one in self.candidates) or "none"
            raise BadInput(
                f"{candidate_name(method, params)!r} is not in this forecast, which has {known}; "
                "request it with methods=[...]."
            )
        best: dict[float, ForecastRow] = {}
        for row in sorted(exact or own, key=lambda one: one.gain):
            best[row.prune_rate] = row
        return [best[rate] for rate in sorted(best)]

    def at(self, method: str, prune_rate: float, *, balanced: bool = False, **params: Any) -> Gain:
        """Expected gain of a candidate at any pruning rate, interpolated between those judged."""
        return _interpolated(self.curve(method, **params), prune_rate, balanced)

    def ranking(self, prune_rate: float, *, balanced: bool = False) -> list[Option]:
        """Every candidate at a pruning rate, highest expected gain first."""
        ranked = []
        for method, params in self.candidates:
            rows = self.curve(method, **params)
            gain = _interpolated(rows, prune_rate, balanced)
            ranked.append(Option(candidate_name(method, params), method, params, gain))
        return sorted(ranked, key=lambda option: (-option.gain.gain, option.name))

    def best(
        self,
        prune_rate: float,
        *,
        methods: Iterable[str] | None = None,
        balanced: bool = False,
    ) -> Advice:
        """What to take at a pruning rate, and why.

        Parameters
        ----------
        prune_rate : float
        methods : names, optional
            Candidates considered; all by default.
        balanced : bool
            Whether every class counts alike.
        """
        wanted = None if methods is None else {look_up(METHODS, m, "method").name for m in methods}
        options = [
            option
            for option in self.ranking(prune_rate, balanced=balanced)
            if wanted is None or option.method in wanted
        ]
        made = forecast_rule.decide(options, prune_rate, self.safest_at(prune_rate), BASELINE)
        return Advice(
            made.option.method,
            dict(made.option.params),
            prune_rate,
            made.decided,
            made.option.gain.gain,
            made.option.gain.low,
            made.option.gain.high,
            made.reason,
        )

    def safest_at(self, prune_rate: float) -> str:
        """The method taken where the forecast cannot decide; "" = the highest low end."""
        if not self.safest:
            return ""
        nearest = min(
            self.safest, key=lambda rate: abs(forecast_rule.log_keep_ratio(float(rate), prune_rate))
        )
        return self.safest[nearest]

    def labels_needed(self, share: float = 0.95, method: str = "") -> LabelsNeeded:
        """How many labels reach `share` of the accuracy that labels for all images would give.

        Parameters
        ----------
        share : float
            In (0, 1).
        method : str
            Whose coresets are labelled; "" takes the advice at each rate, "random" is the baseline.

        Raises
        ------
        BadInput
            A share out of range, or a method that this forecast does not hold.
        """
        if not 0 < share < 1:
            raise BadInput(f"share={share} must lie between 0 and 1, for example 0.95.")
        rows = self.curve(method) if method else [self._advised(rate) for rate in self.rates]
        counts = {}
        for end in ("share", "share_low", "share_high"):
            points = [(row.n_kept, getattr(row, end)) for row in rows] + [(self.n_images, 1.0)]
            counts[end] = forecast_rule.first_reaching(sorted(points), share)
        name = look_up(METHODS, method, "method").name if method else "auto"
        return LabelsNeeded(share, name, counts["share"], counts["share_high"], counts["share_low"])

    def _advised(self, rate: float) -> ForecastRow:
        """The row of the method advised at a judged rate."""
        name = self.best(rate).name
        return next(row for row in self.rows if row.prune_rate == rate and row.name == name)

    def as_json(self) -> dict[str, Any]:
        """As `from_json` reads it back."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return record

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Forecast:
        """The forecast that `as_json` wrote."""
        rows = tuple(ForecastRow(**row) for row in value["rows"])
        return cls(**{**value, "rows": rows})

    def as_frame(self) -> pd.DataFrame:
        """One row per candidate and rate, as a pandas table."""
        import pandas as pd

        return pd.DataFrame([{"candidate": row.name, **asdict(row)} for row in self.rows])

    @property
    def correction(self) -> str:
        """ "corrected by 262 labels", or "without labels"."""
        return (
            f"corrected by {counted(self.n_labels, 'label')}" if self.n_labels else "without labels"
        )

    def advice(self) -> list[Advice]:
        """`best` at every judged rate."""
        return [self.best(rate) for rate in self.rates]

    def _repr_html_(self) -> str:
        """For notebooks: gains by candidate and rate, then the advice at each rate."""
        from html import escape

        rates = self.rates
        cells = {(row.name, row.prune_rate): str(row.view()) for row in self.rows}
        head = "".join(f"<th>{rate:.1%}</th>" for rate in rates)
        body = ""
        for name in dict.fromkeys(row.name for row in self.rows):
            entries = "".join(f"<td>{cells.get((name, rate), '')}</td>" for rate in rates)
            body += f"<tr><th>{escape(name)}</th>{entries}</tr>"
        sentences = [one.reason for one in self.advice()]
        sentences += [f"{name} was skipped: {why}" for name, why in self.set_aside.items()]
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        caption = f"<caption>Forecast {self.correction}</caption>"
        top = f"<tr><th>gain, points</th>{head}</tr>"
        return f"<table>{caption}{top}{body}</table><ul>{items}</ul>"


def _interpolated(rows: list[ForecastRow], prune_rate: float, balanced: bool) -> Gain:
    points = [(row.prune_rate, row.view(balanced)) for row in rows]
    return forecast_rule.interpolate(points, prune_rate)
