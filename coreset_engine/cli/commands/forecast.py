"""The verb `forecast SOURCE`: what every method would gain over random, before any labelling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from coreset_engine.cli import options
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.counted import counted

if TYPE_CHECKING:
    from coreset_engine.core.forecast import Forecast

Methods = Annotated[
    str,
    typer.Option(
        help=(
            "comma-separated names; default: methods that need only vectors and neighbours, and "
            "those whose stages are computed"
        )
    ),
]
Rates = Annotated[
    str, typer.Option(help="comma-separated shares removed, each 0 < p < 1; default 0.5 to 0.99")
]
Balanced = Annotated[bool, typer.Option("--balanced", help="gains in balanced accuracy")]
Share = Annotated[
    float,
    typer.Option(help="share of the accuracy with all labels, for the estimate of labels needed"),
]


@with_source_options
@options.with_run_settings()
def forecast(
    source: options.Source,
    settings: options.RunSettings,
    methods: Methods = "",
    rates: Rates = "",
    balanced: Balanced = False,
    share: Share = 0.95,
    as_json: options.Json = False,
) -> None:
    """Forecast each method's gain over random, without labels."""
    from coreset_engine.pipeline.forecast_stage import forecast as compute

    run = options.open_run(source, settings)
    result = compute(
        run,
        [name.strip() for name in methods.split(",") if name.strip()] or None,
        _rates(rates),
        progress=run.tick("forecast"),
    )
    if as_json:
        advice = [vars(result.best(rate, balanced=balanced)) for rate in result.rates]
        needed = [vars(result.labels_needed(share, name)) for name in ("", "random") if result.rows]
        answers = dict(advice=advice, labels_needed=needed, correction=result.correction)
        print(json.dumps(result.as_json() | answers))
        return
    print("\n".join(lines(result, balanced, share)))


def _rates(text: str) -> list[float] | None:
    from coreset_engine.core.errors import BadInput

    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return [float(word) for word in words] or None
    except ValueError:
        raise BadInput(
            f"--rates {text!r} must be comma-separated numbers, for example 0.5,0.9."
        ) from None


def lines(forecast: Forecast, balanced: bool = False, share: float = 0.95) -> list[str]:
    """The table of gains, the best of each rate marked, and the advice in words."""
    if not forecast.rows:
        return [
            f"{forecast.n_images} images are too few for a forecast; use all of them, or random."
        ]
    cells = {(row.name, row.prune_rate): row.view(balanced) for row in forecast.rows}
    names = list(dict.fromkeys(row.name for row in forecast.rows))
    width = max(map(len, names)) + 2
    mix = "all classes alike" if balanced else "the pool's own class mix"
    out = [
        f"expected gain over random in points with its 90 % interval, {mix}; {forecast.correction}",
        " " * width + "".join(f"{f'{100 * rate:.4g} % pruned':>24}" for rate in forecast.rates),
    ]
    best = {rate: forecast.best(rate, balanced=balanced).name for rate in forecast.rates}
    for name in names:
        row = ""
        for rate in forecast.rates:
            gain = cells.get((name, rate))
            text = "" if gain is None else f"{gain}{'*' if best[rate] == name else ' '}"
            row += f"{text:>24}"
        out.append(f"{name:{width}}{row}")
    out += [forecast.best(rate, balanced=balanced).reason for rate in forecast.rates]
    out += [f"{name} was skipped: {why}" for name, why in forecast.set_aside.items()]
    out += [_needed(forecast, share, name) for name in ("", "random")]
    return out


def _needed(forecast: Forecast, share: float, method: str) -> str:
    need = forecast.labels_needed(share, method)
    whose = "following this advice" if not method else f"labelling at {method}"
    return (
        f"{share:.0%} of the accuracy of all {forecast.n_images:,} labels: about "
        f"{counted(need.count, 'label')} "
        f"{whose} (90 % interval {need.low:,} to {need.high:,})"
    )
