"""The command `beta SOURCE`: search the hard cut-off on held-out pseudo-labels."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from coreset_engine.cli import options
from coreset_engine.cli.source_options import with_source_options

Score = Annotated[str, typer.Option(help="difficulty score for the hard cut: aum or forgetting")]
Search = Annotated[
    str, typer.Option(help="grid (every beta) or binary (halving, as ELFS section 5)")
]
Step = Annotated[float, typer.Option(help="distance between two betas")]
Seeds = Annotated[int, typer.Option(min=1, help="splits and training runs averaged per beta")]
Proxy = Annotated[
    str, typer.Option(help="network trained on each coreset: linear, mlp, convnet, resnet18, ...")
]
Oracle = Annotated[
    bool,
    typer.Option(
        "--oracle",
        help="also train with true labels, to show what choosing beta without them costs",
    ),
]


@with_source_options
@options.with_run_settings(exclude=("proxy",))
def beta(
    source: options.Source,
    settings: options.RunSettings,
    prune_rate: options.Rate = 0.9,
    score: Score = "aum",
    search: Search = "grid",
    step: Step = 0.1,
    n_seeds: Seeds = 1,
    proxy: Proxy = "mlp",
    oracle: Oracle = False,
    as_json: options.Json = False,
) -> None:
    """Search the hard cut-off beta without labels, and show the curve."""
    from coreset_engine.evaluation import beta_stage

    run = options.open_run(source, settings)
    tell = run.tick("beta")
    if oracle:
        run.labels  # noqa: B018 - says at once, not after the search, that there are none
    result = beta_stage.search(
        run,
        score=score,
        prune_rate=prune_rate,
        search=search,
        step=step,
        n_seeds=n_seeds,
        proxy=proxy,
        progress=tell,
    )
    if oracle:
        result = result | dict(oracle=beta_stage.oracle(run, result, progress=tell))
    print(json.dumps(result) if as_json else "\n".join(lines(result)))


def lines(result: dict[str, Any]) -> list[str]:
    """The curve as a table, the chosen beta, and how to use it."""
    true = {point["beta"]: point for point in result.get("oracle", {}).get("curve", ())}
    out = [
        f"{'beta':>6}  {'held-out pseudo-label accuracy':>31}"
        + (f"  {'with true labels':>16}" if true else "")
    ]
    for point in result["curve"]:
        deviation = f" ± {100 * point['std']:.2f}" if point["n"] > 1 else ""
        star = "*" if point["beta"] == result["beta"] else " "
        accuracy = f"{100 * point['accuracy']:.2f} %{deviation}"
        also = f"  {100 * true[point['beta']]['accuracy']:>14.2f} %" if true else ""
        out.append(f"{point['beta']:>6g}{star} {accuracy:>31}{also}")
    if true:
        seen = result["oracle"]
        out.append(
            f"true labels would have chosen beta = {seen['best_beta']:g}; choosing without them "
            f"costs {100 * seen['lost']:.2f} points"
        )
    out.append(
        f"beta = {result['beta']:g} at prune rate {result['prune_rate']:g}; use it with "
        f"run --method elfs --prune-rate {result['prune_rate']:g} --beta {result['beta']:g}"
    )
    return out
