"""The commands `evaluate SOURCE` and `inclusion SOURCE`.

`evaluate` trains on coresets and tests on held-out images, beside random and the full set;
`inclusion` measures how often each image is kept.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from coreset_engine.artifacts import filesystem
from coreset_engine.cli import options
from coreset_engine.cli.selection_options import (
    Selections,
    with_options_of_methods,
    with_selection_options,
)
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import METHODS
from coreset_engine.pipeline.recipes import find as find_recipe

EVALUATED = "elfs,blindcs"
COLUMNS = (
    "method",
    "prune_rate",
    "seed",
    "model",
    "labels",
    "k",
    "accuracy",
    "balanced_accuracy",
    "worst_class_accuracy",
    "class_balance",
    "seconds",
    "select_seconds",
    "error",
)

Methods = Annotated[
    str, typer.Option(help="comma-separated names; random is always included; see `methods`")
]
RATES = "0.5,0.8,0.9"
Rates = Annotated[
    str,
    typer.Option(help=f"comma-separated shares removed, each 0 <= p < 1; {RATES} without --count"),
]
Counts = Annotated[
    str, typer.Option(help="comma-separated numbers of images to keep (of those not held out)")
]
Seeds = Annotated[
    int,
    typer.Option(
        min=1, help="training runs per method and rate; use at least 5 to claim a difference"
    ),
]
Model = Annotated[
    str,
    typer.Option(
        help="linear, knn, mlp (embeddings), finetune (the encoder's last stage), convnet, "
        "resnet18, resnet34, resnet50 (pixels)"
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="NAME=VALUE, repeatable: label_noise=0.1, "
        "loss_weights=true, balance=true, labels=pseudo, "
        "select_labels=true, steps=N, image_size=N",
    ),
]
Csv = Annotated[Path | None, typer.Option("--csv", help="write every row to this file")]
Plot = Annotated[
    Path | None, typer.Option("--plot", help="write the budget curve to this file, as SVG")
]


@with_source_options
@options.with_run_settings()
@with_options_of_methods
def evaluate(
    source: options.Source,
    settings: options.RunSettings,
    selections: Selections,
    methods: Methods = EVALUATED,
    prune_rates: Rates = "",
    count: Counts = "",
    seeds: Seeds = 3,
    model: Model = "linear",
    option: Option = None,
    csv_file: Csv = None,
    plot: Plot = None,
    as_json: options.Json = False,
) -> None:
    """Train models on each coreset and compare with random, paired over seeds."""
    from coreset_engine.evaluation.experiment import evaluate as measure

    names = _words(methods)
    counts = [_count(word) for word in _words(count)] if count else []
    rates = [_rate(word) for word in _words(prune_rates or RATES)]
    if counts and not prune_rates:
        rates = []
    params: dict[str, dict[str, Any]] = {}
    if settings.config.recipe:
        recipe = find_recipe(settings.config.recipe)
        names = [recipe.method] if methods == EVALUATED else [*names, recipe.method]
        params = {recipe.method: recipe.params_by_rate(rates)}
    for name, own in selections.params_by_method(names).items():
        params[name] = params.get(name, {}) | own
    run = options.open_run(source, settings)
    tick = run.tick("evaluate")

    def tell(rows: list[dict[str, Any]], full: float | None, total: int) -> None:
        tick(len(rows), total, "trainings")

    result = measure(
        run,
        on_rows=tell,
        methods=names,
        prune_rates=rates,
        seeds=seeds,
        model=model,
        method_params=params,
        counts=counts,
        constraints=selections.constraints,
        **options.params_of(option),
    )
    if csv_file is not None:
        write_text(csv_file, as_csv(result["rows"]))
    if plot is not None:
        write_text(plot, picture(result))
    if as_json:
        print(json.dumps(result, default=str))
        return
    print("\n".join(lines(result)))


@with_source_options
@options.with_run_settings()
@with_selection_options
def inclusion(
    source: options.Source,
    settings: options.RunSettings,
    request: Any,
    seeds: Annotated[int, typer.Option(min=1, help="draws per encoder")] = 10,
    encoders: Annotated[
        str,
        typer.Option(help="more encoders, comma-separated; computed = all with computed vectors"),
    ] = "",
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="write id,inclusion to this file")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """How often each image is kept, over seeds and encoders.

    A later `run --out` has it as a column.
    """
    from coreset_engine.evaluation.inclusion import inclusion as measure

    run = options.open_run(source, settings)
    tick = run.tick("inclusion")
    result = measure(
        run,
        request,
        seeds=seeds,
        encoders=_words(encoders) if encoders else (),
        on_draw=lambda done, total: tick(done, total, "draws"),
    )
    if csv_file is not None:
        write_text(
            csv_file, table(("id", "inclusion"), zip(run.dataset.ids, result.share.tolist()))
        )
    kept = (result.share > 0) & (result.share < 1)
    options.print_record(
        dict(
            method=result.method,
            prune_rate=result.prune_rate,
            draws=result.draws,
            encoders=list(result.encoders),
            always=int((result.share == 1).sum()),
            core=result.core,
            sometimes=int(kept.sum()),
            never=result.never,
            agreement=round(result.agreement, 4),
        ),
        as_json,
    )


def lines(result: dict[str, Any]) -> list[str]:
    """The result as text: a table of rates and methods, then the paired tests in words."""
    from coreset_engine.evaluation.evaluation_split import (
        straddling_sentence,
        unmatched_sentence,
    )
    from coreset_engine.evaluation.experiment import coverage_sentences
    from coreset_engine.evaluation.paired import against_baseline, sentence

    what = "test accuracy"
    if result["labels"] != "true":
        what = "agreement with pseudo-labels (no true labels are known)"
    out = [
        f"{result['model']}: {what}; trained on at most {result['trained_on']:,}, "
        f"tested on {result['tested_on']:,}; all images {result['full_accuracy']:.2%}",
        f"{'removed':>8} {'method':40} {'kept':>8} {'mean':>8} {'std':>6} {'n':>3} "
        f"{'over random':>12} {'s.e.':>6} {'balanced':>9} {'worst class':>12} {'seconds':>8}",
    ]
    rows = result["rows"]
    tests = against_baseline(rows)
    for rate, method in dict.fromkeys((row["prune_rate"], row["method"]) for row in rows):
        some = [row for row in rows if (row["prune_rate"], row["method"]) == (rate, method)]
        good = [row for row in some if row["accuracy"] is not None]
        if good:
            out.append(_cell(rate, method, good, tests.get((method, rate))))
        else:
            out.append(f"{rate:8.1%} {_titled(method):40} {some[0]['error']}")
    words = [sentence(test, method, rate) for (method, rate), test in tests.items()]
    notes = [unmatched_sentence(result), straddling_sentence(result)]
    return [*out, *words, *coverage_sentences(rows), *filter(None, notes)]


def _titled(method: str) -> str:
    """The method's title, with the name that options take where it differs."""
    title = METHODS[method].title if method in METHODS else method
    return title if method.lower() in title.lower() else f"{title}, {method}"


def _cell(rate: float, method: str, rows: list[dict[str, Any]], test: Any) -> str:
    """One line of the table. test: a PairedTest; None for the baseline."""
    mean, std = mean_and_std([row["accuracy"] for row in rows])
    balanced, worst, seconds = (
        mean_and_std([row[name] for row in rows])[0]
        for name in ("balanced_accuracy", "worst_class_accuracy", "seconds")
    )
    over = f"{test.mean:+12.2%}" if test else f"{0:12.2%}"
    error = f"{test.standard_error:6.2%}" if test and test.n > 1 else f"{'-':>6}"
    return (
        f"{rate:8.1%} {_titled(method):40} {rows[0]['k']:8,} {mean:8.2%} {std:6.2%} {len(rows):3} "
        f"{over} "
        f"{error} {balanced:9.2%} {worst:12.2%} {seconds:8.2f}"
    )


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for a single value)."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    return mean, (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5


def as_csv(rows: list[dict[str, Any]]) -> str:
    """One line per training."""
    return table(COLUMNS, ([row.get(name, "") for name in COLUMNS] for row in rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV text; texts that a spreadsheet would run as a formula are quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(
        [
            "'" + x if isinstance(x, str) and x[:1] in ("=", "+", "-", "@", "\t", "\r") else x
            for x in row
        ]
        for row in rows
    )
    return out.getvalue()


def write_text(path: Path, text: str) -> None:
    """`text` into the file. Raises BadInput when the place cannot be written."""
    with filesystem.writing(path, "name a file in a folder you can write"):
        path.write_text(text, encoding="utf-8", newline="")


def curves(rows: list[dict[str, Any]]) -> dict[str, list[tuple[float, float, float]]]:
    """method -> (share removed, mean, std) per rate, without cells that could not be."""
    points: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        if row["accuracy"] is not None:
            points.setdefault(row["method"], {}).setdefault(row["prune_rate"], []).append(
                row["accuracy"]
            )
    return {
        method: [(rate, *mean_and_std(values)) for rate, values in sorted(rates.items())]
        for method, rates in points.items()
    }


def picture(result: dict[str, Any]) -> str:
    """The budget curve as SVG text."""
    from coreset_engine.evaluation.budget_curve import budget_curve

    what = "Test accuracy" if result["labels"] == "true" else "Pseudo-label accuracy"
    return budget_curve(
        curves(result["rows"]), result["full_accuracy"], f"{what} of {result['model']}"
    )


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise BadInput(f"count {word!r} must be a whole number of at least 1, for example 100.")
    return int(word)


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise BadInput(
            f"{text!r} has no values; give them comma-separated, for example elfs,blindcs."
        )
    return words


def _rate(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise BadInput(f"prune rate {word!r} must be a number, for example 0.9.") from None
