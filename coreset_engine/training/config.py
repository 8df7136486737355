"""Settings of training: recipes of networks, and recorded dynamics.

Frozen dataclasses with bounds, so that a run's settings, forms and the command line can list them.
Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from coreset_engine.core.config import knob

OPTIMISERS = ("adamw", "sgd")
MARGINS = ("logit", "probability")
DYN_UNC = ("paper", "program")


@dataclass(frozen=True)
class TrainingRecipe:
    """How a network is trained: cosine learning rate from `lr` to `min_lr` over all steps."""

    epochs: int = knob(20, "passes over the data", low=1, high=10_000)
    batch: int = knob(
        512,
        "images per step (split evenly, without a small remainder)",
        low=1,
        high=65_536,
    )
    lr: float = knob(1e-3, "peak learning rate, with cosine decay", low=1e-6, high=10.0)
    min_lr: float = knob(0.0, "final learning rate of the cosine decay", low=0.0, high=10.0)
    weight_decay: float = knob(1e-4, "weight decay", low=0.0, high=1.0)
    optimiser: str = knob("adamw", "update rule", choices=OPTIMISERS)
    momentum: float = knob(0.9, "momentum of sgd", low=0.0, high=0.9999)
    nesterov: bool = knob(False, "Nesterov momentum (sgd only; ELFS', CCS' and D2's programs)")
    augment: bool = knob(False, "random crops and flips (pixels only)")


@dataclass(frozen=True)
class ProxyConfig(TrainingRecipe):
    """Training recipe and size of the MLP; other proxies change the defaults.

    A set of at most `batch` images takes one step an epoch, on purpose: with more steps the MLP
    memorises wrong labels. AUROC in % of AUM for 20 % flipped labels of the digits
    (EfficientNet-Lite0, 5 seeds), one step against batches of max(32, N / 8): MLP 96.9 : 93.9
    (N = 200), 98.8 : 97.6 (500); linear 96.6 : 96.7, 97.6 : 98.7.
    """

    hidden: int = knob(
        256, "width of the hidden layer (first stage, for convolutions)", low=4, high=8192
    )


@dataclass(frozen=True)
class LinearConfig(ProxyConfig):
    """A linear softmax classifier learns in fewer, larger steps."""

    epochs: int = knob(15, "passes over the data", low=1, high=10_000)


@dataclass(frozen=True)
class ConvnetConfig(ProxyConfig):
    """A few epochs at a size two cores can bear."""

    epochs: int = knob(8, "passes over the data", low=1, high=10_000)
    batch: int = knob(256, "images per step", low=1, high=65_536)
    lr: float = knob(3e-3, "peak learning rate, with cosine decay", low=1e-6, high=10.0)
    hidden: int = knob(
        16, "channels of the first stage; doubled in each of the next two", low=4, high=512
    )


@dataclass(frozen=True)
class ResnetConfig(ProxyConfig):
    """ELFS 8.2: SGD, momentum 0.9, weight decay 2e-4, cosine from 0.1 to 1e-4, crops and flips.

    200 epochs of 200 steps on CIFAR. ELFS', CCS' and D2's programs set weight decay 5e-4 and
    Nesterov momentum: `weight_decay=5e-4, nesterov=True`.
    """

    epochs: int = knob(200, "passes over the data", low=1, high=10_000)
    batch: int = knob(
        256, "images per step; halved when the GPU runs out of memory", low=1, high=65_536
    )
    lr: float = knob(0.1, "peak learning rate, with cosine decay", low=1e-6, high=10.0)
    min_lr: float = knob(1e-4, "final learning rate of the cosine decay", low=0.0, high=10.0)
    weight_decay: float = knob(2e-4, "weight decay", low=0.0, high=1.0)
    optimiser: str = knob("sgd", "update rule", choices=OPTIMISERS)
    augment: bool = knob(True, "random crops and flips")


@dataclass(frozen=True)
class DynamicsConfig:
    """What is recorded while a proxy trains; see `scores` for the equations."""

    margin: str = knob(
        "logit",
        "AUM from logits (Pleiss 2020) or from probabilities (ELFS' and CCS' programs)",
        choices=MARGINS,
    )
    early: int = knob(10, "number of first epochs used for EL2N and GraNd", low=1, high=1000)
    window: int = knob(10, "J of Dyn-Unc and DUAL: epochs in a sliding window", low=2, high=1000)
    dyn_unc: str = knob(
        "paper",
        "windows of Dyn-Unc: all (paper), or all but the last (released program)",
        choices=DYN_UNC,
    )
    tdds_epochs: int = knob(
        10,
        "T of TDDS: number of first epochs it uses (the paper sets T by dataset and pruning rate, "
        "the program's default is 10)",
        low=2,
        high=10_000,
    )
    tdds_window: int = knob(
        10, "J of TDDS: epochs in a sliding window, J - 1 changes", low=2, high=1000
    )
    tdds_decay: float = knob(
        0.9, "weight of the newest window in TDDS' moving average", low=0.01, high=1.0, step=0.01
    )
    dual_epochs: int = knob(
        30,
        "T of DUAL: number of first epochs it uses, in windows of `window` epochs (30 for CIFAR)",
        low=2,
        high=10_000,
    )
