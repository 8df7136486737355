"""What `auto` and other rules take in the cells of benchmarks/forecast.py.

A rule sees one seed of one set at one rate, and cells of the other sets alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.forecast_report.cells import Cell, Cells, estimated, grouped, means, without
from coreset_engine.core.forecast_rule import Option, decide
from coreset_engine.core.registry import portfolio
from coreset_engine.forecasting.calibration import Constants, expected_gain, safest_at

NOTHING = "random"
PORTFOLIO = portfolio(1)
ALL_PAIRS = "facility_location_full"


@dataclass(frozen=True)
class Known:
    """What a rule may know.

    Attributes
    ----------
    options : mapping
        Method -> its cell; the portfolio at one rate of one set and seed.
    rate : float
    table : tuple of Constants
        From the other sets.
    elsewhere : Cells
        The portfolio's cells of the other sets at this rate.
    """

    options: dict[str, Cell]
    rate: float
    table: tuple[Constants, ...]
    elsewhere: Cells


Rule = Callable[[Known], str]


def cases(cells: Cells) -> list[tuple[str, float, int, Known]]:
    """(set, rate, seed, what a rule may know there)."""
    own = [cell for cell in cells if cell.name in PORTFOLIO]
    found = []
    for (name,), of_set in grouped(own, "set").items():
        others = without(own, name)
        table = estimated(without(cells, name))
        for (rate, seed), some in grouped(of_set, "rate", "seed").items():
            elsewhere = [cell for cell in others if cell.rate == rate]
            known = Known({cell.name: cell for cell in some}, rate, table, elsewhere)
            found.append((name, rate, seed, known))
    return found


def auto(known: Known, safest: str | None = None, labels: bool = False) -> tuple[str, bool]:
    """(method that `auto` takes, whether the forecast decided it).

    safest: other methods to take where it cannot decide; labels: whether 100 labels judge too.
    """
    options = [
        Option(name, cell.method, {}, _expected(known, cell, labels))
        for name, cell in known.options.items()
    ]
    made = decide(options, known.rate, safest_at(known.rate) if safest is None else safest)
    return made.option.name, made.decided


def _expected(known: Known, cell: Cell, labels: bool = False):
    given = cell.gains["by_labels"] if labels else None
    return expected_gain(cell.gains["judged"], known.rate, False, known.table, given)


def highest(gain: str) -> Rule:
    """The candidate with the highest judged gain of this kind."""
    return lambda known: max(known.options, key=lambda name: known.options[name].gains[gain])


def both_judges(known: Known) -> str:
    """The highest mean of the ridge regression's and the nearest neighbour's gain."""

    def judged(name: str) -> float:
        gains = known.options[name].gains
        return gains["judged"] + gains["by_neighbours"]

    return max(known.options, key=judged)


def usual(known: Known) -> dict[str, float]:
    """Method -> mean true gain on the other sets at this rate."""
    by_name: dict[str, list[float]] = {}
    for (_, _, name), gain in means(known.elsewhere, "linear").items():
        by_name.setdefault(name, []).append(gain)
    return {name: float(np.mean(gains)) for name, gains in by_name.items()}


def best_elsewhere(known: Known) -> str:
    """The method of the highest mean gain on the other sets."""
    prior = usual(known)
    return max(known.options, key=prior.__getitem__)


def prior_and_forecast(known: Known) -> str:
    """The method's mean on the other sets, moved by how much better it is judged here than there.

    The move is shrunk by the slope that fits the other sets.
    """
    prior = usual(known)
    there = {
        name: float(np.mean([cell.gains["judged"] for cell in own]))
        for (name,), own in grouped(known.elsewhere, "name").items()
    }
    truth = means(known.elsewhere, "linear")
    moved = np.array([cell.gains["judged"] - there[cell.name] for cell in known.elsewhere])
    left = [truth[cell.set, cell.rate, cell.name] - prior[cell.name] for cell in known.elsewhere]
    slope = float((moved * np.array(left)).sum() / max((moved**2).sum(), 1e-12))

    def expected(name: str) -> float:
        return prior[name] + slope * (known.options[name].gains["judged"] - there[name])

    return max(known.options, key=expected)


RULES: dict[str, Rule] = {
    "auto": lambda known: auto(known)[0],
    "always MaxHerding": lambda known: "maxherding",
    "always facility location, all pairs": lambda known: ALL_PAIRS,
    "best in the mean of the other sets": best_elsewhere,
    "that mean, moved by the forecast": prior_and_forecast,
    "highest expected gain": highest("judged"),
    "highest with five tasks, up to 160 clusters": highest("five_tasks"),
    "highest by the nearest neighbour as judge": highest("by_neighbours"),
    "highest by the mean of both judges": both_judges,
    "undecided: facility location, all pairs": lambda known: auto(known, ALL_PAIRS)[0],
    "undecided: k-means medoids": lambda known: auto(known, "kmedoids")[0],
    "undecided: the highest low end": lambda known: auto(known, "")[0],
    "random up to 80 %, auto above": lambda known: NOTHING if known.rate < 0.85 else auto(known)[0],
    "auto with 100 labels": lambda known: auto(known, labels=True)[0],
    "highest expected gain with 100 labels": lambda known: auto(known, "", labels=True)[0],
}


def gains_of(rule: Rule, given: list, gain: str) -> dict[tuple[str, float], float]:
    """(set, rate) -> mean over seeds of the true gain of what the rule takes."""
    found: dict[tuple[str, float], list[float]] = {}
    for name, rate, _, known in given:
        taken = rule(known)
        own = 0.0 if taken == NOTHING else known.options[taken].gains[gain]
        found.setdefault((name, rate), []).append(own)
    return {key: float(np.mean(values)) for key, values in found.items()}


def best_of_seeds(own: Cells, gain: str) -> tuple[str, float, float]:
    """(method of the highest mean, that mean, mean gain at each seed of the best on the others).

    The highest of several noisy means is too high; what is best on some seeds, scored on another,
    is not, but a little too low, since fewer seeds choose.
    """
    by_name = {
        name: np.array([cell.gains[gain] for cell in sorted(some, key=lambda cell: cell.seed)])
        for (name,), some in grouped(own, "name").items()
    }
    names = list(by_name)
    gains = np.array([by_name[name] for name in names])
    chosen = gains.mean(axis=1)
    held_out = []
    for seed in range(gains.shape[1]):
        best = np.delete(gains, seed, axis=1).mean(axis=1).argmax()
        held_out.append(gains[best, seed])
    return names[chosen.argmax()], float(chosen.max()), float(np.mean(held_out))


def expected_best(cells: Cells, gain: str, draws: int = 4000) -> dict[tuple[str, float], float]:
    """(set, rate) -> expected true gain of the portfolio's truly best method, by empirical Bayes.

    At each rate, a method's true gain in a set is its mean over sets plus a normal effect; the
    measured one adds normal noise, whose size the seeds give. The best is drawn from what the
    figures leave open.
    """
    rng = np.random.default_rng(0)
    own = [cell for cell in cells if cell.name in PORTFOLIO]
    found = {}
    for (rate,), of_rate in grouped(own, "rate").items():
        gains = {
            name: np.array([[c.gains[gain] for c in some] for some in by_name(of_set)])
            for (name,), of_set in grouped(of_rate, "set").items()
        }
        for name, values in posterior(list(gains.values())).items():
            mean, spread = values
            true = mean[:, None] + spread * rng.standard_normal((len(mean), draws))
            found[list(gains)[name], rate] = float(true.max(axis=0).mean())
    return found


def by_name(cells: Cells) -> list[Cells]:
    """The cells of each method, methods in the order of the portfolio."""
    groups = grouped(cells, "name")
    return [groups[name,] for name in PORTFOLIO]


def posterior(gains: list[np.ndarray]) -> dict[int, tuple[np.ndarray, float]]:
    """Place of the set -> (mean of each method's true gain, standard deviation).

    gains: for each set (methods, seeds).
    """
    means_ = np.array([own.mean(axis=1) for own in gains])
    left = [own - own.mean(axis=0) for own in gains]
    left = [own - own.mean(axis=1, keepdims=True) for own in left]
    freedom = [(own.shape[0] - 1) * (own.shape[1] - 1) for own in left]
    noise = np.mean(
        [(own**2).sum() / of / own.shape[1] for own, of in zip(left, freedom, strict=True)]
    )
    prior = (means_ - means_.mean(axis=1, keepdims=True)).mean(axis=0)
    prior = means_.mean(axis=1, keepdims=True) + prior
    effect = max(float(np.mean(np.var(means_ - prior, axis=1, ddof=1)) - noise), 1e-6)
    kept = effect / (effect + noise)
    spread = float(np.sqrt(kept * noise))
    return {i: (prior[i] + kept * (means_[i] - prior[i]), spread) for i in range(len(gains))}
