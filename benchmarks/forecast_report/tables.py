"""The tables of docs/forecast.md, from the raw file of benchmarks/forecast.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import methods
from benchmarks.forecast_report import rules
from benchmarks.forecast_report.cells import (
    Cells,
    Judged,
    estimated,
    grouped,
    held_out,
    means,
    of_all_methods,
    read_cells,
)
from benchmarks.forecast_report.reachable import reachable

START = "<!-- begin: measured by benchmarks/forecast.py -->"
END = "<!-- end: measured by benchmarks/forecast.py -->"
BELOW = -0.3  # points below random at which a cell misses the bar
JUDGES = {"linear": "linear model", "knn": "vote of the 5 nearest"}
CALIBRATION = """\
Expected gain = slope × judged gain ± 1.645 × spread, in points; share of the accuracy of all labels = (judged
share)^power. Slopes are far below 1: surrogate tasks have no noise and exaggerate. The last four columns are for labels
that people gave. Constants from all sets:"""
COVERAGE = """\
Each set judged with constants from the other six: share of the true gains inside the 90 % intervals, over all
candidates judged less than ten points below random. True gains are means over the seeds; in the last two columns those
of single seeds, whose own noise no forecast can know. "all" is the mean of the sets."""
LABELS = """\
Root mean square of expected minus true gain, in points, each set with constants from the other six. The labels are
those of random images of the pool, filled in for the others by label spreading:"""
CORRELATIONS = """\
Between judged and true gains of 12 candidates, means over seeds."""
BARS = """\
Points over random, mean ± standard error over seeds; truth by the linear model, in one column by the vote of the 5
nearest; constants from the other six sets. The highest of 12 noisy means is too high ("best in hindsight"). "Chosen on
other seeds" takes, for each seed, the method that is best in the mean of the others: it is not too high, but a little
too low, since fewer seeds choose. The list of safest methods was chosen on two seeds of the same sets, larger pools.
"First rule" is `rule=measured`."""
OTHER_RULES = """\
Over the same portfolio, with what the other six sets say. "Less `auto`" is the mean over sets of the paired
difference, ± its standard error over the seven sets."""
ALL_METHODS = """\
The raw figures of [all methods](reference/methods-measured.md), 50 to 99 % pruned, mean over sets and rates: `auto` as
a user runs it, on the same pools and seeds, with constants that know these sets. Random is one draw a seed there.
Methods that read labels read pseudo-labels."""
VIEWS = (("", False), ("_balanced", False), ("", True), ("_balanced", True))


def write_tables(raw: Path, methods_raw: Path | None, docs: Path | None) -> None:
    """Print the tables, or put them between the marks of a page."""
    cells = read_cells(raw)
    parts = [
        sizes(raw, cells),
        calibration(cells),
        coverage(cells),
        labels(cells),
        correlations(cells),
        bars(cells),
        summary(cells),
        reachable(cells, methods_raw, JUDGES),
        other_rules(cells),
    ]
    if methods_raw is not None:
        parts.append(all_methods(methods_raw))
    text = "\n\n".join("\n".join(part) for part in parts)
    if docs is None:
        print(text)
        return
    page = docs.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    docs.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def rates_of(cells: Cells) -> list[float]:
    return sorted({cell.rate for cell in cells})


def sets_of(cells: Cells) -> list[str]:
    return [name for name in methods.SIZES if any(cell.set == name for cell in cells)]


def head(first: str, columns: list[str]) -> list[str]:
    """The two lines at the top of a table."""
    return [f"| {first} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]


def percent(rate: float) -> str:
    return f"{100 * rate:g} %"


def sizes(raw: Path, cells: Cells) -> list[str]:
    """Images, seeds, and what random reaches."""
    out = head("set", ["images to select from", "test images", "seeds"])
    counts = {row["set"]: row["n"] for row in methods.read(raw)}
    for name in sets_of(cells):
        seeds = len({cell.seed for cell in cells if cell.set == name})
        title = f"{methods.TITLES[name]} (`{name}`)"
        out.append(f"| {title} | {counts[name]:,} | {methods.SIZES[name][1]:,} | {seeds} |")
    return out


def calibration(cells: Cells) -> list[str]:
    """The constants of `forecasting/calibration.py`, from all sets."""
    columns = ["slope", "spread", "balanced slope", "balanced spread", "power", "its spread"]
    columns += ["label slope", "label spread", "balanced", "balanced"]
    out = ["### Calibration", "", CALIBRATION, "", *head("pruned", columns)]
    for one in estimated(cells):
        values = list(vars(one).values())[1:]
        out.append(f"| {percent(one.prune_rate)} | {' | '.join(f'{v:g}' for v in values)} |")
    return out


def coverage(cells: Cells) -> list[str]:
    """Share of true gains inside the 90 % intervals, constants from the other sets."""
    columns = ["pool's mix", "balanced", "with 100 labels", "balanced", "single seeds", "balanced"]
    out = ["### Coverage of the intervals", "", COVERAGE, "", *head("set", columns)]
    views = [held_out(cells, end, given) for end, given in VIEWS]
    for name in [*sets_of(cells), "all"]:
        shares = [share_inside(some, name) for some in views]
        shares += [share_inside(some, name, own=True) for some in views[:2]]
        out.append(f"| {name} |" + "".join(f" {100 * share:.0f} % |" for share in shares))
    return out


def share_inside(some: list[Judged], name: str, own: bool = False) -> float:
    """Of one set, or of "all": the mean of the sets' shares."""
    by_set: dict[str, list[bool]] = {}
    for one in some:
        miss = abs((one.own if own else one.truth) - one.expected)
        by_set.setdefault(one.cell.set, []).append(miss <= 1.645 * one.spread)
    shares = {key: float(np.mean(inside)) for key, inside in by_set.items()}
    return float(np.mean(list(shares.values()))) if name == "all" else shares[name]


def labels(cells: Cells) -> list[str]:
    """How far the expected gain is from the true one without and with 100 labels."""
    columns = ["no label", "100 labels", "balanced: no label", "100 labels"]
    out = ["### With 100 labels", "", LABELS, "", *head("pruned", columns)]
    views = [held_out(cells, end, given) for end in ("", "_balanced") for given in (False, True)]
    for rate in rates_of(cells):
        errors = [
            [one.expected - one.truth for one in some if one.cell.rate == rate] for some in views
        ]
        sizes_ = [float(np.sqrt(np.mean(np.square(error)))) for error in errors]
        out.append(f"| {percent(rate)} |" + "".join(f" {size:.2f} |" for size in sizes_))
    return out


def correlations(cells: Cells) -> list[str]:
    """Rank correlation over candidates of judged and true gains, means over seeds."""
    out = ["### Rank correlations", "", CORRELATIONS]
    for title, true, judged in (
        ("The pool's own mix of classes:", "linear", "judged"),
        ("Balanced classes:", "linear_balanced", "judged_balanced"),
    ):
        out += ["", title, "", *head("set", [percent(rate) for rate in rates_of(cells)])]
        truths, guesses = means(cells, true), means(cells, judged)
        for name in sets_of(cells):
            row = [correlation(truths, guesses, name, rate) for rate in rates_of(cells)]
            out.append(f"| {name} |" + "".join(row))
    return out


def correlation(truths: dict, guesses: dict, name: str, rate: float) -> str:
    from scipy.stats import spearmanr

    keys = [key for key in truths if key[:2] == (name, rate)]
    if not keys:
        return " |"
    found = spearmanr([guesses[key] for key in keys], [truths[key] for key in keys])[0]
    return f" {found:.2f} |"


def bars(cells: Cells) -> list[str]:
    """What `auto` gains in every cell, with constants from the other sets."""
    columns = ["pruned", "auto", "best in hindsight", "chosen on other seeds", "first rule"]
    columns += ["auto, nearest neighbours", "takes"]
    out = ["### What `auto` gains", "", BARS, "", *head("set", columns)]
    given = rules.cases(cells)
    for (name, rate), own in grouped(cells, "set", "rate").items():
        here = [known for set_, at, _, known in given if (set_, at) == (name, rate)]
        out.append(bar(name, rate, own, here))
    return out


def bar(name: str, rate: float, own: Cells, here: list[rules.Known]) -> str:
    """One line of the bars."""
    taken = [rules.auto(known) for known in here]
    gains = taken_gains(here, [method for method, _ in taken], "linear")
    neighbours = taken_gains(here, [method for method, _ in taken], "knn")
    best, highest, other = rules.best_of_seeds(own, "linear")
    first = np.mean([cell.gains["linear"] for cell in own if cell.name == first_rule(rate)])
    counts: dict[str, int] = {}
    for method, _ in taken:
        counts[method] = counts.get(method, 0) + 1
    reported = ", ".join(f"{method} {count}" for method, count in counts.items())
    decided = sum(message for _, message in taken)
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return (
        f"| {name} | {percent(rate)} | {gains.mean():+.1f} ± {error:.1f} | {best} {highest:+.1f} "
        f"| {other:+.1f} | {first:+.1f} | {neighbours.mean():+.1f} | {reported}; decided {decided} |"
    )


def taken_gains(here: list[rules.Known], taken: list[str], gain: str) -> np.ndarray:
    return np.array(
        [
            0.0 if method == rules.NOTHING else known.options[method].gains[gain]
            for known, method in zip(here, taken, strict=True)
        ]
    )


def first_rule(rate: float) -> str:
    """`auto rule=measured`."""
    return "kmedoids" if rate >= 0.75 else "probcover"


def summary(cells: Cells) -> list[str]:
    """The bars that were set for `auto`, by either judge of the truth."""
    out = ["Against the bars that were set for `auto`:", ""]
    out += head("", ["bar", *JUDGES.values()])
    given = rules.cases(cells)
    rows: dict[tuple[str, str], list[str]] = {}
    for judge in JUDGES:
        for key, text in measured_bars(cells, given, judge).items():
            rows.setdefault(key, []).append(text)
    return out + [
        f"| {what} | {bar_} | {' | '.join(texts)} |" for (what, bar_), texts in rows.items()
    ]


def measured_bars(cells: Cells, given: list, judge: str) -> dict[tuple[str, str], str]:
    """(what, its bar) -> what was measured."""
    auto = rules.gains_of(rules.RULES["auto"], given, judge)
    true = rules.expected_best(cells, judge)
    groups = grouped(cells, "set", "rate")
    best = {key: rules.best_of_seeds(own, judge)[1:] for key, own in groups.items()}
    first = {
        key: float(np.mean([c.gains[judge] for c in own if c.name == first_rule(key[1])]))
        for key, own in groups.items()
    }
    own = np.array([auto[key] for key in groups])
    hindsight, fair = np.array([best[key] for key in groups]).T
    high = np.array([key[1] >= 0.8 for key in groups])
    before = np.array([first[key] for key in groups])
    below = [f"{key[0]} {percent(key[1])} {auto[key]:+.1f}" for key in groups if auto[key] < BELOW]
    more = own[high].mean() - before[high].mean()
    return {
        ("mean gain, all cells", ""): f"{own.mean():+.2f}",
        ("share of the best of 12 methods in hindsight, chosen on other seeds (too low)", "90 %"): (
            f"{own.sum() / fair.sum():.0%} of {fair.mean():+.2f}"
        ),
        ("the same, chosen on the same seeds (too high)", "90 %"): (
            f"{own.sum() / hindsight.sum():.0%} of {hindsight.mean():+.2f}"
        ),
        ("share of the truly best of the portfolio, estimated", "90 %"): (
            f"{own.sum() / sum(true.values()):.0%} of {np.mean(list(true.values())):+.2f}"
        ),
        ("above the first rule from 80 % pruned on", "+2"): (
            f"{more:+.1f} ({own[high].mean():+.2f} against {before[high].mean():+.2f})"
        ),
        ("cells more than 0.3 points below random", f"0 of {len(own)}"): (
            f"{len(below)}: {'; '.join(below)}" if below else "0"
        ),
    }


def other_rules(cells: Cells) -> list[str]:
    """What other rules would gain in the same cells; all they know is from the other sets."""
    columns = [
        "mean",
        "less `auto`",
        "lowest cell",
        "below -0.3",
        "nearest neighbours: less `auto`",
    ]
    out = ["### Other rules", "", OTHER_RULES, "", *head("rule", columns)]
    given = rules.cases(cells)
    auto = {judge: rules.gains_of(rules.RULES["auto"], given, judge) for judge in JUDGES}
    for title, rule in rules.RULES.items():
        own = {judge: rules.gains_of(rule, given, judge) for judge in JUDGES}
        gains = np.array(list(own["linear"].values()))
        more = [paired(own[judge], auto[judge]) for judge in JUDGES]
        out.append(
            f"| {title} | {gains.mean():+.2f} | {more[0]} | {gains.min():+.1f} "
            f"| {(gains < BELOW).sum()} | {more[1]} |"
        )
    return out


def paired(own: dict, auto: dict) -> str:
    """Mean over sets of the difference, plus or minus its standard error over sets."""
    by_set: dict[str, list[float]] = {}
    for (name, _), gain in own.items():
        by_set.setdefault(name, []).append(gain)
    before: dict[str, list[float]] = {}
    for (name, _), gain in auto.items():
        before.setdefault(name, []).append(gain)
    more = np.array([np.mean(by_set[name]) - np.mean(before[name]) for name in by_set])
    if not more.any():
        return ""
    return f"{more.mean():+.2f} ± {more.std(ddof=1) / np.sqrt(len(more)):.2f}"


def all_methods(raw: Path) -> list[str]:
    """`auto` beside every method of benchmarks/methods.py, from 50 % pruned on."""
    out = ["### Beside all methods", "", ALL_METHODS, "", *head("", list(JUDGES.values()))]
    by_judge = [beside_all(of_all_methods(raw, judge, 0.5), judge) for judge in JUDGES]
    return out + [
        f"| {what} | {' | '.join(found[what] for found in by_judge)} |" for what in by_judge[0]
    ]


def beside_all(cells: Cells, judge: str) -> dict[str, str]:
    """What -> mean over sets and rates."""
    groups = grouped([cell for cell in cells if cell.name != "auto"], "set", "rate").values()
    best = np.array([rules.best_of_seeds(own, judge)[1:] for own in groups]).mean(axis=0)
    auto = np.mean([cell.gains[judge] for cell in cells if cell.name == "auto"])
    by_name = {
        name: np.mean([cell.gains[judge] for cell in own])
        for (name,), own in grouped(cells, "name").items()
    }
    del by_name["auto"]
    single = max(by_name, key=by_name.__getitem__)
    return {
        "`auto`": f"{auto:+.2f}",
        "best method of each cell, chosen on other seeds": f"{best[1]:+.2f}: {auto / best[1]:.0%}",
        "best method of each cell, chosen on the same seeds": f"{best[0]:+.2f}: {auto / best[0]:.0%}",
        "best single method in every cell": f"{single} {by_name[single]:+.2f}",
        "methods": f"{len(by_name)}",
    }
