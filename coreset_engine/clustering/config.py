"""Settings of the clusterers, without any heavy import: read by forms, command line and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from coreset_engine.core.config import knob, make
from coreset_engine.core.errors import BadInput


@dataclass(frozen=True)
class KMeansConfig:
    """Restarts and rounds of spherical k-means."""

    n_starts: int = knob(
        4, "independent k-means++ restarts; the best objective is kept", low=1, high=100
    )
    n_rounds: int = knob(60, "maximum number of iterations per restart", low=1, high=1000)
    temperature: float = knob(
        0.1,
        "temperature of the softmax over cosines that gives the confidence",
        low=0.001,
        high=10.0,
    )


@dataclass(frozen=True)
class TemiConfig:
    """How TEMI's heads are built and trained. The defaults are the preset "cpu"."""

    n_heads: int = knob(16, "clustering heads, trained together", low=1, high=500)
    epochs: int = knob(20, "passes over the images", low=1, high=2000)
    min_steps: int = knob(
        1000,
        "minimum number of updates; small sets are trained for more epochs",
        low=1,
        high=1_000_000,
    )
    batch: int = knob(512, "pairs per step", low=1, high=65536)
    shrink_batch: bool = knob(
        True, "on small sets, limit the batch to a sixteenth of the images (at least 64)"
    )
    lr: float = knob(1e-3, "learning rate of AdamW", low=1e-6, high=1.0)
    lr_per_256: bool = knob(False, "scale the learning rate by batch / 256")
    warmup_epochs: int = knob(
        0, "epochs over which the learning rate rises linearly from 0", low=0, high=1000
    )
    frozen_epochs: int = knob(0, "first epochs in which the last layer is frozen", low=0, high=1000)
    weight_decay: float = knob(1e-4, "of AdamW", low=0.0, high=1.0)
    n_neighbours: int = knob(
        50,
        "a pair is an image and a random one of its this many nearest neighbours",
        low=1,
        high=1000,
    )
    hidden: int = knob(0, "width of the hidden layer of a head; 0 = linear heads", low=0, high=8192)
    bottleneck: int = knob(
        256, "width of the features before the last layer, with a hidden layer", low=1, high=8192
    )
    unit_inputs: bool = knob(
        True, "normalise the vectors to unit length first (linear heads: always)"
    )
    n_dims: int = knob(
        256,
        "number of principal axes the vectors are reduced to; 0 = no reduction",
        low=0,
        high=8192,
    )
    whiten: float = knob(
        0.0, "0 keeps the variance of each axis, 1 makes them all equal", low=0.0, high=1.0
    )
    temperature: float = knob(0.05, "of the softmax over cosines", low=0.02, high=10.0)
    momentum: float = knob(
        0.98, "momentum of the teacher (share kept at each step)", low=0.0, high=0.99999
    )
    prior_momentum: float = knob(
        0.9, "momentum of the running class prior (share kept at each step)", low=0.0, high=0.99999
    )
    beta: float = knob(
        0.6, "exponent of the pair probabilities; 1 lets clusters die", low=0.1, high=1.0
    )
    per_head_weights: bool = knob(
        False, "weight a pair by each head's own teacher, not by the mean of all"
    )
    start: str = knob(
        "random",
        "initialisation of the cluster directions (linear heads)",
        choices=("random", "kmeans"),
    )
    average: str = knob(
        "probability",
        "average probabilities or their logarithms",
        choices=("probability", "log"),
    )
    keep: float = knob(1.0, "share of heads to average, lowest loss first", low=0.01, high=1.0)

    # "paper": ELFS 8.1; bottleneck, warm-up, frozen epoch, scaled learning rate and raw inputs are
    # those of TEMI's program (Adaloglou et al. 2023), whose settings ELFS names as its own.
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "cpu": {},
        "paper": dict(
            n_heads=50,
            epochs=200,
            min_steps=1,
            batch=512,
            shrink_batch=False,
            lr=1e-4,
            lr_per_256=True,
            warmup_epochs=20,
            frozen_epochs=1,
            weight_decay=1e-4,
            n_neighbours=50,
            hidden=512,
            bottleneck=256,
            unit_inputs=False,
            n_dims=0,
            temperature=0.1,
            momentum=0.996,
        ),
    }

    @classmethod
    def preset(cls, name: str, **changes: Any) -> TemiConfig:
        """The settings of a preset with some of them changed.

        Parameters
        ----------
        name : str
            A key of `PRESETS`: "cpu" or "paper".
        **changes
            Fields of this class, checked and converted as by `core.config.make`.

        Raises
        ------
        BadInput
            For an unknown preset or field, or a value out of bounds.
        """
        if name not in cls.PRESETS:
            raise BadInput(f"preset={name!r} is unknown; choose one of {', '.join(cls.PRESETS)}.")
        return make(cls, {**cls.PRESETS[name], **changes})
