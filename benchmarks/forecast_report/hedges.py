"""The tables of benchmarks/forecast_hedges.py: noise of a cell, cells below random, hedges."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import methods
from benchmarks.forecast_report.cells import read_cells

START = "<!-- begin: measured by benchmarks/forecast_hedges.py -->"
END = "<!-- end: measured by benchmarks/forecast_hedges.py -->"
JUDGES = ("linear", "knn")
BELOW = -0.3
BELOW_RATES = 0.85  # pruning rates under this are compared
PLAIN = "0% random, then maxherding"
CELLS = (("fashion", 0.5), ("tail", 0.5), ("elpv", 0.7), ("elpv", 0.8))
TEXT = """\
A rule that takes one random draw a seed is exactly random. Its cells, each draw against the mean of the nine others,
five seeds: standard error of a cell in points, and how many cells lie more than 0.3 points below random by chance.
"+0.5" is a rule with the same noise that truly gains half a point in every cell."""
NEW_SEEDS = """\
Five new seeds of the four cells in which `auto` was below -0.3 by the linear model: pools and test images drawn anew
from the same images. MaxHerding, which `auto` takes there in all seeds but one; points over random ± standard error:"""
HEDGED = """\
Part of the budget at random, the rest by a method, which counts the random part as kept ("then"), and stratified
forms; 50, 70 and 80 % pruned, mean of 21 cells, linear model / vote of the 5 nearest. "Less MaxHerding": paired, mean
over sets ± standard error over the seven sets. "Below -0.3": cells of 21, means over all seeds measured."""

Gains = dict[str, dict[tuple[str, float], dict[int, tuple[float, float]]]]


def write_tables(raw: Path, forecast_raw: Path, docs: Path | None) -> None:
    """Print the tables, or put them between the marks of a page."""
    rows = methods.read(raw)
    gains = gains_of(rows, forecast_raw)
    text = "\n\n".join("\n".join(part) for part in (noise(rows), new_seeds(gains), hedges(gains)))
    if docs is None:
        print(text)
        return
    page = docs.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    docs.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def gains_of(rows: list[dict], forecast_raw: Path) -> Gains:
    """Method -> (set, rate) -> seed -> points over random by either judge."""
    base = {(r["set"], r["seed"], r["rate"]): r for r in rows if r["method"] == "random"}
    found: Gains = {}
    for row in rows:
        if row["method"] not in ("draw", "random") and row["rate"] < BELOW_RATES:
            random = base[row["set"], row["seed"], row["rate"]]
            gain = tuple(100 * (row[judge] - random[judge]) for judge in JUDGES)
            cells = found.setdefault(row["method"], {})
            cells.setdefault((row["set"], row["rate"]), {})[row["seed"]] = gain
    for cell in read_cells(forecast_raw):
        if cell.name == "maxherding" and cell.rate < BELOW_RATES:
            gain = tuple(cell.gains[judge] for judge in JUDGES)
            found[PLAIN].setdefault((cell.set, cell.rate), {})[cell.seed] = gain
    return found


def noise(rows: list[dict]) -> list[str]:
    """How far below itself random lies by chance."""
    from scipy.stats import norm

    draws: dict[tuple[str, float], dict[int, list]] = {}
    for row in rows:
        if row["method"] == "draw" and row["seed"] < 5:
            cell = draws.setdefault((row["set"], row["rate"]), {})
            cell.setdefault(row["seed"], []).append([100 * row[judge] for judge in JUDGES])
    columns = "cells | standard error, linear model | nearest neighbours | below, linear model"
    out = ["### Noise of a cell", "", TEXT, ""]
    out += [f"| pruned | {columns} | nearest neighbours | below at +0.5, linear model |"]
    out += ["|---" * 7 + "|"]
    total = np.zeros(4)
    for rate in sorted({key[1] for key in draws}):
        errors = np.array([error_of(own) for (_, at), own in draws.items() if at == rate])
        below = norm.cdf(BELOW / errors).sum(axis=0)
        gaining = norm.cdf((BELOW - 0.5) / errors[:, 0]).sum()
        total += (len(errors), *below, gaining)
        middle = errors.mean(axis=0)
        out.append(
            f"| {100 * rate:g} % | {len(errors)} | {middle[0]:.2f} | {middle[1]:.2f} "
            f"| {below[0]:.1f} | {below[1]:.1f} | {gaining:.1f} |"
        )
    out.append(f"| all | {total[0]:.0f} | | | {total[1]:.1f} | {total[2]:.1f} | {total[3]:.1f} |")
    return out


def error_of(by_seed: dict[int, list]) -> np.ndarray:
    """(2,) standard error of the mean over seeds of one draw less the mean of the others."""
    found = []
    for own in by_seed.values():
        draws = np.array(own)
        found.append(draws.var(axis=0, ddof=1) * (1 + 1 / (len(draws) - 1)))
    return np.sqrt(np.mean(found, axis=0) / len(found))


def new_seeds(gains: Gains) -> list[str]:
    """The cells that lay below random, on the first seeds and on new ones."""
    out = ["### The cells below random, again", "", NEW_SEEDS, ""]
    out += ["| set | pruned | first five seeds | five new seeds | all ten | nearest neighbours |"]
    out += ["|---" * 6 + "|"]
    for name, rate in CELLS:
        by_seed = gains[PLAIN][name, rate]
        own = np.array([by_seed[seed] for seed in sorted(by_seed)])
        parts = [own[:5, 0], own[5:, 0], own[:, 0], own[:, 1]]
        figures = [f"{part.mean():+.1f} ± {error(part):.1f}" for part in parts]
        out.append(f"| {name} | {100 * rate:g} % | {' | '.join(figures)} |")
    return out


def error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def hedges(gains: Gains) -> list[str]:
    """What each hedge gains, and beside MaxHerding alone."""
    out = ["### Hedges", "", HEDGED, ""]
    out += ["| candidate | first five seeds | less MaxHerding | new seeds | less MaxHerding "]
    out[-1] += "| all seeds: lowest cell | below -0.3 |"
    out += ["|---" * 7 + "|"]
    for name, cells in gains.items():
        title = "MaxHerding alone" if name == PLAIN else name
        row = [part for seeds in (range(5), range(5, 10)) for part in beside(gains, name, seeds)]
        means = np.array([np.mean(list(own.values()), axis=0) for own in cells.values()])
        lowest, below = means.min(axis=0), (means < BELOW).sum(axis=0)
        row += [f"{lowest[0]:+.1f} / {lowest[1]:+.1f}", f"{below[0]} / {below[1]}"]
        if any(row[:1]):
            out.append(f"| {title} | {' | '.join(row)} |")
    return out


def beside(gains: Gains, name: str, seeds: range) -> tuple[str, str]:
    """(mean gains, paired difference to MaxHerding alone) on some seeds; "" where not measured."""
    by_set: dict[str, list] = {}
    own = []
    for (set_, rate), by_seed in gains[name].items():
        plain = gains[PLAIN][set_, rate]
        pairs = [(by_seed[seed], plain[seed]) for seed in seeds if seed in by_seed]
        if len(pairs) < len(seeds):
            return "", ""
        mine, other = np.array(pairs).mean(axis=0)
        own.append(mine)
        by_set.setdefault(set_, []).append(mine - other)
    first = " / ".join(f"{value:+.2f}" for value in np.mean(own, axis=0))
    if name == PLAIN:
        return first, ""
    more = np.array([np.mean(values, axis=0) for values in by_set.values()])
    spread = more.std(axis=0, ddof=1) / np.sqrt(len(more))
    pairs_ = zip(more.mean(axis=0), spread, strict=True)
    return first, " / ".join(f"{value:+.2f} ± {wide:.2f}" for value, wide in pairs_)
