"""Settings of the coverage scores without heavy imports: read by forms, command line and keys."""

from __future__ import annotations

from dataclasses import dataclass

from coreset_engine.core.config import knob

DISTRIBUTIONS = ("triangular", "gaussian", "uniform", "images")
SAMPLERS = ("random", "sobol", "stratified")
FULL_SCORES = ("both", "coverage", "redundancy")
PER_IMAGE = 1000  # samples at most without an explicit T
FEWEST = 20_000  # samples that any set may take without an explicit T
MAX_SAMPLES = 16_000_000  # of one run; each half's fixed-point sums hold 2^23 samples


@dataclass(frozen=True)
class CoverageConfig:
    """The paper's settings (BlindCS 5.2-5.4) and its ablations (table 5).

    The paper sets n_samples = 1,000,000, n_dims = 2, n_neighbours = 1000 and exponent = 4.
    """

    n_samples: int | None = knob(
        None,
        "number of samples T in the embedding space (paper: 1,000,000); none = until two seeds "
        "agree, see agreement and max_samples",
        low=1,
        high=MAX_SAMPLES,
    )
    n_dims: int = knob(2, "number of embedding dimensions m of each random slice", low=1, high=4096)
    n_neighbours: int = knob(1000, "redundancy neighbours alpha", low=1)
    exponent: float = knob(4.0, "exponent of the penalty's decay with distance", low=0.0, high=64.0)
    distribution: str = knob(
        "triangular",
        "distribution of the samples per dimension; images = at a random image, which is then the "
        "covered one",
        choices=DISTRIBUTIONS,
    )
    full_score: str = knob(
        "both", "coverage minus redundancy, or only one of them", choices=FULL_SCORES
    )
    random_start: bool = knob(
        False, "initialise each score with a random number in [0, 1), which breaks ties"
    )
    sampler: str = knob(
        "random",
        "independent samples as in the paper, or low-discrepancy ones",
        choices=SAMPLERS,
    )
    agreement: float = knob(
        0.9,
        "with n_samples = none: sampling stops once the coresets of two seeds have this Jaccard "
        "index",
        low=0.5,
        high=0.99,
    )
    agreement_at: float = knob(
        0.9,
        "highest pruning rate at which two seeds must agree; lower measured rates must agree as "
        "well",
        low=0.0,
        high=0.999,
    )
    max_samples: int = knob(
        1_000_000,
        "with n_samples = none: maximum number of samples (the paper's T), and at most 1,000 per "
        "image",
        low=2048,
        high=MAX_SAMPLES,
    )

    def most_samples(self, n_images: int) -> int:
        """T, or with n_samples = none its upper bound for a set of `n_images`."""
        if self.n_samples is not None:
            return self.n_samples
        return min(self.max_samples, max(FEWEST, PER_IMAGE * n_images))
