"""The table of benchmarks/forecast_transfer.py: what the forecast is worth on other ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import methods
from coreset_engine.core.forecast_rule import Option, decide
from coreset_engine.core.registry import portfolio
from coreset_engine.forecasting.calibration import expected_gain, safest_at

START = "<!-- begin: measured by benchmarks/forecast_transfer.py -->"
END = "<!-- end: measured by benchmarks/forecast_transfer.py -->"
N_USED = 4  # surrogate tasks of the forecast
LOWEST = (
    -10
)  # points judged below random beyond which a candidate is not counted, as in calibration
TITLES = {
    "large": "Fashion-MNIST, 20,000 images",
    "elpv_lite2": "elpv, EfficientNet-Lite2",
    "wesnoth_lite2": "wesnoth, EfficientNet-Lite2",
    "network": "Fashion-MNIST, 2,000 images, network on pixels",
}


def write_table(raw: Path, docs: Path | None) -> None:
    """Print the table, or put it between the marks of a page."""
    text = "\n".join(table(methods.read(raw)))
    if docs is None:
        print(text)
        return
    page = docs.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    docs.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def table(rows: list[dict]) -> list[str]:
    """One line for each part and rate."""
    columns = ["pruned", "candidates", "rank correlation", "inside", "auto", "best in hindsight"]
    out = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, title in TITLES.items():
        for rate in sorted({row["rate"] for row in rows if row["set"] == name}):
            own = [row for row in rows if (row["set"], row["rate"]) == (name, rate)]
            out.append(f"| {title} | {100 * rate:g} % | {' | '.join(line(own, rate))} |")
    return out


def line(rows: list[dict], rate: float) -> list[str]:
    """The figures of one part at one rate."""
    from scipy.stats import spearmanr

    base = {row["seed"]: row for row in rows if row["method"] == "random"}
    true: dict[str, list[float]] = {}
    judged: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] != "random":
            random = base[row["seed"]]
            true.setdefault(row["method"], []).append(100 * (row["linear"] - random["linear"]))
            more = np.mean(row["judged"][:N_USED]) - np.mean(random["judged"][:N_USED])
            judged.setdefault(row["method"], []).append(100 * float(more))
    names = list(true)
    truths = np.array([np.mean(true[name]) for name in names])
    guesses = np.array([np.mean(judged[name]) for name in names])
    gains = [expected_gain(guess, rate) for guess in guesses]
    counted = [
        gain.low <= truth <= gain.high
        for gain, truth, guess in zip(gains, truths, guesses, strict=True)
        if guess > LOWEST
    ]
    auto = np.array(
        [
            true[taken({m: judged[m][i] for m in names}, rate, base[seed])][i]
            for i, seed in enumerate(sorted(base))
        ]
    )
    best = names[int(truths.argmax())]
    error = auto.std(ddof=1) / np.sqrt(len(auto))
    return [
        f"{len(names)}",
        f"{spearmanr(guesses, truths)[0]:.2f}",
        f"{sum(counted)} of {len(counted)}",
        f"{auto.mean():+.1f} ± {error:.1f}",
        f"{best} {truths.max():+.1f}",
    ]


def taken(judged: dict[str, float], rate: float, random: dict) -> str:
    """The method that `auto` takes with the constants of the product."""
    options = [
        Option(name, name, {}, expected_gain(gain, rate))
        for name, gain in judged.items()
        if name in portfolio(random["n"])
    ]
    return decide(options, rate, safest_at(rate)).option.method
