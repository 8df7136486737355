"""The visible tables: name -> (import path, config, one line, what it needs).

Forms, CLI help, docs and the contract tests all read these. A new method is one function and one
row; nothing here imports another package before it is needed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, TypeVar

from coreset_engine.core.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class Row:
    """One entry of a table.

    function, config: "module:name", imported on first use by `load`. needs: artefacts or
    conditions it rests on. aliases: other names that lead here. title: what people read, in words,
    with the short name in brackets; the name when empty.
    """

    name: str
    function: str
    config: str
    summary: str
    needs: tuple[str, ...] = ()
    family: str = ""
    paper: str = ""
    cost: str = ""
    aliases: tuple[str, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name)


@dataclass(frozen=True, kw_only=True)
class MethodRow(Row):
    """A selection method and what it can do; nothing else in the package asks for its name.

    needs: vectors, neighbours, pseudo_labels, dynamics, coverage.
    live: ranks the whole set in a moment, so that a slider may ask for all of it.
    nested: one order serves every budget; what is kept is a window of it.
    independent: ranks each image whatever others take part, so that blocked ones change nothing.
    double_end: its order runs from hard to easy, and the hardest share beta is dropped first.
    counts_preselected: must-keep images change the order of the others.
    beta, alpha, labels: takes a hard cut, redundancy neighbours, a choice of labels to learn from.
    score: column whose values it ranks by; a `score` parameter overrides it. "" = none.
    featured: offered first, and counted ahead for sets too large to draw.
    random: what differs from seed to seed: clustering, training, coverage (samples), draw (of
    images or starting points), ties.
    portfolio: number of images up to which the forecast always judges it and `auto` may take it,
    0 = never: such a method needs vectors and neighbours alone and is fast up to that size.
    trials: parameters that the forecast tries beside the defaults, each as (name, value) pairs.
    """

    live: bool = True
    nested: bool = False
    independent: bool = False
    double_end: bool = False
    counts_preselected: bool = False
    beta: bool = False
    alpha: bool = False
    labels: bool = False
    score: str = ""
    featured: bool = False
    random: tuple[str, ...] = ()
    portfolio: int = 0
    trials: tuple[tuple[tuple[str, Any], ...], ...] = ()

    @property
    def counts_other_sources(self) -> bool:
        """Whether images of another source can count as kept: it compares vectors alone."""
        return self.needs == ("vectors",) and not self.independent

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of the pipeline that it needs finished."""
        return tuple("embeddings" if need == "vectors" else need for need in self.needs)


AnyRow = TypeVar("AnyRow", bound=Row)


def load(path: str) -> Any:
    """The object behind "module:name"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def look_up(table: dict[str, AnyRow], name: str, noun: str) -> AnyRow:
    """The row called `name` (or an alias), else BadInput that names near misses and what exists."""
    key = str(name).strip().lower()
    for row in table.values():
        if key == row.name or key in row.aliases:
            return row
    raise unknown_name(noun, name, sorted(table))


def _table(*rows: AnyRow) -> dict[str, AnyRow]:
    return {row.name: row for row in rows}


def _tried(name: str, *values: Any) -> tuple[tuple[tuple[str, Any], ...], ...]:
    """`trials` of one parameter."""
    return tuple(((name, value),) for value in values)


_M = "coreset_engine.selection.methods."
ANY_SIZE = 10**12  # of MethodRow.portfolio
BASELINE = "random"  # the method every other one is compared with
DEFAULT_METHOD = "auto"
METHODS: dict[str, MethodRow] = _table(
    MethodRow(
        name="auto",
        title="Recommended (auto)",
        function=_M + "auto:auto",
        config=_M + "auto:AutoConfig",
        summary="the method with the best forecast at this pruning rate, with its reason",
        needs=("vectors", "neighbours"),
        family="recommended",
        cost="seconds: ranks and judges about ten coresets at two pruning rates",
        live=False,
        featured=True,
        random=("draw", "ties"),
    ),
    MethodRow(
        name="mix",
        title="Several aims (mix)",
        function=_M + "mix:mix",
        config=_M + "mix:MixConfig",
        summary="the largest weighted sum of diversity, typicality, difficulty, balance, similarity "
        "and an own score, each term shown per image",
        needs=("neighbours",),
        family="recommended",
        paper="no paper; lazy greedy of Minoux 1978",
        cost="O(N log N) on the graph",
        live=False,
        nested=True,
        counts_preselected=True,
        labels=True,
        random=("ties",),
    ),
    MethodRow(
        name="random",
        title="Random",
        function=_M + "baselines:random",
        config=_M + "baselines:RandomConfig",
        summary="uniform sample without replacement: the baseline every other method must beat",
        family="baseline",
        cost="O(N)",
        nested=True,
        independent=True,
        random=("draw",),
    ),
    MethodRow(
        name="class_balanced",
        title="Random, class-balanced",
        function=_M + "baselines:class_balanced",
        config=_M + "baselines:BalancedConfig",
        summary="the same number of random images from every (pseudo-)class",
        needs=("pseudo_labels",),
        family="baseline",
        cost="O(N log N)",
        nested=True,
        independent=True,
        counts_preselected=True,
        labels=True,
        random=("clustering", "draw"),
    ),
    MethodRow(
        name="blindcs",
        title="Coverage (BlindCS, ZCore)",
        function=_M + "scored:blindcs",
        config=_M + "scored:BlindcsConfig",
        summary="coverage minus redundancy over random embedding slices; no labels, no training",
        needs=("vectors", "coverage"),
        family="coverage",
        paper="Griffin et al. (BlindCS, eq. 9)",
        cost="O(T N) filtered",
        aliases=("zcore",),
        nested=True,
        independent=True,
        alpha=True,
        score="score",
        featured=True,
        random=("coverage",),
        trials=_tried("n_neighbours", 0, 100, 300),
    ),
    MethodRow(
        name="k_center",
        title="k-centre",
        function=_M + "geometric:k_center",
        config=_M + "geometric:KCenterConfig",
        summary="the image farthest from all kept so far, again and again",
        needs=("vectors",),
        family="coverage",
        paper="Sener and Savarese 2018, algorithm 1",
        cost="O(k N D), most of it skipped; a minute at N = 60k, k = 6k",
        aliases=("coreset", "kcenter"),
        live=False,
        nested=True,
        random=("ties",),
    ),
    MethodRow(
        name="herding",
        title="Herding",
        function=_M + "geometric:herding",
        config=_M + "geometric:HerdingConfig",
        summary="kept so that the mean of the kept follows the mean of all",
        needs=("vectors",),
        family="coverage",
        paper="Welling 2009, the herding update",
        cost="O(k N d), d = 128",
        live=False,
        nested=True,
        random=("ties",),
    ),
    MethodRow(
        name="kmedoids",
        title="k-means medoids",
        function=_M + "geometric:kmedoids",
        config=_M + "geometric:KMedoidsConfig",
        summary="the middle image of each of k groups of k-means",
        needs=("vectors",),
        family="coverage",
        paper="Lloyd 1982; Arthur and Vassilvitskii 2007",
        cost="O(N k d), two levels for thousands",
        aliases=("kmeans_medoids",),
        live=False,
        random=("draw",),
        portfolio=ANY_SIZE,
    ),
    MethodRow(
        name="typiclust",
        title="Typical images (TypiClust)",
        function=_M + "prototypes:typiclust",
        config=_M + "prototypes:TypiclustConfig",
        summary="the most typical image of every cluster in turn",
        needs=("vectors",),
        family="coverage",
        paper="Hacohen et al. 2022, algorithm 1",
        cost="O(N C d), C <= 500",
        live=False,
        random=("draw",),
        portfolio=ANY_SIZE,
    ),
    MethodRow(
        name="prototypicality",
        title="Prototypicality",
        function=_M + "prototypes:prototypicality",
        config=_M + "prototypes:PrototypicalityConfig",
        summary="far from (or near to) the centre of its cluster, with or without balance over clusters",
        needs=("vectors",),
        family="coverage",
        paper="Sorscher et al. 2022 (self-supervised prototypes)",
        cost="O(N C d), C = 100",
        aliases=("self_supervised_prototypes",),
        live=False,
        random=("draw",),
        trials=_tried("keep", "easy"),
    ),
    MethodRow(
        name="moderate",
        title="Median distance (Moderate)",
        function=_M + "prototypes:moderate",
        config=_M + "prototypes:ModerateConfig",
        summary="as far from its class centre as the median image",
        needs=("vectors", "pseudo_labels"),
        family="coverage",
        paper="Xia et al. 2023 (moderate coreset)",
        cost="O(N D^2)",
        live=False,
        nested=True,
        labels=True,
        random=("clustering", "ties"),
    ),
    MethodRow(
        name="facility_location",
        title="Facility location",
        function=_M + "graphs:facility_location",
        config=_M + "graphs:FacilityConfig",
        summary="each image adds most to how well all are represented by their most similar kept one",
        needs=("neighbours",),
        family="coverage",
        paper="Mirzasoleiman et al. 2013; Kaushal et al. 2019",
        cost="O(N log N) on the graph",
        live=False,
        nested=True,
        random=("ties",),
        portfolio=ANY_SIZE,
    ),
    MethodRow(
        name="facility_location_full",
        title="Facility location, all pairs",
        function=_M + "pair_coverage:facility_location_full",
        config=_M + "pair_coverage:AllPairsConfig",
        summary="facility location that counts how alike every pair is, not neighbours alone",
        needs=("vectors",),
        family="coverage",
        paper="Mirzasoleiman et al. 2013; Kaushal et al. 2019",
        cost="O(N^2 d); above 10,000 images O(N K d) on a sample and the graph",
        live=False,
        nested=True,
        random=("ties",),
        portfolio=ANY_SIZE,
    ),
    MethodRow(
        name="maxherding",
        title="Smooth coverage (MaxHerding)",
        function=_M + "pair_coverage:maxherding",
        config=_M + "pair_coverage:MaxherdingConfig",
        summary="each image adds most to a smooth coverage of the whole set",
        needs=("vectors",),
        family="coverage",
        paper="Bae et al. 2024 (MaxHerding), generalised coverage",
        cost="O(N^2 d); above 10,000 images O(N K d) on a sample and the graph",
        live=False,
        nested=True,
        random=("ties",),
        portfolio=ANY_SIZE,
    ),
    MethodRow(
        name="subzerocore",
        title="Density and coverage (SubZeroCore)",
        function=_M + "pair_coverage:subzerocore",
        config=_M + "pair_coverage:SubzerocoreConfig",
        summary="represents many images, from places of usual density",
        needs=("vectors",),
        family="coverage",
        paper="Moser et al. 2025 (SubZeroCore), density-weighted facility location",
        cost="O(N^2 d), d <= 128 for large sets; minutes at N = 60k",
        live=False,
        random=("ties",),
    ),
    MethodRow(
        name="infomax",
        title="Information less redundancy (InfoMax)",
        function=_M + "infomax:infomax",
        config=_M + "infomax:InfomaxConfig",
        summary="informative images that share little with each other",
        needs=("vectors", "neighbours"),
        family="coverage",
        paper="Tan et al. 2025 (InfoMax), quadratic program",
        cost="O(N log N) on the graph, k-means before",
        live=False,
        nested=True,
        labels=True,
        random=("clustering", "training", "draw"),
    ),
    MethodRow(
        name="graph_cut",
        title="Graph cut",
        function=_M + "graphs:graph_cut",
        config=_M + "graphs:GraphCutConfig",
        summary="like many images, unlike what is kept",
        needs=("neighbours",),
        family="coverage",
        paper="Iyer et al. 2021 (graph cut)",
        cost="O(N log N) on the graph",
        live=False,
        nested=True,
        random=("ties",),
    ),
    MethodRow(
        name="probcover",
        title="Ball coverage (ProbCover)",
        function=_M + "graphs:probcover",
        config=_M + "graphs:ProbcoverConfig",
        summary="the ball that covers most uncovered images, again and again",
        needs=("neighbours", "pseudo_labels"),
        family="coverage",
        paper="Yehuda et al. 2022, algorithm 1",
        cost="O(N log N) on the graph",
        live=False,
        nested=True,
        labels=True,
        random=("clustering", "ties"),
    ),
    MethodRow(
        name="elfs",
        title="Mid-difficulty (ELFS)",
        function=_M + "scored:elfs",
        config=_M + "scored:ElfsConfig",
        summary="difficulty from pseudo-label training dynamics, pruned at both ends",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Zheng et al. 2024 (ELFS, 3.4)",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        double_end=True,
        beta=True,
        labels=True,
        score="aum",
        featured=True,
        random=("clustering", "training", "ties"),
        trials=_tried("beta", 0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    ),
    MethodRow(
        name="ccs",
        title="Stratified difficulty (CCS)",
        function=_M + "stratified:ccs",
        config=_M + "stratified:CcsConfig",
        summary="hard cut, then the same number from each range of difficulty",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Zheng et al. 2023 (CCS, algorithm 1)",
        cost="O(N log N) after dynamics",
        independent=True,
        beta=True,
        labels=True,
        score="aum",
        random=("clustering", "training", "draw"),
        trials=_tried("beta", 0.0, 0.1, 0.2, 0.3),
    ),
    MethodRow(
        name="aum",
        title="Low margin (AUM)",
        function=_M + "scored:aum",
        config=_M + "scored:ScoreConfig",
        summary="smallest mean margin over the training first",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Pleiss et al. 2020, eq. 1-2",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        labels=True,
        score="aum",
        random=("clustering", "training", "ties"),
    ),
    MethodRow(
        name="forgetting",
        title="Often forgotten (Forgetting)",
        function=_M + "scored:forgetting",
        config=_M + "scored:ForgettingConfig",
        summary="most often forgotten, never learned first",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Toneva et al. 2019",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        labels=True,
        score="forgetting",
        random=("clustering", "training", "ties"),
    ),
    MethodRow(
        name="el2n",
        title="Large early error (EL2N)",
        function=_M + "scored:el2n",
        config=_M + "scored:ScoreConfig",
        summary="largest early error norm first",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Paul et al. 2021, definition 2.4",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        labels=True,
        score="el2n",
        random=("clustering", "training", "ties"),
    ),
    MethodRow(
        name="grand",
        title="Large early gradient (GraNd)",
        function=_M + "scored:grand",
        config=_M + "scored:ScoreConfig",
        summary="largest early gradient norm (last layer) first",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Paul et al. 2021, definition 2.1",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        labels=True,
        score="grand",
        random=("clustering", "training", "ties"),
    ),
    MethodRow(
        name="entropy",
        title="High entropy",
        function=_M + "scored:entropy",
        config=_M + "scored:ScoreConfig",
        summary="most uncertain at the end of the training first",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Coleman et al. 2020",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        labels=True,
        score="entropy",
        random=("clustering", "training", "ties"),
    ),
    MethodRow(
        name="dyn_unc",
        title="Dynamic uncertainty (Dyn-Unc)",
        function=_M + "scored:dyn_unc",
        config=_M + "scored:ScoreConfig",
        summary="largest spread of its probability first",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="He et al. 2024 (Dyn-Unc), eq. 1-2",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        labels=True,
        score="dyn_unc",
        random=("clustering", "training", "ties"),
    ),
    MethodRow(
        name="tdds",
        title="Training dynamics variation (TDDS)",
        function=_M + "scored:tdds",
        config=_M + "scored:ScoreConfig",
        summary="largest variation of its change over training first",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Zhang et al. 2024 (TDDS), eq. 8-11",
        cost="O(N log N) after dynamics",
        nested=True,
        independent=True,
        labels=True,
        score="tdds",
        random=("clustering", "training", "ties"),
    ),
    MethodRow(
        name="dual",
        title="Early difficulty and uncertainty (DUAL)",
        function=_M + "dual:dual",
        config=_M + "dual:DualConfig",
        summary="hard and uncertain in the first epochs, easier ones the more is pruned",
        needs=("pseudo_labels", "dynamics"),
        family="dynamics",
        paper="Cho et al. 2025 (DUAL), score and Beta sampling",
        cost="O(N log N) after dynamics",
        independent=True,
        labels=True,
        score="dual",
        random=("clustering", "training", "draw"),
    ),
    MethodRow(
        name="semiprune",
        title="Pilot labels, mid-difficulty (SemiPrune)",
        function=_M + "semiprune:semiprune",
        config=_M + "semiprune:SemipruneConfig",
        summary="a few true labels, spread to all images, judge difficulty; pruned at both ends",
        needs=("vectors", "neighbours"),
        family="dynamics",
        paper="Cho et al. 2026 (SemiPrune)",
        cost="O(N d C) for 20 epochs of a linear proxy",
        live=False,
        nested=True,
        independent=True,
        beta=True,
        random=("draw",),
    ),
    MethodRow(
        name="d2",
        title="Difficulty and diversity (D2)",
        function=_M + "graphs:d2",
        config=_M + "graphs:D2Config",
        summary="difficulty passed along the neighbour graph, then taken away around what is kept",
        needs=("neighbours",),
        family="dynamics",
        paper="Maharana et al. 2024 (D2 pruning)",
        cost="O(N log N) on the graph",
        live=False,
        nested=True,
        labels=True,
        random=("ties",),
        portfolio=ANY_SIZE,
    ),
    MethodRow(
        name="badge",
        title="Diverse gradients (BADGE)",
        function=_M + "gradients:badge",
        config=_M + "gradients:BadgeConfig",
        summary="uncertain to a linear proxy, each in its own way: k-means++ draws on gradients",
        needs=("vectors", "pseudo_labels"),
        family="gradients",
        paper="Ash et al. 2020 (BADGE), algorithm 1",
        cost="O(k N d), most of it skipped",
        live=False,
        nested=True,
        labels=True,
        random=("clustering", "draw"),
    ),
    MethodRow(
        name="uherding",
        title="Uncertainty coverage (UHerding)",
        function=_M + "pair_coverage:uherding",
        config=_M + "pair_coverage:UherdingConfig",
        summary="uncertain to a linear proxy, in regions that the kept images do not cover",
        needs=("vectors", "pseudo_labels"),
        family="gradients",
        paper="Bae et al. 2025 (UHerding), uncertainty coverage",
        cost="O(N^2 d) in each of 5 rounds, d <= 128 for large sets",
        live=False,
        labels=True,
        random=("clustering", "ties"),
    ),
    MethodRow(
        name="craig",
        title="Gradient coverage (CRAIG)",
        function=_M + "gradients:craig",
        config=_M + "gradients:CraigConfig",
        summary="weighted images whose gradients stand for those of their class",
        needs=("vectors", "pseudo_labels"),
        family="gradients",
        paper="Mirzasoleiman et al. 2020 (CRAIG), algorithm 1",
        cost="O(N n d), classes in parts of n <= 4,000",
        live=False,
        labels=True,
        random=("clustering", "draw"),
    ),
    MethodRow(
        name="gradmatch",
        title="Gradient matching (GradMatch)",
        function=_M + "gradients:gradmatch",
        config=_M + "gradients:GradmatchConfig",
        summary="weighted images whose gradients add up to those of their class",
        needs=("vectors", "pseudo_labels"),
        family="gradients",
        paper="Killamsetty et al. 2021 (GradMatch), algorithm 2",
        cost="O(N k n), classes in parts of n <= 1,000",
        aliases=("grad_match",),
        live=False,
        labels=True,
        random=("clustering", "draw"),
    ),
    MethodRow(
        name="glister",
        title="Loss reduction (GLISTER)",
        function=_M + "gradients:glister",
        config=_M + "gradients:GlisterConfig",
        summary="images whose gradient lowers the loss on the whole set most",
        needs=("vectors", "pseudo_labels"),
        family="gradients",
        paper="Killamsetty et al. 2021 (GLISTER), algorithm 2",
        cost="O(N d C) per round",
        live=False,
        labels=True,
        random=("clustering", "draw"),
    ),
)


def portfolio(n_images: int) -> tuple[str, ...]:
    """Names of the methods that `auto` chooses from, and the forecast judges, for so many images."""
    return tuple(row.name for row in METHODS.values() if row.portfolio >= n_images)


def featured() -> list[str]:
    """Names of the methods that are offered first, the default one before the others."""
    names = [row.name for row in METHODS.values() if row.featured]
    return sorted(names, key=lambda name: name != DEFAULT_METHOD)


_E = "coreset_engine.embedding.encoders."
ENCODERS: dict[str, Row] = _table(
    Row(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        function=_E + "networks:efficientnet_lite0",
        config=_E + "base:EncoderConfig",
        summary="EfficientNet-Lite0, ImageNet; weights inside the install, works offline; D = 1280",
        needs=("images",),
    ),
    Row(
        name="efficientnet_lite1",
        title="EfficientNet-Lite1",
        function=_E + "networks:efficientnet_lite1",
        config=_E + "base:EncoderConfig",
        summary="EfficientNet-Lite1, ImageNet, through timm; D = 1280",
        needs=("images", "download"),
    ),
    Row(
        name="efficientnet_lite2",
        title="EfficientNet-Lite2",
        function=_E + "networks:efficientnet_lite2",
        config=_E + "base:EncoderConfig",
        summary="EfficientNet-Lite2, ImageNet, through timm; D = 1280",
        needs=("images", "download"),
    ),
    Row(
        name="resnet18",
        title="ResNet-18",
        function=_E + "networks:resnet18",
        config=_E + "base:EncoderConfig",
        summary="ResNet-18, ImageNet, torchvision; D = 512",
        needs=("images", "download"),
        paper="BlindCS 5.1 (with clip)",
    ),
    Row(
        name="resnet50_swav",
        title="ResNet-50 (SwAV)",
        function=_E + "networks:resnet50_swav",
        config=_E + "base:EncoderConfig",
        summary="ResNet-50 trained by SwAV without labels; D = 2048",
        needs=("images", "download"),
        paper="ELFS table 1",
    ),
    Row(
        name="clip",
        title="CLIP ViT-L/14",
        function=_E + "networks:clip",
        config=_E + "base:EncoderConfig",
        summary="CLIP ViT-L-14 of OpenAI, open_clip; D = 768; resnet18+clip is BlindCS' 1280",
        needs=("images", "download"),
        paper="BlindCS 5.1 (with resnet18)",
    ),
    Row(
        name="dino",
        title="DINO ViT-B/16",
        function=_E + "networks:dino",
        config=_E + "base:EncoderConfig",
        summary="DINO ViT-B/16 trained without labels, timm; D = 768",
        needs=("images", "download"),
        paper="ELFS 4.1",
    ),
    Row(
        name="dinov2",
        title="DINOv2 ViT-B/14",
        function=_E + "networks:dinov2",
        config=_E + "base:EncoderConfig",
        summary="DINOv2 ViT-B/14 trained without labels, timm; D = 768",
        needs=("images", "download"),
    ),
)
# What runs the work of a pipeline elsewhere -> "module:class", made with the cluster's address.
EXECUTORS: dict[str, str] = {"ray": "coreset_engine.distributed.executor:RayExecutor"}

_T = "coreset_engine.training."
PROXIES: dict[str, Row] = _table(
    Row(
        name="mlp",
        title="MLP on embeddings",
        function=_T + "proxies:mlp",
        config=_T + "config:ProxyConfig",
        summary="one hidden layer on embeddings; seconds on a CPU",
        needs=("vectors",),
    ),
    Row(
        name="linear",
        title="Linear on embeddings",
        function=_T + "proxies:linear",
        config=_T + "config:LinearConfig",
        summary="softmax regression on embeddings; seconds",
        needs=("vectors",),
    ),
    Row(
        name="convnet",
        title="Small CNN on pixels",
        function=_T + "networks:convnet",
        config=_T + "config:ConvnetConfig",
        summary="small convolutional net on pixels; minutes on a CPU",
        needs=("images",),
    ),
    Row(
        name="resnet18",
        title="ResNet-18 on pixels",
        function=_T + "networks:resnet18",
        config=_T + "config:ResnetConfig",
        summary="ResNet-18 on pixels, ELFS' setting (200 epochs); wants a GPU",
        needs=("images",),
        paper="ELFS 8.2",
    ),
    Row(
        name="resnet34",
        title="ResNet-34 on pixels",
        function=_T + "networks:resnet34",
        config=_T + "config:ResnetConfig",
        summary="ResNet-34 on pixels; wants a GPU",
        needs=("images",),
        paper="ELFS 8.2",
    ),
    Row(
        name="resnet50",
        title="ResNet-50 on pixels",
        function=_T + "networks:resnet50",
        config=_T + "config:ResnetConfig",
        summary="ResNet-50 on pixels; wants a GPU",
        needs=("images",),
        paper="ELFS table 4",
    ),
)

_C = "coreset_engine.clustering."
CLUSTERERS: dict[str, Row] = _table(
    Row(
        name="temi",
        title="Ensemble of cluster heads (TEMI)",
        function=_C + "temi:temi",
        config=_C + "config:TemiConfig",
        summary="teacher ensemble of clustering heads that agree on neighbours",
        needs=("vectors", "neighbours"),
        paper="Adaloglou et al. 2023 (TEMI); ELFS 3.3",
    ),
    Row(
        name="kmeans",
        title="Spherical k-means",
        function=_C + "kmeans:spherical_kmeans",
        config=_C + "config:KMeansConfig",
        summary="spherical k-means on unit vectors",
        needs=("vectors",),
    ),
)
