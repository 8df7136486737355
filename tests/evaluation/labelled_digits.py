"""The first images of the demo with their labels, and their pixels as own vectors."""

from __future__ import annotations

import dataclasses

import numpy as np
from sklearn.datasets import load_digits

from coreset_engine.core.types import Dataset
from coreset_engine.sources.open import open_source


def first_digits(n: int) -> Dataset:
    full = open_source("demo")
    return dataclasses.replace(
        full,
        ids=full.ids[:n],
        labels=full.labels[:n],
        fingerprint=f"{n} digits",
        vectors=load_digits().data[:n].astype(np.float32),
    )
