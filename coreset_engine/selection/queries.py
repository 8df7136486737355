"""How similar every image is to a query: the ids of some images, or what the run can embed."""

from __future__ import annotations

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import positions_of
from coreset_engine.core.types import Artefacts

_BLOCK = 65_536


def similarity_to(inputs: Artefacts, query: str) -> np.ndarray:
    """Cosine of every image to a query.

    Parameters
    ----------
    inputs
        A run embeds texts and files as well; anything else knows ids only.
    query : str
        Ids of images, comma-separated; their centre is the query.

    Returns
    -------
    (N,) float32 in [-1, 1].

    Raises
    ------
    BadInput
        For an empty query, or ids that do not exist.
    """
    own = getattr(inputs, "similarity_to", None)
    if own is not None:
        similarity: np.ndarray = own(query)
        return similarity
    ids = query_ids(query)
    positions = positions_of(inputs.dataset.ids, ids)
    if (positions < 0).any():
        missing = ids[int(np.argmax(positions < 0))]
        raise BadInput(
            f"query names {missing!r}, which is not an id of this source; ids here look like "
            f"{str(inputs.dataset.ids[0])!r}."
        )
    return cosines(inputs.vectors, centre(inputs.vectors[np.sort(positions)]))


def query_ids(query: str) -> list[str]:
    """The ids of a query text. Raises BadInput for an empty one."""
    ids = [part.strip() for part in str(query).split(",") if part.strip()]
    if not ids:
        raise BadInput("the query is empty; give one id, or several, comma-separated.")
    return ids


def centre(vectors: np.ndarray) -> np.ndarray:
    """(D,) float32 unit vector in the middle of the directions of `vectors` (M, D).

    Raises
    ------
    BadInput
        Where the directions cancel out, or are zero.
    """
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    middle = (rows / np.maximum(lengths, 1e-30)).mean(axis=0)
    length = np.linalg.norm(middle)
    if length < 1e-9:
        raise BadInput(
            "the images of the query have no common direction (their mean is zero); give fewer or "
            "other images."
        )
    return np.asarray(middle / length, np.float32)


def cosines(vectors: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(N,) float32: cosine of every row to a unit vector; 0 for a zero row."""
    similarity = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        rows = np.asarray(vectors[start : start + _BLOCK], np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        products = rows @ direction
        similarity[start : start + len(rows)] = products / np.maximum(lengths, np.float32(1e-30))
    return similarity
