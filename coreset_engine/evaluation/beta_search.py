"""Choose the hard cut beta without labels (ELFS 3.4, figure 6).

Train on each coreset and measure accuracy on held-out pseudo-labels.

The pseudo-labelled set is split 90/10; for every beta the coreset is chosen from the 90 %, a proxy
is trained on it and named right or wrong on the 10 %. `search_beta` sees pseudo-labels only.
`oracle_curve` measures the same coresets with true labels (figure 6b); it takes the finished search
as input and changes nothing in it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from coreset_engine.core.config import knob, make
from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Progress, silent
from coreset_engine.training.loop import (
    Hooks,
    TrainingSet,
    accuracy_of,
    as_pixels,
    to_device,
    train,
)
from coreset_engine.training.proxies import build_proxy, proxy_config

# choose(aum (M,), prune_rate, beta) -> (k,) positions to keep; raises BadInput when both cuts
# overlap.
Choose = Callable[[np.ndarray, float, float], np.ndarray]


@dataclasses.dataclass(frozen=True)
class BetaConfig:
    """What is tried, and what judges it."""

    prune_rate: float = knob(0.9, "share of the set removed", low=0.0, high=0.999, step=0.01)
    step: float = knob(
        0.1,
        "distance between two betas of the grid (0.1 in ELFS' figure 6)",
        low=0.005,
        high=0.5,
        step=0.005,
    )
    search: str = knob(
        "grid",
        "every beta of the grid, or a binary search as in ELFS (section 5): faster, correct if the "
        "curve has a single maximum",
        choices=("grid", "binary"),
    )
    n_seeds: int = knob(1, "splits and training runs averaged per beta", low=1, high=50)
    held_out: float = knob(
        0.1, "share of the pseudo-labelled set held out for the test", low=0.01, high=0.5, step=0.01
    )
    proxy: str = knob(
        "mlp",
        "network trained on each coreset",
        choices=("mlp", "linear", "convnet", "resnet18", "resnet34", "resnet50"),
    )
    epochs: int = knob(
        0,
        "epochs over the coreset; 0 = the proxy's default, more for tiny coresets",
        low=0,
        high=10_000,
    )


class ScoredImages(NamedTuple):
    """Images with labels of whichever kind, and the scores by which they are cut.

    inputs: (N, D) float vectors or (N, ch, H, W) uint8 pixels, as the proxy takes them. labels:
    (N,) int. aum: (N,) float, high = easy (give minus the count for forgetting).
    """

    inputs: Any
    labels: np.ndarray
    aum: np.ndarray


def search_beta(
    scored: ScoredImages,
    *,
    choose: Choose,
    betas: Sequence[float] | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    **params: Any,
) -> dict[str, Any]:
    """The beta with the best held-out pseudo-label accuracy, and the curve; needs no true label.

    Deterministic for a seed on a CPU. Of equal accuracies the smaller beta is taken: fewer images
    are dropped unseen.

    Parameters
    ----------
    scored : ScoredImages
        N >= 10 images; labels are pseudo-labels, >= 0.
    choose : callable
        choose(aum, prune_rate, beta) -> positions kept, such as `selection.budget.double_end`.
    betas : sequence of float, optional
        Instead of the grid 0, step, 2 step ... that fits the rate.
    seed : int
    device : str
        "auto", "cpu" or "cuda".
    progress : callable
        Unit "trainings".
    **params
        Fields of `BetaConfig`.

    Returns
    -------
    dict
        beta, accuracy (of that beta, in [0, 1]), curve: [{beta, accuracy, std, n, seeds: [...]}] of
        the betas tried, ascending; seed, n, and the settings.

    Raises
    ------
    BadInput
        When a beta given does not fit the rate, or N < 10.

    References
    ----------
    ELFS, section 3.4 and figure 6.
    """
    config = make(BetaConfig, params)
    trial = _Trial(scored, choose, config, seed, device)
    tried = trial.grid() if betas is None else _increasing(betas)
    judge = _Judge(
        trial,
        config.n_seeds,
        progress,
        len(tried) if config.search == "grid" else _halvings(len(tried)),
    )
    if config.search == "grid":
        for beta in tried:
            judge(beta)
    else:
        _climb(tried, judge)
    curve = judge.curve()
    best = max(curve, key=lambda point: (point["accuracy"], -point["beta"]))
    return dict(
        beta=best["beta"],
        accuracy=best["accuracy"],
        curve=curve,
        seed=seed,
        n=len(scored.labels),
        **dataclasses.asdict(config),
    )


def oracle_curve(
    search: dict[str, Any],
    scored: ScoredImages,
    *,
    choose: Choose,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """True-label accuracy of the coresets that a search tried (ELFS, figure 6b).

    The same splits, seeds and recipe as the search, which it does not change.

    Parameters
    ----------
    search : dict
        As `search_beta` returns it.
    scored : ScoredImages
        Inputs and scores as given to `search_beta`; labels are true classes, -1 = unknown, left
        out.
    choose, device
        As given to `search_beta`.
    progress : callable
        Unit "trainings".

    Returns
    -------
    dict
        curve; best_beta; best_accuracy; accuracy (of the searched beta); lost >= 0: accuracy that
        the choice without labels cost.
    """
    names = [field.name for field in dataclasses.fields(BetaConfig)]
    config = make(BetaConfig, {name: search[name] for name in names})
    trial = _Trial(scored, choose, config, search["seed"], device)
    judge = _Judge(trial, config.n_seeds, progress, len(search["curve"]))
    for point in search["curve"]:
        judge(point["beta"])
    curve = judge.curve()
    best = max(curve, key=lambda point: (point["accuracy"], -point["beta"]))
    ours = next(point for point in curve if point["beta"] == search["beta"])
    return dict(
        curve=curve,
        best_beta=best["beta"],
        best_accuracy=best["accuracy"],
        accuracy=ours["accuracy"],
        lost=best["accuracy"] - ours["accuracy"],
    )


class _Trial:
    """One set, its labels of whichever kind, and how a beta is tried on it."""

    def __init__(
        self, scored: ScoredImages, choose: Choose, config: BetaConfig, seed: int, device: str
    ) -> None:
        inputs = scored.inputs
        labels = np.asarray(scored.labels)
        aum = np.asarray(scored.aum, np.float64)
        if not len(inputs) == len(labels) == len(aum) or len(labels) < 10:
            raise BadInput(
                f"{len(inputs)} inputs, {len(labels)} labels and {len(aum)} scores: a search for "
                "beta needs one of each per image and at least 10 images."
            )
        self.labels = labels
        self.aum = aum
        self.choose = choose
        self.config = config
        self.seed = seed
        self.device = resolve_device(device)
        data = to_device(inputs, self.device)
        self.data = as_pixels(data) if data.ndim in (3, 4) else data
        self.n_classes = int(labels.max()) + 1

    def split(self, draw: int) -> tuple[np.ndarray, np.ndarray]:
        """(training positions, held-out positions), sorted: 90 % and 10 %, drawn per seed."""
        order = np.random.default_rng([self.seed, draw]).permutation(len(self.labels))
        held = max(1, round(self.config.held_out * len(order)))
        return np.sort(order[held:]), np.sort(order[:held])

    def grid(self) -> list[float]:
        """0, step, 2 step ... as long as the cut and the kept fit together."""
        rate = self.config.prune_rate
        step = self.config.step
        betas = [round(i * step, 6) for i in range(math.floor(rate / step + 1e-9) + 1)]
        return [beta for beta in betas if beta == 0 or self.fits(beta)]

    def fits(self, beta: float) -> bool:
        """Whether `beta` is feasible for the training part and for the whole set."""
        try:
            for count in (len(self.split(0)[0]), len(self.labels)):
                self.choose(np.arange(count, dtype=float), self.config.prune_rate, beta)
        except BadInput:
            return False
        return True

    def __call__(self, beta: float, draw: int, progress: Progress) -> float:
        """Held-out accuracy of the proxy trained on the coreset of this beta."""
        train_at, held = self.split(draw)
        kept = train_at[self.choose(self.aum[train_at], self.config.prune_rate, beta)]
        kept = kept[self.labels[kept] >= 0]
        held = held[self.labels[held] >= 0]
        if not len(kept) or not len(held):
            raise BadInput(
                f"beta={beta:g} leaves {len(kept)} labelled images to train on and {len(held)} to "
                "test on; keep more, or label more."
            )
        recipe = proxy_config(
            self.config.proxy, **({"epochs": self.config.epochs} if self.config.epochs else {})
        )
        if not self.config.epochs:
            recipe = dataclasses.replace(
                recipe,
                epochs=max(
                    recipe.epochs,
                    math.ceil(limits().beta_search_steps / math.ceil(len(kept) / recipe.batch)),
                ),
            )
        inputs = self.data[np.sort(kept)]
        seed = self.seed + draw
        model = build_proxy(self.config.proxy, inputs, self.n_classes, recipe, seed)
        trained = train(
            model,
            TrainingSet(inputs, self.labels[np.sort(kept)]),
            recipe,
            seed=seed,
            hooks=Hooks(progress=progress),
            device=self.device,
        )
        return accuracy_of(trained.model, self.data[held], self.labels[held], device=self.device)


class _Judge:
    """Evaluates each beta once over all seeds, counts, and can be cancelled between epochs."""

    def __init__(self, trial: _Trial, seeds: int, progress: Progress, betas: int) -> None:
        self.trial = trial
        self.seeds = seeds
        self.progress = progress
        self.total = betas * seeds
        self.known: dict[float, list[float]] = {}

    def __call__(self, beta: float) -> float:
        if beta not in self.known:
            self.known[beta] = []
            for draw in range(self.seeds):
                self.tell()
                self.known[beta].append(self.trial(beta, draw, lambda *_: self.tell()))
            self.tell()
        return float(np.mean(self.known[beta]))

    def tell(self) -> None:
        done = sum(map(len, self.known.values()))
        self.progress(done, max(self.total, done), "trainings")

    def curve(self) -> list[dict[str, Any]]:
        """One entry a beta tried, in order."""
        return [
            dict(
                beta=float(beta),
                accuracy=float(np.mean(seen)),
                n=len(seen),
                seeds=[float(x) for x in seen],
                std=float(np.std(seen, ddof=1)) if len(seen) > 1 else 0.0,
            )
            for beta, seen in sorted(self.known.items())
        ]


def _climb(betas: Sequence[float], judge: Callable[[float], float]) -> None:
    """Bisect the grid towards the rising side: O(log n) betas, exact for a unimodal curve."""
    low = 0
    high = len(betas) - 1
    while low < high:
        middle = (low + high) // 2
        if judge(betas[middle]) < judge(betas[middle + 1]):
            low = middle + 1
        else:
            high = middle
    judge(betas[low])


def _halvings(count: int) -> int:
    return max(1, 2 * math.ceil(math.log2(count))) if count > 1 else 1


def _increasing(betas: Sequence[float]) -> list[float]:
    ordered = sorted({float(beta) for beta in betas})
    if not ordered:
        raise BadInput(
            "betas is empty; give at least one, for example 0.2, or leave it out for the grid."
        )
    return ordered
