"""The visible tables: name -> (import path, config, one line, what it needs). Forms, CLI help, docs
and the contract tests all read these. A new method is one function and one row; nothing here
imports a wing until asked.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import Any

from coreset_engine.core.errors import BadInput


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
    live: bool = True  # ranks the whole set in a moment, so that a slider may ask for all of it


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


_M = "coreset_engine.selection.methods."
METHODS: dict[str, Row] = _table(
    Row(
        "auto",
        _M + "auto:auto",
        _M + "auto:AutoConfig",
        "the recommended method for this many images, with its reason",
        ("vectors", "neighbours", "pseudo_labels"),
        "recommended",
        cost="k-means medoids up to a quarter kept, ProbCover above; seconds",
        live=False,
    ),
    Row(
        "random",
        _M + "baselines:random",
        _M + "baselines:RandomConfig",
        "uniform sample without replacement: the baseline every other method must beat",
        (),
        "baseline",
        cost="O(N)",
    ),
    Row(
        "class_balanced",
        _M + "baselines:class_balanced",
        _M + "baselines:BalancedConfig",
        "the same number of random images from every (pseudo-)class",
        ("pseudo_labels",),
        "baseline",
        cost="O(N log N)",
    ),
    Row(
        "blindcs",
        _M + "scored:blindcs",
        _M + "scored:BlindcsConfig",
        "coverage minus redundancy over random embedding slices; no labels, no training",
        ("vectors",),
        "coverage",
        "Griffin et al. (BlindCS, eq. 9)",
        "O(T N) filtered",
        ("zcore",),
    ),
    Row(
        "k_center",
        _M + "geometric:k_center",
        _M + "geometric:KCenterConfig",
        "the image farthest from all kept so far, again and again",
        ("vectors",),
        "coverage",
        "Sener and Savarese 2018, algorithm 1",
        "O(k N D), most of it skipped; a minute at N = 60k, k = 6k",
        ("coreset", "kcenter"),
        False,
    ),
    Row(
        "herding",
        _M + "geometric:herding",
        _M + "geometric:HerdingConfig",
        "kept so that the mean of the kept follows the mean of all",
        ("vectors",),
        "coverage",
        "Welling 2009, the herding update",
        "O(k N d), d = 128",
        (),
        False,
    ),
    Row(
        "kmedoids",
        _M + "geometric:kmedoids",
        _M + "geometric:KMedoidsConfig",
        "the middle image of each of k groups of k-means",
        ("vectors",),
        "coverage",
        "Lloyd 1982; Arthur and Vassilvitskii 2007",
        "O(N k d), two levels for thousands",
        ("kmeans_medoids",),
        False,
    ),
    Row(
        "typiclust",
        _M + "prototypes:typiclust",
        _M + "prototypes:TypiclustConfig",
        "the most typical image of every cluster in turn",
        ("vectors",),
        "coverage",
        "Hacohen et al. 2022, algorithm 1",
        "O(N C d), C <= 500",
        (),
        False,
    ),
    Row(
        "prototypicality",
        _M + "prototypes:prototypicality",
        _M + "prototypes:PrototypicalityConfig",
        "far from (or near to) the centre of its cluster, with or without balance over clusters",
        ("vectors",),
        "coverage",
        "Sorscher et al. 2022 (self-supervised prototypes)",
        "O(N C d), C = 100",
        ("self_supervised_prototypes",),
        False,
    ),
    Row(
        "moderate",
        _M + "prototypes:moderate",
        _M + "prototypes:ModerateConfig",
        "as far from its class centre as the median image",
        ("vectors", "pseudo_labels"),
        "coverage",
        "Xia et al. 2023 (moderate coreset)",
        "O(N D^2)",
        (),
        False,
    ),
    Row(
        "facility_location",
        _M + "graphs:facility_location",
        _M + "graphs:FacilityConfig",
        "each image adds most to how well all are represented by their most similar kept one",
        ("neighbours",),
        "coverage",
        "Mirzasoleiman et al. 2013; Kaushal et al. 2019",
        "O(N log N) on the graph",
        (),
        False,
    ),
    Row(
        "graph_cut",
        _M + "graphs:graph_cut",
        _M + "graphs:GraphCutConfig",
        "like many images, unlike what is kept",
        ("neighbours",),
        "coverage",
        "Iyer et al. 2021 (graph cut)",
        "O(N log N) on the graph",
        (),
        False,
    ),
    Row(
        "probcover",
        _M + "graphs:probcover",
        _M + "graphs:ProbcoverConfig",
        "the ball that covers most uncovered images, again and again",
        ("neighbours", "pseudo_labels"),
        "coverage",
        "Yehuda et al. 2022, algorithm 1",
        "O(N log N) on the graph",
        (),
        False,
    ),
    Row(
        "elfs",
        _M + "scored:elfs",
        _M + "scored:ElfsConfig",
        "difficulty from pseudo-label training dynamics, pruned at both ends",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Zheng et al. 2024 (ELFS, 3.4)",
        "O(N log N) after dynamics",
    ),
    Row(
        "ccs",
        _M + "stratified:ccs",
        _M + "stratified:CcsConfig",
        "hard cut, then the same number from each range of difficulty",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Zheng et al. 2023 (CCS, algorithm 1)",
        "O(N log N) after dynamics",
    ),
    Row(
        "aum",
        _M + "scored:aum",
        _M + "scored:ScoreConfig",
        "smallest mean margin over the training first",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Pleiss et al. 2020, eq. 1-2",
        "O(N log N) after dynamics",
    ),
    Row(
        "forgetting",
        _M + "scored:forgetting",
        _M + "scored:ForgettingConfig",
        "most often forgotten, never learned first",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Toneva et al. 2019",
        "O(N log N) after dynamics",
    ),
    Row(
        "el2n",
        _M + "scored:el2n",
        _M + "scored:ScoreConfig",
        "largest early error norm first",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Paul et al. 2021, definition 2.4",
        "O(N log N) after dynamics",
    ),
    Row(
        "grand",
        _M + "scored:grand",
        _M + "scored:ScoreConfig",
        "largest early gradient norm (last layer) first",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Paul et al. 2021, definition 2.1",
        "O(N log N) after dynamics",
    ),
    Row(
        "entropy",
        _M + "scored:entropy",
        _M + "scored:ScoreConfig",
        "most uncertain at the end of the training first",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Coleman et al. 2020",
        "O(N log N) after dynamics",
    ),
    Row(
        "dyn_unc",
        _M + "scored:dyn_unc",
        _M + "scored:ScoreConfig",
        "largest spread of its probability first",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "He et al. 2024 (Dyn-Unc), eq. 1-2",
        "O(N log N) after dynamics",
    ),
    Row(
        "tdds",
        _M + "scored:tdds",
        _M + "scored:ScoreConfig",
        "largest variation of its change over training first",
        ("pseudo_labels", "dynamics"),
        "dynamics",
        "Zhang et al. 2024 (TDDS), eq. 8-11",
        "O(N log N) after dynamics",
    ),
    Row(
        "d2",
        _M + "graphs:d2",
        _M + "graphs:D2Config",
        "difficulty passed along the neighbour graph, then taken away around what is kept",
        ("neighbours",),
        "dynamics",
        "Maharana et al. 2024 (D2 pruning)",
        "O(N log N) on the graph",
        (),
        False,
    ),
    Row(
        "badge",
        _M + "gradients:badge",
        _M + "gradients:BadgeConfig",
        "uncertain to a linear proxy, each in its own way: k-means++ draws on gradients",
        ("vectors", "pseudo_labels"),
        "gradients",
        "Ash et al. 2020 (BADGE), algorithm 1",
        "O(k N d), most of it skipped",
        (),
        False,
    ),
    Row(
        "craig",
        _M + "gradients:craig",
        _M + "gradients:CraigConfig",
        "weighted images whose gradients stand for those of their class",
        ("vectors", "pseudo_labels"),
        "gradients",
        "Mirzasoleiman et al. 2020 (CRAIG), algorithm 1",
        "O(N n d), classes in parts of n <= 4,000",
        (),
        False,
    ),
    Row(
        "gradmatch",
        _M + "gradients:gradmatch",
        _M + "gradients:GradmatchConfig",
        "weighted images whose gradients add up to those of their class",
        ("vectors", "pseudo_labels"),
        "gradients",
        "Killamsetty et al. 2021 (GradMatch), algorithm 2",
        "O(N k n), classes in parts of n <= 1,000",
        ("grad_match",),
        False,
    ),
    Row(
        "glister",
        _M + "gradients:glister",
        _M + "gradients:GlisterConfig",
        "images whose gradient lowers the loss on the whole set most",
        ("vectors", "pseudo_labels"),
        "gradients",
        "Killamsetty et al. 2021 (GLISTER), algorithm 2",
        "O(N d C) per round",
        (),
        False,
    ),
)

_E = "coreset_engine.embedding.encoders."
ENCODERS: dict[str, Row] = _table(
    Row(
        "efficientnet_lite0",
        _E + "networks:efficientnet_lite0",
        _E + "base:EncoderConfig",
        "EfficientNet-Lite0, ImageNet; weights inside the install, works offline; D = 1280",
        ("images",),
    ),
    Row(
        "efficientnet_lite1",
        _E + "networks:efficientnet_lite1",
        _E + "base:EncoderConfig",
        "EfficientNet-Lite1, ImageNet, through timm; D = 1280",
        ("images", "download"),
    ),
    Row(
        "efficientnet_lite2",
        _E + "networks:efficientnet_lite2",
        _E + "base:EncoderConfig",
        "EfficientNet-Lite2, ImageNet, through timm; D = 1280",
        ("images", "download"),
    ),
    Row(
        "resnet18",
        _E + "networks:resnet18",
        _E + "base:EncoderConfig",
        "ResNet-18, ImageNet, torchvision; D = 512",
        ("images", "download"),
        paper="BlindCS 5.1 (with clip)",
    ),
    Row(
        "resnet50_swav",
        _E + "networks:resnet50_swav",
        _E + "base:EncoderConfig",
        "ResNet-50 trained by SwAV without labels; D = 2048",
        ("images", "download"),
        paper="ELFS table 1",
    ),
    Row(
        "clip",
        _E + "networks:clip",
        _E + "base:EncoderConfig",
        "CLIP ViT-L-14 of OpenAI, open_clip; D = 768; resnet18+clip is BlindCS' 1280",
        ("images", "download"),
        paper="BlindCS 5.1 (with resnet18)",
    ),
    Row(
        "dino",
        _E + "networks:dino",
        _E + "base:EncoderConfig",
        "DINO ViT-B/16 trained without labels, timm; D = 768",
        ("images", "download"),
        paper="ELFS 4.1",
    ),
    Row(
        "dinov2",
        _E + "networks:dinov2",
        _E + "base:EncoderConfig",
        "DINOv2 ViT-B/14 trained without labels, timm; D = 768",
        ("images", "download"),
    ),
)

# What runs the work of a pipeline elsewhere -> "module:class", made with the cluster's address.
EXECUTORS: dict[str, str] = {"ray": "coreset_engine.distributed.executor:RayExecutor"}

_C = "coreset_engine.clustering."
_T = "coreset_engine.training."
PROXIES: dict[str, Row] = _table(
    Row(
        "mlp",
        _T + "proxies:mlp",
        _T + "config:ProxyConfig",
        "one hidden layer on embeddings; seconds on a CPU",
        ("vectors",),
    ),
    Row(
        "linear",
        _T + "proxies:linear",
        _T + "config:LinearConfig",
        "softmax regression on embeddings; seconds",
        ("vectors",),
    ),
    Row(
        "convnet",
        _T + "networks:convnet",
        _T + "config:ConvnetConfig",
        "small convolutional net on pixels; minutes on a CPU",
        ("images",),
    ),
    Row(
        "resnet18",
        _T + "networks:resnet18",
        _T + "config:ResnetConfig",
        "ResNet-18 on pixels, ELFS' setting (200 epochs); wants a GPU",
        ("images",),
        paper="ELFS 8.2",
    ),
    Row(
        "resnet34",
        _T + "networks:resnet34",
        _T + "config:ResnetConfig",
        "ResNet-34 on pixels; wants a GPU",
        ("images",),
        paper="ELFS 8.2",
    ),
    Row(
        "resnet50",
        _T + "networks:resnet50",
        _T + "config:ResnetConfig",
        "ResNet-50 on pixels; wants a GPU",
        ("images",),
        paper="ELFS table 4",
    ),
)
CLUSTERERS: dict[str, Row] = _table(
    Row(
        "temi",
        _C + "temi:temi",
        _C + "config:TemiConfig",
        "teacher ensemble of clustering heads that agree on neighbours",
        ("vectors", "neighbours"),
        paper="Adaloglou et al. 2023 (TEMI); ELFS 3.3",
    ),
    Row(
        "kmeans",
        _C + "kmeans:spherical_kmeans",
        _C + "config:KMeansConfig",
        "spherical k-means on unit vectors",
        ("vectors",),
    ),
)
