"""Sets, rates and experiments of benchmarks/methods.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from coreset_engine.core.registry import BASELINE, METHODS

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
JUDGES = ("linear", "knn")
SIZES = {  # images in the pool and in the test set
    "fashion": (2000, 1000),
    "tail": (0, 1000),
    "noise": (2000, 1000),
    "digits": (1000, 497),
    "elpv": (1500, 724),
    "openclipart": (1500, 900),
    "wesnoth": (1500, 1000),
    "pixels": (2000, 1000),
}
TITLES = {
    "fashion": "Fashion-MNIST",
    "tail": "Fashion-MNIST, classes 100:1",
    "noise": "Fashion-MNIST, 10 % of the labels wrong",
    "digits": "digits",
    "elpv": "elpv (solar cells)",
    "openclipart": "openclipart",
    "wesnoth": "wesnoth (game units)",
    "pixels": "Fashion-MNIST, raw pixels",
}
MADE_FROM = {"tail": "fashion", "noise": "fashion"}
MAIN_SETS = tuple(name for name in SIZES if name != "pixels")
WRONG = 0.1  # share of wrong labels in `noise`
ITERATIONS = 60  # of the linear judge
AXES = 64
DIMS = 256
SETTINGS: dict[str, Any] = {
    "clusterer_settings": {"n_heads": 8, "min_steps": 300},
    "coverage": {"max_samples": 100_000},
}


@dataclass(frozen=True)
class Experiment:
    """A method with one thing changed: its name in the tables, and what is set."""

    name: str
    method: str
    params: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    sets: tuple[str, ...] = ("fashion",)


def plain(methods: Sequence[str], sets: tuple[str, ...]) -> list[Experiment]:
    """Every method with its defaults."""
    return [Experiment(name, name, sets=sets) for name in methods]


def true_labels() -> list[Experiment]:
    """Methods that learn from labels, given the true ones."""
    return [
        Experiment(f"{row.name}, true labels", row.name, {"labels": "true"})
        for row in METHODS.values()
        if row.labels and row.name not in (BASELINE, "semiprune", "mix")
    ]


EXPERIMENTS: tuple[Experiment, ...] = (
    *true_labels(),
    *(
        Experiment(f"blindcs, alpha = {alpha}", "blindcs", {"n_neighbours": alpha})
        for alpha in (1, 10, 100)
    ),
    Experiment("blindcs, T = 50,000", "blindcs", run={"n_samples": 50_000}),
    Experiment("blindcs, T = 1,000,000", "blindcs", run={"n_samples": 1_000_000}),
    Experiment("elfs, beta = 0", "elfs", {"beta": 0.0}),
    Experiment("elfs, beta = 0.3", "elfs", {"beta": 0.3}),
    Experiment("ccs, beta = 0", "ccs", {"beta": 0.0}),
    # Shorter and longer trainings: the windows of Dyn-Unc are 10 of the paper's 200 epochs.
    Experiment("dyn_unc, 60 epochs", "dyn_unc", run={"proxy_settings": {"epochs": 60}}),
    Experiment(
        "dyn_unc, 60 epochs and true labels",
        "dyn_unc",
        {"labels": "true"},
        {"proxy_settings": {"epochs": 60}},
    ),
    Experiment("dyn_unc, J = 5", "dyn_unc", run={"dynamics": {"window": 5}}),
    # All labels in the pilot: what is left is the proxy.
    Experiment("semiprune, pilot = all", "semiprune", {"pilot": 1.0}),
    Experiment("semiprune, pilot = 0.3", "semiprune", {"pilot": 0.3}),
    Experiment("semiprune, beta = 0", "semiprune", {"beta": 0.0}),
    Experiment("d2, 5 neighbours", "d2", {"neighbours": 5}),
    Experiment("d2, 50 neighbours", "d2", {"neighbours": 50}),
    Experiment("d2, gamma_r = 0", "d2", {"reverse": 0.0}),
    Experiment("d2, distance as the program", "d2", {"distance": "plain"}),
)
