"""Recipes: the settings of a paper or of its authors' program under one name.

A recipe sets fields of `RunConfig`, settings of its parts (as `--set` takes them), a method and its
parameters. `RunConfig(recipe=NAME)` applies the first two where a field has its default, so
what is set beside it wins; the shell also takes method and parameters.
docs/reference/methods-measured.md has the
differences between papers and programs method by method.

`--recipe elfs-paper` takes encoder, clustering, proxy and epochs of ELFS 8.1-8.2; with a dataset's
name (elfs-paper-cifar10, ...) also the beta of its table 7 at each pruning rate.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coreset_engine.core.errors import unknown_name


@dataclass(frozen=True)
class Recipe:
    """Named settings.

    Attributes
    ----------
    name, summary, source : str
        What it is called, one line for people, and the table, section or program it follows.
    method : str
        Row of METHODS.
    run : mapping
        Fields of RunConfig.
    settings : tuple of str
        GROUP.NAME=VALUE of parts of a run.
    params : mapping
        Parameters of the method.
    betas : mapping
        Pruning rate -> beta, where the source gives it by rate.
    """

    name: str
    summary: str
    source: str
    method: str
    run: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    betas: Mapping[float, float] = field(default_factory=dict)

    def params_at(self, prune_rate: float) -> dict[str, Any]:
        """The method's parameters; beta linear between the rates of the source, to thousandths.

        Outside these rates beta is left to the method.
        """
        rates = sorted(self.betas)
        if not rates or not rates[0] <= prune_rate <= rates[-1]:
            return dict(self.params)
        above = min(bisect_right(rates, prune_rate), len(rates) - 1)
        low = rates[max(above - 1, 0)]
        high = rates[above]
        part = (prune_rate - low) / (high - low) if high > low else 0.0
        beta = self.betas[low] + part * (self.betas[high] - self.betas[low])
        return {**self.params, "beta": round(beta, 3)}

    def params_by_rate(self, prune_rates: Iterable[float]) -> dict[str, Any]:
        """The parameters for several rates at once: beta as rate (as text) -> value."""
        betas = {str(float(rate)): self.params_at(rate).get("beta") for rate in prune_rates}
        known = {rate: beta for rate, beta in betas.items() if beta is not None}
        return {**self.params, "beta": known} if known else dict(self.params)


RATES = (0.3, 0.5, 0.7, 0.8, 0.9)
# ELFS, table 7: dataset and encoder of the pseudo-labels -> beta at RATES.
TABLE_7 = {
    ("cifar10", "swav"): (0.1, 0.2, 0.2, 0.3, 0.4),
    ("cifar10", "clip"): (0.1, 0.2, 0.2, 0.2, 0.5),
    ("cifar10", "dino"): (0.0, 0.0, 0.1, 0.1, 0.4),
    ("cifar100", "swav"): (0.2, 0.3, 0.4, 0.5, 0.6),
    ("cifar100", "clip"): (0.1, 0.1, 0.2, 0.2, 0.5),
    ("cifar100", "dino"): (0.1, 0.2, 0.4, 0.5, 0.7),
    ("imagenet", "dino"): (0.0, 0.1, 0.2, 0.4, 0.5),
    ("cinic10", "dino"): (0.0, 0.2, 0.3, 0.3, 0.4),
    ("stl10", "dino"): (0.2, 0.2, 0.4, 0.6, 0.7),
}
ENCODER_OF = {"swav": "resnet50_swav", "clip": "clip", "dino": "dino"}
TEMI_PAPER = ("temi.preset=paper", "temi.per_head_weights=true")
PROGRAM_SGD = ("resnet18.nesterov=true", "resnet18.weight_decay=5e-4")
RESNET = {"proxy": "resnet18"}


def _elfs_paper() -> list[Recipe]:
    """ELFS 8.1-8.2 without betas, then one recipe for each row of table 7."""
    general = Recipe(
        "elfs-paper",
        "ELFS: DINO vectors, TEMI with 50 heads, ResNet-18 for 200 epochs, AUM of logits",
        "ELFS 8.1-8.2",
        "elfs",
        {"encoder": "dino", "clusterer": "temi", **RESNET},
        TEMI_PAPER,
        {"score": "aum", "labels": "pseudo"},
    )
    recipes = [general]
    for (dataset, encoder), betas in TABLE_7.items():
        suffix = "" if encoder == "dino" else f"-{encoder}"
        run = {**general.run, "encoder": ENCODER_OF[encoder]}
        settings: tuple[str, ...] = TEMI_PAPER
        if dataset == "imagenet":
            run["proxy"] = "resnet34"
            settings = (*TEMI_PAPER, "temi.n_neighbours=25")
        recipes.append(
            replace(
                general,
                name=f"elfs-paper-{dataset}{suffix}",
                summary=f"elfs-paper on {ENCODER_OF[encoder]} vectors with the betas for {dataset}",
                source="ELFS 8.1-8.2, table 7",
                run=run,
                settings=settings,
                betas=dict(zip(RATES, betas, strict=True)),
            )
        )
    return recipes


_LIST = (
    *_elfs_paper(),
    Recipe(
        "elfs-released",
        "ELFS' code: one head (that of lowest loss; the code picks it by true test labels), "
        "AUM of probabilities, Nesterov momentum, weight decay 5e-4",
        "the authors' program, its example for CIFAR-10 on DINO",
        "elfs",
        {"encoder": "dino", "clusterer": "temi", **RESNET},
        (
            "temi.preset=paper",
            "temi.batch=1024",
            "temi.keep=0.02",
            *PROGRAM_SGD,
            "dynamics.margin=probability",
        ),
        {"score": "aum", "labels": "pseudo", "never_learned": "zero"},
        dict(zip(RATES, TABLE_7["cifar10", "dino"], strict=True)),
    ),
    Recipe(
        "zcore-paper",
        "BlindCS (ZCore): ResNet-18 and CLIP vectors joined, 1,000,000 samples, alpha 1000",
        "BlindCS 5.1-5.4",
        "blindcs",
        {"encoder": "resnet18+clip", "n_samples": 1_000_000},
        (
            "coverage.n_dims=2",
            "coverage.exponent=4",
            "coverage.distribution=triangular",
        ),
        {"n_neighbours": 1000},
    ),
    Recipe(
        "zcore-released",
        "ZCore's code: as the paper, with scores initialised to random numbers in [0, 1)",
        "the authors' program",
        "blindcs",
        {"encoder": "resnet18+clip", "n_samples": 1_000_000},
        (
            "coverage.n_dims=2",
            "coverage.exponent=4",
            "coverage.distribution=triangular",
            "coverage.random_start=true",
        ),
        {"n_neighbours": 1000},
    ),
    Recipe(
        "ccs-paper",
        "CCS: AUM of logits on true labels, ResNet-18, 50 strata, hard cut by the same score",
        "Zheng et al. 2023, algorithm 1; beta of its program's example at 90 %",
        "ccs",
        RESNET,
        (),
        {"score": "aum", "labels": "true", "strata": 50, "cut_by": "score"},
        {0.9: 0.3},
    ),
    Recipe(
        "ccs-released",
        "CCS' program: AUM of probabilities, hard cut by AUM, Nesterov momentum, weight decay 5e-4",
        "the authors' program, its example for CIFAR-10 at 90 %",
        "ccs",
        RESNET,
        (*PROGRAM_SGD, "dynamics.margin=probability"),
        {
            "score": "aum",
            "labels": "true",
            "strata": 50,
            "cut_by": "aum",
            "never_learned": "zero",
        },
        {0.9: 0.3},
    ),
    Recipe(
        "d2-paper",
        "D2: forgetting on true labels, undirected graph, messages e^(-gamma d^2)",
        "Maharana et al. 2024, eq. 2-3",
        "d2",
        RESNET,
        (),
        {"score": "forgetting", "labels": "true", "distance": "squared"},
    ),
    Recipe(
        "d2-released",
        "D2's program: 5 neighbours, gamma_r 0.1, e^(-gamma d), 40 % cut by AUM, equal classes",
        "the authors' program, its example for CIFAR-10 at 90 %",
        "d2",
        RESNET,
        (*PROGRAM_SGD, "dynamics.margin=probability"),
        {
            "score": "forgetting",
            "labels": "true",
            "neighbours": 5,
            "reverse": 0.1,
            "distance": "plain",
            "hard_cut": 0.4,
            "budgets": "class",
            "never_learned": "zero",
        },
    ),
    Recipe(
        "d2-label-free",
        "D2 without labels, as ELFS compares with it: uniform scores at the start",
        "ELFS, table 1; Maharana et al. 2024",
        "d2",
        {},
        (),
        {"score": "uniform"},
    ),
    Recipe(
        "tdds-paper",
        "TDDS: true labels, ResNet-18, windows of 10 in the first 10 epochs",
        "Zhang et al. 2024, eq. 8-11; T is tuned by dataset and rate",
        "tdds",
        RESNET,
        ("dynamics.tdds_epochs=10", "dynamics.tdds_window=10", "dynamics.tdds_decay=0.9"),
        {"labels": "true"},
    ),
    Recipe(
        "tdds-released",
        "TDDS' program on CIFAR-100: T = 30, windows of 10, batches of 100",
        "the authors' program, its example for CIFAR-100",
        "tdds",
        RESNET,
        ("resnet18.batch=100", "dynamics.tdds_epochs=30", "dynamics.tdds_window=10"),
        {"labels": "true"},
    ),
    Recipe(
        "dyn-unc-released",
        "Dyn-Unc's program: all windows but the last, true labels",
        "the authors' program",
        "dyn_unc",
        RESNET,
        ("dynamics.window=10", "dynamics.dyn_unc=program"),
        {"labels": "true"},
    ),
    Recipe(
        "moderate-released",
        "moderate's program: medians as centres, a window of ranks, true labels",
        "the authors' program",
        "moderate",
        {},
        (),
        {"labels": "true", "centre": "median", "window": "rank"},
    ),
    Recipe(
        "typiclust-released",
        "TypiClust's program: squared distances over half of what is left, again after each pick",
        "the authors' program",
        "typiclust",
        {},
        (),
        {"variant": "program", "dims": 0},
    ),
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _LIST}


def find(name: str) -> Recipe:
    """The recipe called `name`, else BadInput with near misses and all names."""
    key = str(name).strip().lower()
    if key in RECIPES:
        return RECIPES[key]
    raise unknown_name("recipe", name, RECIPES)
