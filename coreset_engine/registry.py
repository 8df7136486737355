"""The visible tables: name -> (import path, config, one line, what it needs). Forms, CLI help, docs and the
contract tests all read these. A new method is one function and one row; nothing here imports a wing until asked.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import Any

from coreset_engine.errors import BadInput


@dataclass(frozen=True)
class Row:
    """One entry. `function` and `config` are "module:name", imported on first use by `load`."""

    name: str
    function: str
    config: str
    summary: str
    needs: tuple[str, ...] = ()
    family: str = ""
    paper: str = ""
    cost: str = ""
    aliases: tuple[str, ...] = ()


def load(path: str) -> Any:
    """The object behind "module:name"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def look_up(table: dict[str, Row], name: str, noun: str) -> Row:
    """The row called `name` (or an alias), else BadInput that names near misses and what exists."""
    key = str(name).strip().lower()
    for row in table.values():
        if key == row.name or key in row.aliases:
            return row
    near = difflib.get_close_matches(key, table, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise BadInput(f"{noun} {name!r} is unknown.{hint} Known: {', '.join(sorted(table))}.")


def _table(*rows: Row) -> dict[str, Row]:
    return {row.name: row for row in rows}


_M = "coreset_engine.selection."
METHODS: dict[str, Row] = _table(
    Row("random", _M + "baselines:random", _M + "baselines:RandomConfig",
        "uniform sample without replacement: the baseline every other method must beat", (), "baseline",
        cost="O(N)"),
    Row("blindcs", _M + "scored:blindcs", _M + "scored:BlindcsConfig",
        "coverage minus redundancy over random embedding slices; no labels, no training", ("vectors",), "coverage",
        "Griffin et al. (BlindCS, eq. 9)", "O(T N) filtered", ("zcore",)),
    Row("elfs", _M + "scored:elfs", _M + "scored:ElfsConfig",
        "difficulty from pseudo-label training dynamics, pruned at both ends", ("pseudo_labels", "dynamics"),
        "dynamics", "Zheng et al. 2024 (ELFS, 3.4)", "O(N log N) after dynamics"),
)

_E = "coreset_engine.embedding."
ENCODERS: dict[str, Row] = _table(
    Row("efficientnet_lite0", _E + "encoders:efficientnet_lite0", _E + "encoders:EncoderConfig",
        "EfficientNet-Lite0, ImageNet; weights inside the install, works offline; D = 1280", ("images",)),
    Row("efficientnet_lite1", _E + "encoders:efficientnet_lite1", _E + "encoders:EncoderConfig",
        "EfficientNet-Lite1, ImageNet, through timm; D = 1280", ("images", "download")),
    Row("efficientnet_lite2", _E + "encoders:efficientnet_lite2", _E + "encoders:EncoderConfig",
        "EfficientNet-Lite2, ImageNet, through timm; D = 1280", ("images", "download")),
    Row("resnet18", _E + "encoders:resnet18", _E + "encoders:EncoderConfig",
        "ResNet-18, ImageNet, torchvision; D = 512", ("images", "download"), paper="BlindCS 5.1 (with clip)"),
    Row("resnet50_swav", _E + "encoders:resnet50_swav", _E + "encoders:EncoderConfig",
        "ResNet-50 trained by SwAV without labels; D = 2048", ("images", "download"), paper="ELFS table 1"),
    Row("clip", _E + "encoders:clip", _E + "encoders:EncoderConfig",
        "CLIP ViT-L-14 of OpenAI, open_clip; D = 768; resnet18+clip is BlindCS' 1280", ("images", "download"),
        paper="BlindCS 5.1 (with resnet18)"),
    Row("dino", _E + "encoders:dino", _E + "encoders:EncoderConfig",
        "DINO ViT-B/16 trained without labels, timm; D = 768", ("images", "download"), paper="ELFS 4.1"),
    Row("dinov2", _E + "encoders:dinov2", _E + "encoders:EncoderConfig",
        "DINOv2 ViT-B/14 trained without labels, timm; D = 768", ("images", "download")),
)

_D = "coreset_engine.difficulty."
PROXIES: dict[str, Row] = _table(
    Row("mlp", _D + "proxies:mlp", _D + "proxies:ProxyConfig", "one hidden layer on embeddings; seconds on a CPU",
        ("vectors",)),
)
CLUSTERERS: dict[str, Row] = _table(
    Row("kmeans", _D + "kmeans:spherical_kmeans", _D + "kmeans:KMeansConfig", "spherical k-means on unit vectors",
        ("vectors",)),
)
