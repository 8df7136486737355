"""Where the map draws each image: the projection with empty bands narrowed, and the atlas' order.

UMAP places groups that have nothing in common far apart; how far says little. An island or a few
outliers then leave most of the canvas empty. `narrow_gaps` moves the parts on both sides of an
empty band towards each other, along one axis at a time, so that no group changes its shape.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from ui.state.run_view import RunView

WIDEST_GAP = 0.15  # of the axis: wider empty bands are narrowed ...
NARROWED_TO = 0.05  # ... to this share


def map_points(view: RunView) -> np.ndarray:
    """The coordinates that the map draws.

    Parameters
    ----------
    view : RunView
        A run whose `map` is computed.

    Returns
    -------
    (N, 2) float32
        The run's projection with wide empty bands narrowed; cached on the run.
    """
    return _of_run(view, "points", lambda: narrow_gaps(np.asarray(view.run.map)))


def atlas_order(view: RunView) -> np.ndarray:
    """(N,) uint32 positions in the order of the atlas: close on the map, close in the order."""
    return _of_run(view, "atlas", lambda: z_order(map_points(view)))


# Of each run while it is held: (what, key of the map) -> array.
_MADE: WeakKeyDictionary[object, dict[tuple[str, str], np.ndarray]] = WeakKeyDictionary()


def _of_run(view: RunView, name: str, make) -> np.ndarray:
    made = _MADE.setdefault(view.run, {})
    key = (name, view.key_of("map"))
    if key not in made:
        made[key] = make()
    return made[key]


def narrow_gaps(points: np.ndarray) -> np.ndarray:
    """Narrow the empty bands of each axis that are wider than `WIDEST_GAP` of it.

    Parameters
    ----------
    points : (N, 2) float
        Any scale.

    Returns
    -------
    (N, 2) float32
        The same order along each axis, and the same distances within each connected part.
    """
    narrowed = np.array(points, dtype=np.float32, order="C")
    for axis in range(narrowed.shape[1] if len(narrowed) > 2 else 0):
        narrowed[:, axis] = _narrow_axis(narrowed[:, axis])
    return narrowed


def _narrow_axis(values: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    placed = values[order].astype(np.float64)
    gaps = np.diff(placed)
    if not _narrow(gaps):
        return values
    result = np.empty_like(values)
    result[order] = placed[0] + np.concatenate([[0.0], np.cumsum(gaps)])
    return result


def _narrow(gaps: np.ndarray, rounds: int = 8) -> bool:
    """Narrow wide gaps in place; returns whether there were any.

    Once one is narrowed the axis is shorter, and others may now be wide: hence several rounds.
    """
    changed = False
    for _ in range(rounds):
        extent = gaps.sum()
        wide = gaps > WIDEST_GAP * extent
        if extent <= 0 or not wide.any():
            break
        occupied = gaps[~wide].sum() or extent
        gaps[wide] = NARROWED_TO * occupied / (1 - NARROWED_TO * wide.sum())
        changed = True
    return changed


def z_order(points: np.ndarray) -> np.ndarray:
    """Positions along the Z curve (Morton order) through the points.

    Parameters
    ----------
    points : (N, 2) float
        Any scale.

    Returns
    -------
    (N,) uint32
        A permutation.
    """
    low = points.min(0)
    span = np.maximum(points.max(0) - low, 1e-12)
    cells = ((points - low) / span * 65535).astype(np.uint64)
    keys = _spread_bits(cells[:, 0]) | (_spread_bits(cells[:, 1]) << np.uint64(1))
    return np.argsort(keys, kind="stable").astype(np.uint32)


def _spread_bits(values: np.ndarray) -> np.ndarray:
    """The lower 16 bits of each value, with a zero bit after each."""
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        values = (values | (values << np.uint64(shift))) & np.uint64(mask)
    return values
