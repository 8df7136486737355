"""The measured cells of benchmarks/forecast.py as gains over random, and what calibrates them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import methods
from coreset_engine.core.registry import BASELINE, METHODS
from coreset_engine.forecasting.calibration import Constants, expected_gain

N_USED = 4  # surrogate tasks of the forecast
WIDER = 1.25  # spreads, since a new set differs more from those seen than they among themselves
WIDER_BALANCED = 1.4
LOWEST = -10  # points on the surrogate tasks below which a candidate does not calibrate
GAINS = ("linear", "linear_balanced", "knn", "knn_balanced", "by_labels", "by_labels_balanced")


@dataclass(frozen=True)
class Cell:
    """One candidate at one rate of one set and seed.

    Attributes
    ----------
    set, seed, rate, k, method, name
    gains : dict
        Differences to random in points: true ones by `linear` and `knn`, each also `_balanced`,
        and judged ones, `judged`, `judged_balanced`, `by_neighbours`, `five_tasks`, `by_labels` and
        `by_labels_balanced`.
    share, judged_share : float
        True (linear) and judged accuracy over those of all images, at most 1.
    """

    set: str
    seed: int
    rate: float
    k: int
    method: str
    name: str
    gains: dict[str, float]
    share: float
    judged_share: float


Cells = list[Cell]


def read_cells(raw: Path) -> Cells:
    """Every row of a raw file but those of random and of all images."""
    rows = methods.read(raw)
    base = {(r["set"], r["seed"], r["rate"]): r for r in rows if r["method"] in ("random", "all")}
    return [
        _cell(row, base[row["set"], row["seed"], row["rate"]], base[row["set"], row["seed"], 0.0])
        for row in rows
        if row["method"] not in ("random", "all")
    ]


def _cell(row: dict, random: dict, everything: dict) -> Cell:
    gains = {name: 100 * (row[name] - random[name]) for name in GAINS}
    for name in ("judged", "judged_balanced", "by_neighbours"):
        gains[name] = 100 * (_used(row[name]) - _used(random[name]))
    gains["five_tasks"] = 100 * float(np.mean(row["judged"]) - np.mean(random["judged"]))
    return Cell(
        row["set"],
        row["seed"],
        row["rate"],
        row["k"],
        row["method"],
        " ".join([row["method"], *(f"{name}={value}" for name, value in row["params"].items())]),
        gains,
        min(1.0, row["linear"] / everything["linear"]),
        min(1.0, _used(row["judged"]) / _used(everything["judged"])),
    )


def _used(by_task: list[float]) -> float:
    return float(np.mean(by_task[:N_USED]))


def grouped(cells: Cells, *names: str) -> dict[tuple, Cells]:
    """Cells by the values of some attributes, in the order they come."""
    groups: dict[tuple, Cells] = {}
    for cell in cells:
        groups.setdefault(tuple(getattr(cell, name) for name in names), []).append(cell)
    return groups


def means(cells: Cells, gain: str) -> dict[tuple, float]:
    """(set, rate, name) -> mean over seeds."""
    groups = grouped(cells, "set", "rate", "name")
    return {key: float(np.mean([cell.gains[gain] for cell in own])) for key, own in groups.items()}


def estimated(cells: Cells) -> tuple[Constants, ...]:
    """Calibration constants by rate, against the linear model's mean gains over seeds.

    Slopes by least squares through zero; spreads from the root mean square of what is left over.
    """
    found = []
    for (rate,), own in sorted(grouped(cells, "rate").items()):
        some = [cell for cell in own if cell.gains["judged"] > LOWEST]
        plain = _view(some, "", WIDER)
        even = _view(some, "_balanced", WIDER_BALANCED)
        power, power_spread = _line(
            [np.log(cell.judged_share) for cell in some], [np.log(cell.share) for cell in some]
        )
        values = (*plain[:2], *even[:2], power, WIDER * power_spread, *plain[2:], *even[2:])
        found.append(Constants(rate, *(round(value, 3) for value in values)))
    return tuple(found)


def _view(some: Cells, end: str, wider: float) -> tuple[float, float, float, float]:
    """(slope, spread, slope of given labels, spread of the mean of both)."""
    goals = means(some, "linear" + end)
    truth = np.array([goals[cell.set, cell.rate, cell.name] for cell in some])
    judged = np.array([cell.gains["judged" + end] for cell in some])
    given = np.array([cell.gains["by_labels" + end] for cell in some])
    slope, spread = _line(judged, truth)
    label_slope, _ = _line(given, truth)
    both = truth - (slope * judged + label_slope * given) / 2
    return slope, wider * spread, label_slope, wider * float(np.sqrt(np.mean(both**2)))


def _line(x: np.ndarray | list, y: np.ndarray | list) -> tuple[float, float]:
    """(slope through zero, root mean square of what is left)."""
    a, b = np.asarray(x), np.asarray(y)
    slope = float((a * b).sum() / max((a * a).sum(), 1e-12))
    return slope, float(np.sqrt(np.mean((b - slope * a) ** 2)))


def without(cells: Cells, name: str) -> Cells:
    """The cells of all other sets."""
    return [cell for cell in cells if cell.set != name]


@dataclass(frozen=True)
class Judged:
    """A cell's expected gain, with constants from the other sets, beside the true one.

    truth: mean over seeds; own: of the cell's seed alone.
    """

    cell: Cell
    expected: float
    spread: float
    truth: float
    own: float


def held_out(cells: Cells, end: str = "", by_labels: bool = False) -> list[Judged]:
    """Every cell that calibrates, judged with constants from the other sets; end: or "_balanced"."""
    from coreset_engine.forecasting.calibration import Z_90

    goals = means(cells, "linear" + end)
    found = []
    for (name,), own in grouped(cells, "set").items():
        table = estimated(without(cells, name))
        for cell in own:
            if cell.gains["judged"] > LOWEST:
                given = cell.gains["by_labels" + end] if by_labels else None
                judged = cell.gains["judged" + end]
                gain = expected_gain(judged, cell.rate, bool(end), table, given)
                truth = goals[cell.set, cell.rate, cell.name]
                spread = (gain.high - gain.gain) / Z_90
                own_gain = cell.gains["linear" + end]
                found.append(Judged(cell, gain.gain, spread, truth, own_gain))
    return found


def of_all_methods(raw: Path, judge: str, lowest_rate: float) -> Cells:
    """Gains over random of every method of benchmarks/methods.py, on the main sets, by one judge."""
    rows = [row for row in methods.read(raw) if row["set"] in methods.MAIN_SETS and judge in row]
    rows = [row for row in rows if row["prune_rate"] >= lowest_rate and row["name"] in METHODS]
    base = {(r["set"], r["prune_rate"], r["seed"]): r[judge] for r in rows if r["name"] == BASELINE}
    return [
        Cell(
            row["set"],
            row["seed"],
            row["prune_rate"],
            row["k"],
            row["name"],
            row["name"],
            {judge: 100 * (row[judge] - base[row["set"], row["prune_rate"], row["seed"]])},
            1.0,
            1.0,
        )
        for row in rows
        if row["name"] != BASELINE
    ]
