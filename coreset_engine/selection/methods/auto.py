"""`auto`: the method with the best forecast at this pruning rate, with its reason.

Which method is best depends on the set and the rate, and on most sets many are below random. So
every method of a portfolio is judged on surrogate tasks that need no labels (`ce.forecast`), and
the one of highest expected gain is taken; where the interval of that gain includes zero the
forecast cannot decide, and the safest of the portfolio is taken. docs/forecast.md has the measured
gains. rule="measured" takes the rule of the first edition, which looks at the share kept alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.config import knob, make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import METHODS, load, look_up, portfolio
from coreset_engine.core.types import Artefacts, Ranking


@dataclass(frozen=True)
class AutoConfig:
    """What `auto` chooses from, and how."""

    rule: str = knob(
        "forecast",
        "forecast: the best forecast without labels; measured: k-means medoids up to `switch` "
        "kept, ProbCover above",
        choices=("forecast", "measured"),
        label="How to decide",
    )
    portfolio: str = knob(
        "",
        "comma-separated methods to choose from; none = those that need only vectors and neighbours",
        label="Methods to choose from",
    )
    classes: str = knob(
        "pool",
        "expected gain in accuracy under the pool's own class mix, or with all classes weighted "
        "equally",
        choices=("pool", "balanced"),
        label="Mix of classes",
    )
    switch: float = knob(
        0.25,
        "measured rule only: share of the set kept above which ProbCover is used",
        low=0.0,
        high=1.0,
        step=0.01,
        label="Measured rule: share kept",
    )


def auto(
    inputs: Artefacts,
    k: int,
    config: AutoConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Follow the forecast, or the measured rule.

    info: `recommended` and `recommended_params`, the method taken; `decided`, whether the forecast
    decided it; `gain`, `low`, `high` in points over random; `reason`; `settled`, the portfolio.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, neighbours are read.
    config : AutoConfig
        The rule, the portfolio that is judged, whose gain counts, and `switch` of the measured
        rule.

    Returns
    -------
    Ranking
        Nested where the method taken is; info as above.
    """
    n = len(inputs.dataset)
    if config.rule == "measured":
        name, reason = _measured_rule(k, n, config.switch)
        ranking = _ranked_by(name, {}, inputs, k, seed, preselected)
        return _described(ranking, name, {}, dict(reason=reason))
    names = candidates(config.portfolio, n)
    rate = 1 - k / n
    advice = inputs.forecast_at(rate, names).best(rate, balanced=config.classes == "balanced")
    info = dict(
        reason=advice.reason,
        decided=advice.decided,
        gain=round(advice.gain, 3),
        low=round(advice.low, 3),
        high=round(advice.high, 3),
        settled={"portfolio": ",".join(names)},
    )
    ranking = _ranked_by(advice.method, advice.params, inputs, k, seed, preselected)
    return _described(ranking, advice.method, advice.params, info)


def candidates(text: str, n_images: int) -> tuple[str, ...]:
    """Names of the methods to choose from.

    Raises
    ------
    BadInput
        Unknown names, or one that itself chooses among methods.
    """
    wanted = [name for name in (part.strip() for part in text.split(",")) if name]
    if not wanted:
        return portfolio(n_images)
    rows = [look_up(METHODS, name, "method") for name in wanted]
    for row in rows:
        if row.family == "recommended":
            raise BadInput(f"portfolio names {row.name!r}, which itself chooses among methods.")
    return tuple(dict.fromkeys(row.name for row in rows))


def _ranked_by(
    name: str,
    params: Mapping[str, Any],
    inputs: Artefacts,
    k: int,
    seed: int,
    preselected: np.ndarray | None,
) -> Ranking:
    """The ranking of the method `name`."""
    row = METHODS[name]
    config = make(load(row.config), dict(params))
    ranking: Ranking = load(row.function)(inputs, k, config, seed, preselected=preselected)
    return ranking


def _described(
    ranking: Ranking, name: str, params: Mapping[str, Any], info: Mapping[str, Any]
) -> Ranking:
    """`ranking`, valid for its k only, with the method taken and `info` about the decision."""
    own = {key: value for key, value in ranking.info.items() if key not in ("reason", "beta")}
    about = dict(recommended=name, recommended_params=dict(params))
    return dataclasses.replace(ranking, nested=False, info={**own, **about, **info})


def _measured_rule(k: int, n: int, switch: float) -> tuple[str, str]:
    """k-means medoids up to `switch` kept, ProbCover above; and the reason.

    Measured with a linear probe, paired over seeds, on Fashion-MNIST, a long-tailed version of it
    and digits; `benchmarks/auto_rule.py` measures it again.
    """
    share = f"{k:,} of {n:,} images ({100 * k / n:.3g}%)"
    if k <= switch * n:
        return "kmedoids", (
            f"k-means medoids, since {share} are few: the medoids of {k:,} groups cover the set "
            "without outliers"
        )
    return "probcover", (f"ProbCover, since {share} are many: it skips images close to a kept one")
