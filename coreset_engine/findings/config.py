"""The thresholds of the findings."""

from __future__ import annotations

from dataclasses import dataclass

from coreset_engine.core.config import knob


@dataclass(frozen=True)
class CleanConfig:
    """Thresholds; most of those on single images are cleanvision's.

    dark, bright, low_information, odd_aspect and odd_size.
    """

    near_duplicates: float | None = knob(
        None,
        "cosine distance up to which images are near-duplicates; default: proposed from the data",
        low=0.0,
        high=2.0,
        step=0.001,
    )
    rotated: float = knob(
        0.12, "difference of a rotated copy, share of the contrast", low=0.0, high=1.0, step=0.01
    )
    outliers: float | None = knob(
        None,
        "distance to the k-th neighbour divided by the cluster's median; default: proposed from "
        "the data",
        low=1.0,
        high=1000.0,
        step=0.05,
    )
    k: int = knob(10, "k of the neighbour whose distance indicates an outlier", low=1, high=50)
    blank: float = knob(
        0.03, "range of brightness (1st to 99th percentile) below", low=0.0, high=1.0, step=0.01
    )
    dark: float = knob(0.32, "99th percentile of brightness below", low=0.0, high=1.0, step=0.01)
    bright: float = knob(0.95, "5th percentile of brightness above", low=0.0, high=1.0, step=0.01)
    low_contrast: float = knob(
        0.15, "range of brightness (1st to 99th percentile) below", low=0.0, high=1.0, step=0.01
    )
    low_information: float = knob(3.0, "entropy in bits below", low=0.0, high=9.6, step=0.1)
    blurred: float | None = knob(
        None,
        "flatness of the steepest edges above, 0 = sharp; default: proposed from the set",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    odd_size: float = knob(
        3.0, "interquartile ranges beyond the quartiles of the size", low=0.0, high=100.0, step=0.5
    )
    odd_aspect: float = knob(0.35, "shorter over longer side below", low=0.0, high=1.0, step=0.01)
