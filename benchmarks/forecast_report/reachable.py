"""How far above the first rule any choice among the methods could be, beside what `auto` gains.

The bar of `auto` was 2 points above the first rule from 80 % pruned on. The best method of every
cell, chosen by the very figures it is scored with, is a ceiling: its mean is too high, since the
highest of noisy figures is, and no rule that picks one method a cell is above it on these seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.forecast_report import rules
from benchmarks.forecast_report.cells import Cells, grouped, of_all_methods

FROM = 0.8  # pruning rate that the bar begins at
FIRST_RULE = "kmedoids"  # what `rule=measured` takes there
TEXT = """\
Points over the first rule (k-means medoids), mean over sets and rates from 80 % pruned on. "Same seeds" takes in every
cell the method with the highest mean and scores it with that mean: a ceiling for any rule that takes one method in all
seeds of a cell, and too high, since the highest of noisy means is. "Other seeds" chooses on four seeds for the fifth.
"Truly best, estimated" is the empirical Bayes estimate. The bar was +2."""

Chosen = Callable[[Cells, str], float]


def reachable(cells: Cells, methods_raw: Path | None, judges: dict[str, str]) -> list[str]:
    """The section: what `auto` gains over the first rule, and the most that any choice could."""
    out = ["### What any rule could reach", "", TEXT, ""]
    out += [f"| | {' | '.join(judges.values())} |", "|---" * (len(judges) + 1) + "|"]
    rows: dict[str, list[str]] = {}
    for judge in judges:
        for title, figure in figures(cells, methods_raw, judge).items():
            rows.setdefault(title, []).append(figure)
    return out + [f"| {title} | {' | '.join(own)} |" for title, own in rows.items()]


def figures(cells: Cells, methods_raw: Path | None, judge: str) -> dict[str, str]:
    """Title -> points over the first rule."""
    high = [cell for cell in cells if cell.rate >= FROM]
    own = [cell for cell in high if cell.name in rules.PORTFOLIO]
    first = mean_of(high, judge, lambda some, gain: of_method(some, gain, FIRST_RULE))
    auto = rules.gains_of(rules.RULES["auto"], rules.cases(cells), judge)
    true = rules.expected_best(cells, judge)
    found = {
        "`auto`": np.mean([gain for (_, rate), gain in auto.items() if rate >= FROM]),
        "truly best of the portfolio, estimated": np.mean(
            [gain for (_, rate), gain in true.items() if rate >= FROM]
        ),
        "best of the portfolio, other seeds": mean_of(own, judge, on_other_seeds),
        "best of the portfolio, same seeds": mean_of(own, judge, on_same_seeds),
        "best of 12 methods, other seeds": mean_of(high, judge, on_other_seeds),
        "best of 12 methods, same seeds": mean_of(high, judge, on_same_seeds),
    }
    reported = {title: f"{gain - first:+.1f}" for title, gain in found.items()}
    if methods_raw is not None:
        reported |= all_methods(methods_raw, judge)
    return reported


def all_methods(raw: Path, judge: str) -> dict[str, str]:
    """The same of every method that benchmarks/methods.py measures."""
    cells = [cell for cell in of_all_methods(raw, judge, FROM) if cell.name != "auto"]
    first = mean_of(cells, judge, lambda some, gain: of_method(some, gain, FIRST_RULE))
    count = len({cell.name for cell in cells})
    return {
        f"best of {count} methods, other seeds": (
            f"{mean_of(cells, judge, on_other_seeds) - first:+.1f}"
        ),
        f"best of {count} methods, same seeds": (
            f"{mean_of(cells, judge, on_same_seeds) - first:+.1f}"
        ),
    }


def mean_of(cells: Cells, judge: str, chosen: Chosen) -> float:
    """Mean over sets and rates of what a choice gains."""
    groups = grouped(cells, "set", "rate").values()
    return float(np.mean([chosen(own, judge) for own in groups]))


def of_method(own: Cells, judge: str, name: str) -> float:
    return float(np.mean([cell.gains[judge] for cell in own if cell.name == name]))


def on_same_seeds(own: Cells, judge: str) -> float:
    return rules.best_of_seeds(own, judge)[1]


def on_other_seeds(own: Cells, judge: str) -> float:
    return rules.best_of_seeds(own, judge)[2]
