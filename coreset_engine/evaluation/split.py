"""A stratified split into training and test images, and label noise; pure functions of a seed."""

from __future__ import annotations

import hashlib

import numpy as np

from coreset_engine.core.errors import BadInput

TEST_SHARE = 0.2


def stratified_split(
    ids: np.ndarray, labels: np.ndarray, share: float = TEST_SHARE
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of every class, decided by a hash of the id.

    The same images are held out whatever the order and whatever else was added.

    Parameters
    ----------
    ids : (N,) str
    labels : (N,) int
        -1 (unknown) goes to neither part.
    share : float in (0, 1)
        Of every class, rounded half up; one image at least stays in train.

    Returns
    -------
    train, test : int64
        Ascending positions.

    Raises
    ------
    BadInput
        When no image can be held out.
    """
    keys = np.array(
        [
            int.from_bytes(
                hashlib.blake2b(f"held out {name}".encode(), digest_size=8).digest(), "big"
            )
            for name in ids
        ],
        np.uint64,
    )
    held = np.zeros(len(ids), bool)
    for label in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == label)
        count = min(len(members) - 1, int(np.floor(share * len(members) + 0.5)))
        held[members[np.argsort(keys[members], kind="stable")[:count]]] = True
    known = labels >= 0
    if not held.any():
        raise BadInput(
            f"{int(known.sum())} labelled images are too few to hold any out for a test; an "
            "evaluation needs at least 3 of one class."
        )
    return np.flatnonzero(known & ~held), np.flatnonzero(held)


def flip_labels(labels: np.ndarray, share: float, n_classes: int, seed: int) -> np.ndarray:
    """Move a share of the labels to another class, uniformly.

    Parameters
    ----------
    labels : (N,) int in [0, n_classes)
    share : float in [0, 1]
        Of the N labels, rounded half up.
    n_classes, seed : int

    Returns
    -------
    (N,) int64

    Raises
    ------
    BadInput
        A share above 0 with fewer than two classes.
    """
    out = np.array(labels, np.int64)
    if share == 0:
        return out
    if n_classes < 2:
        raise BadInput(
            f"label_noise={share} needs at least two classes; this set has {n_classes}, so use "
            "label_noise=0."
        )
    rng = np.random.default_rng([seed, 0x6E6F697365])
    at = rng.permutation(len(out))[: int(np.floor(share * len(out) + 0.5))]
    out[at] = (out[at] + rng.integers(1, n_classes, len(at))) % n_classes
    return out
