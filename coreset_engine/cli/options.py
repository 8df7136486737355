"""Arguments and options that several commands share, and the run they describe."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from coreset_engine.cli.progress import ProgressBar
from coreset_engine.cli.source_options import report_source
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import CLUSTERERS, ENCODERS, PROXIES

Source = Annotated[
    str,
    typer.Argument(
        help="demo, fashion-mnist, a folder, vectors.npy, fiftyone:NAME, tars or "
        "Parquet ('DIR/*.tar', 'DIR/*.parquet#id=COLUMN'), a URL (s3://BUCKET/DIR)"
    ),
]
Encoder = Annotated[
    str, typer.Option(help=f"one of {', '.join(ENCODERS)}, timm:NAME, open_clip:ARCH/TAG, or a+b")
]
Seed = Annotated[int, typer.Option(help="seed of every random step")]
Clusters = Annotated[
    int | None, typer.Option(help="number of clusters; default: class names known, else proposed")
]
Samples = Annotated[
    int | None, typer.Option(help="coverage samples T; default 20 per image, 20,000 to 1,000,000")
]
Weights = Annotated[str | None, typer.Option(help="encoder weights on disk")]
Rate = Annotated[float, typer.Option(help="share removed, 0 <= p < 1")]
Param = Annotated[
    list[str] | None, typer.Option("--param", help="NAME=VALUE of the method, repeatable")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        envvar="RAY_ADDRESS", help="address of a Ray cluster, or local; needs requirements-ray.txt"
    ),
]
Clusterer = Annotated[str, typer.Option(help=f"what makes pseudo-labels: {', '.join(CLUSTERERS)}")]
Proxy = Annotated[
    str,
    typer.Option(
        help="network watched while it learns them: mlp, linear (on embeddings), "
        f"{', '.join(name for name, row in PROXIES.items() if 'images' in row.needs)} "
        "(on pixels)"
    ),
]
Near = Annotated[
    str,
    typer.Option(
        "--neighbours",
        help="search: exact, approximate (IVF-PQ, recall measured), or auto by number of images",
    ),
]
Device = Annotated[
    str,
    typer.Option(help="auto (a GPU where there is one), cpu, or cuda; on a cluster its nodes' too"),
]
Json = Annotated[bool, typer.Option("--json", help="print for machines")]


def open_run(
    source: str,
    encoder: str,
    seed: int,
    n_clusters: int | None,
    n_samples: int | None,
    weights: str | None,
    cluster: str | None = None,
    device: str = "auto",
    **settings: Any,
):
    from coreset_engine.core.device import resolve_device
    from coreset_engine.pipeline.executor import make_executor
    from coreset_engine.pipeline.run import Run

    if device != "auto":
        resolve_device(device)  # before anything is read
    bar = ProgressBar()
    executor = make_executor(cluster)
    dataset = executor.open_source(
        source, lambda done, total, unit="": bar("opening", done, total, unit)
    )
    report_source(dataset)
    return Run(
        dataset,
        encoder,
        seed,
        n_clusters=n_clusters,
        n_samples=n_samples,
        weights=weights,
        progress=bar,
        executor=executor,
        device=device,
        **settings,
    )


def params_of(values: list[str] | None, **named: Any) -> dict[str, Any]:
    found = {name: value for name, value in named.items() if value is not None}
    for item in values or ():
        name, equals, value = item.partition("=")
        if not equals:
            raise BadInput(
                f"--param {item!r} must read NAME=VALUE, for example --param exponent=4."
            )
        found[name] = value
    return found


def print_record(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(value, default=str))
        return
    for name, entry in value.items():
        print(f"{name:>14}  {entry}")
