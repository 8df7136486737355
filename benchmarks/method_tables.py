"""Tables of benchmarks/methods.py: every method against random, and what its paper claims."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.method_experiments import (
    EXPERIMENTS,
    JUDGES,
    MAIN_SETS,
    RATES,
    SIZES,
    TITLES,
)
from benchmarks.method_pools import read
from coreset_engine.core.registry import BASELINE, METHODS
from coreset_engine.evaluation.paired import PairedTest, against_baseline

START = "<!-- begin: measured by benchmarks/methods.py -->"
END = "<!-- end: measured by benchmarks/methods.py -->"
JUDGE_TITLES = {"linear": "linear model", "knn": "vote of the 5 nearest"}
LEVEL = 0.015  # accuracies that differ by less count as level


@dataclass(frozen=True)
class Claim:
    """What a paper says of a method against random.

    Attributes
    ----------
    text : str
        The claim and where it stands.
    signs : mapping
        Pruning rate -> 1 (above random), 0 (level, within LEVEL) or -1 (below).
    """

    text: str
    signs: dict[float, int]


ABOVE = {0.5: 1, 0.7: 1, 0.9: 1}
FALLS = {0.5: 1, 0.8: -1, 0.9: -1}
CLAIMS = {
    "blindcs": Claim(
        "level at 30-50 %, above from 70 % on, most at 90 % on CIFAR-100; below it when 270 to 540 "
        "images are kept (BlindCS tables 3 and 6)",
        {0.5: 0, 0.7: 1, 0.9: 1},
    ),
    "elfs": Claim("above at every rate, most at 90 % (ELFS tables 1, 8, 9)", ABOVE),
    "ccs": Claim("1-3 points below ELFS under pseudo-labels, above random (ELFS table 5)", ABOVE),
    "moderate": Claim(
        "below: by 0.2 to 1.1 on CIFAR-10, by 0.9 to 4.9 on CIFAR-100 (BlindCS table 3)",
        {0.5: -1, 0.7: -1, 0.9: -1},
    ),
    "entropy": Claim("below at every rate, by 12 at 90 % (BlindCS table 3)", {0.5: -1, 0.9: -1}),
    "forgetting": Claim("above to 50 %, far below at 80 and 90 % (BlindCS table 3)", FALLS),
    "dyn_unc": Claim("above to 50 % on CIFAR-10, far below beyond (BlindCS table 3)", FALLS),
    "aum": Claim("above to 50 %, far below at 80 and 90 % (BlindCS table 3)", FALLS),
    "el2n": Claim("above to 50 %, far below at 80 and 90 % (BlindCS table 3)", FALLS),
    "grand": Claim("as EL2N (Paul et al. 2021)", FALLS),
    "tdds": Claim("above at every rate (BlindCS tables 3 and 4)", ABOVE),
    "dual": Claim("above at every rate with its Beta sampling (its authors)", ABOVE),
    "prototypicality": Claim(
        "level at 30 %, below from 70 % on, by 8 to 13 at 90 % (ELFS table 1)",
        {0.7: -1, 0.8: -1, 0.9: -1},
    ),
    "d2": Claim(
        "label-free: above to 70 %, below at 80 and 90 % (ELFS table 1)",
        {0.5: 1, 0.7: 1, 0.9: -1},
    ),
    "badge": Claim("level to 80 %, 2 to 3 above at 90 % (ELFS table 1)", {0.5: 0, 0.7: 0, 0.9: 1}),
    "k_center": Claim("above, on features learned from the labels so far (Sener, Savarese)", ABOVE),
    "typiclust": Claim(
        "above with few labels, not with many (Hacohen et al.)", {0.5: 0, 0.95: 1, 0.99: 1}
    ),
    "probcover": Claim("above with few labels (Yehuda et al.)", {0.95: 1, 0.99: 1}),
    "maxherding": Claim("above with few labels (Bae et al.)", {0.95: 1, 0.99: 1}),
    "craig": Claim("above (Mirzasoleiman et al.)", {0.9: 1, 0.95: 1}),
    "gradmatch": Claim("above, most with few images (Killamsetty et al.)", {0.9: 1, 0.95: 1}),
    "glister": Claim("above (Killamsetty et al.)", {0.9: 1, 0.95: 1}),
    "semiprune": Claim("above, with a pilot of true labels (its authors)", ABOVE),
    "subzerocore": Claim("above at high rates (its authors)", {0.9: 1, 0.95: 1}),
    "infomax": Claim("above at every rate (its authors)", ABOVE),
}


def write_tables(options: argparse.Namespace) -> None:
    """Print the tables, or put them between the marks of a document."""
    rows = [row for row in read(options.raw) if "linear" in row]
    text = "\n".join(report(rows))
    if options.docs is None:
        print(text)
        return
    page = options.docs.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    options.docs.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def report(rows: list[dict]) -> list[str]:
    """Markdown: how it was measured, the verdicts, and a table for each set and judge."""
    sets = [name for name in SIZES if any(row["set"] == name for row in rows)]
    out = [*sizes_table(rows, sets), "", *claims_table(rows), ""]
    for name in sets:
        out += ["", f"### {TITLES[name]}"]
        for judge in JUDGES:
            out += ["", f"{JUDGE_TITLES[judge].capitalize()}:", ""]
            out += table([row for row in rows if row["set"] == name], judge, list(METHODS))
    changed = [one.name for one in EXPERIMENTS if one.name not in METHODS]
    for judge in JUDGES:
        own = [row for row in rows if row["set"] == "fashion"]
        if any(row["name"] in changed for row in own):
            out += ["", f"### One thing changed, {TITLES['fashion']}, {JUDGE_TITLES[judge]}", ""]
            out += table(own, judge, [BASELINE, *changed])
    return out


def sizes_table(rows: list[dict], sets: Sequence[str]) -> list[str]:
    """Images, seeds and what random reaches."""
    out = ["| set | images to select from | test images | seeds |", "|---|---:|---:|---:|"]
    for name in sets:
        own = [row for row in rows if row["set"] == name and row["name"] == BASELINE]
        n = own[0]["n"]
        out.append(f"| {TITLES[name]} | {n:,} | {SIZES[name][1]:,} | {len(seeds_of(own))} |")
    return out


def seeds_of(rows: list[dict]) -> set[int]:
    return {row["seed"] for row in rows}


def tests_of(rows: list[dict], judge: str) -> dict[tuple[str, float], PairedTest]:
    """(name, rate) -> paired test against random. rows: of one set."""
    named = [
        dict(
            method=row["name"],
            prune_rate=row["prune_rate"],
            seed=row["seed"],
            accuracy=row[judge],
        )
        for row in rows
    ]
    return against_baseline(named)


def table(rows: list[dict], judge: str, names: Sequence[str]) -> list[str]:
    """Random's accuracy, then the paired difference of every method, with its standard error."""
    tests = tests_of(rows, judge)
    head = [f"{rate:.0%}" for rate in RATES]
    out = [f"| method | {' | '.join(head)} | n |", "|---" * (len(RATES) + 2) + "|"]
    base = [row for row in rows if row["name"] == BASELINE]
    levels = [np.mean([row[judge] for row in base if row["prune_rate"] == rate]) for rate in RATES]
    figures = " | ".join(f"{100 * level:.1f}" for level in levels)
    out.append(f"| random, accuracy in % | {figures} | {len(seeds_of(base))} |")
    for name in names:
        found = [tests.get((name, rate)) for rate in RATES]
        if name != BASELINE and any(found):
            n = min(test.n for test in found if test)
            cells = " | ".join(cell(test) for test in found)
            out.append(f"| {name} | {cells} | {n} |")
    return out


def cell(test: PairedTest | None) -> str:
    """Points over random, plus or minus the standard error; bold where the interval of at least
    three pairs leaves out 0."""
    if test is None:
        return ""
    error = "" if test.n < 2 else f" ± {100 * test.standard_error:.1f}"
    mark = "**" if test.n >= 3 and test.verdict in ("better", "worse") else ""
    return f"{mark}{100 * test.mean:+.1f}{error}{mark}"


def holds(
    tests: dict[tuple[str, float], PairedTest], name: str, claim: Claim
) -> tuple[str, str] | None:
    """("agrees", "undecided" or "disagrees", that with the rates in words); None if not measured.

    A rate contradicts the claim where the 95 % interval lies on its other side, or where one pair
    has the other sign; where the mean is on the other side and the interval reaches over, it is
    undecided.
    """
    wrong = []
    undecided = []
    for rate, sign in claim.signs.items():
        test = tests.get((name, rate))
        if test is None:
            return None
        right = abs(test.mean) <= LEVEL if sign == 0 else sign * test.mean > 0
        if right:
            continue
        # How far the interval reaches to the claimed side.
        reach = {1: test.high, -1: -test.low, 0: LEVEL - max(test.low, -test.high)}[sign]
        (undecided if test.n > 1 and reach > 0 else wrong).append(f"{rate:.0%}")
    if wrong:
        return "disagrees", f"no at {', '.join(wrong)}"
    if undecided:
        return "undecided", f"undecided at {', '.join(undecided)}"
    return "agrees", "agrees"


def claims_table(rows: list[dict]) -> list[str]:
    """For each published method: the paper's order, ours, and what changes it."""
    out = [
        "| method | against random, says its paper or the table that measured it | here | changed "
        "alone, agrees with | changed alone, undecided | changed alone, still disagrees with |",
        "|---|---|---|---|---|---|",
    ]
    conditions = conditions_of(rows)
    for name, claim in CLAIMS.items():
        found = {}
        for title, tests, own in conditions(name):
            outcome = holds(tests, own, claim)
            if outcome is not None:
                found[title] = outcome
        if "" not in found:
            continue
        _, said = found.pop("")
        cells = []
        for wanted in ("agrees", "undecided", "disagrees"):
            titles = [title for title, (outcome, _) in found.items() if outcome == wanted]
            cells.append(", ".join(titles) or "none")
        out.append(f"| {name} | {claim.text} | {said} | {' | '.join(cells)} |")
    return out


def conditions_of(rows: list[dict]):
    """A function from a method's name to (title, tests, name in them); title "" = Fashion-MNIST,
    linear model, pseudo-labels."""
    of_set = {
        name: {judge: tests_of([r for r in rows if r["set"] == name], judge) for judge in JUDGES}
        for name in SIZES
    }

    def conditions(name: str) -> Iterator[tuple[str, dict, str]]:
        plain_tests = of_set["fashion"]
        yield "", plain_tests["linear"], name
        yield "judge (kNN vote)", plain_tests["knn"], name
        yield "labels (true)", plain_tests["linear"], f"{name}, true labels"
        yield "encoder (raw pixels)", of_set["pixels"]["linear"], name
        for other in MAIN_SETS[1:]:
            yield f"data ({other})", of_set[other]["linear"], name
        for one in EXPERIMENTS:
            if one.method == name and one.name != f"{name}, true labels":
                yield f"setting ({one.name.partition(', ')[2]})", plain_tests["linear"], one.name

    return conditions
