"""The same scores on a GPU: whole batches of samples as dense (batch, N) float64 distances, in
torch.

Why dense: a GPU reads N distances faster than it can branch over them. Distances, nearest images,
duplicates and ties are decided by the same float64 arithmetic as kernel.py's; only the last bits of
the weights may differ from it. Nothing depends on the order of atomic additions: sums are integers
(2^-40 fixed point), so a seed gives the same bits run after run. The code runs on any torch device,
which is how it is tested where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from coreset_engine.coverage.anytime import Scorer
from coreset_engine.coverage.transposed import Columns

FIXED = float(1 << 40)
BYTES = {
    "cuda": 1 << 30,
    "cpu": 1 << 26,
}  # of one (batch, N) float64 array; about five live at a time


def torch_scorer(
    columns: Columns, reaches: Sequence[int], exponents: Sequence[float], device: str
) -> Scorer:
    """A Scorer on a torch device. reaches: alphas, descending. Columns of penalty:
    exponent-major."""
    n = columns.n_images
    exact = columns.exact.view(np.float16) if columns.exact.dtype == np.uint16 else columns.exact
    values = torch.as_tensor(exact).to(device)  # (D, N) in its own precision
    near = [min(reach, n - 1) for reach in reaches]
    batch = max(1, min(4096, BYTES[torch.device(device).type] // (8 * n)))

    def score(dims, points, hits, penalty, tick: Callable[[int], None]) -> None:
        sums = (
            torch.zeros(n, dtype=torch.int64, device=device),
            torch.zeros(penalty.shape, dtype=torch.int64, device=device),
        )
        for start in range(0, len(dims), batch):
            part = slice(start, start + batch)
            _score_batch(
                values,
                torch.as_tensor(dims[part]).to(device),
                torch.as_tensor(points[part]).to(device),
                near,
                exponents,
                *sums,
            )
            tick(min(len(dims), start + batch))
        hits += sums[0].cpu().numpy()
        penalty += sums[1].cpu().numpy()

    return score


def _score_batch(values, dims, points, reaches, exponents, hits, penalty) -> None:
    """dims, points: (B, m). Adds coverage to hits (N,) and redundancy to penalty (N, E * A), both
    int64."""
    _, nearest = _smallest(_distances(values, dims, points))
    hits.index_add_(0, nearest, torch.ones_like(nearest))
    if not reaches or reaches[0] < 1:
        return
    distances = _distances(values, dims, values[dims, nearest[:, None]].double())
    distances.scatter_(1, nearest[:, None], torch.inf)  # never its own neighbour
    least, first = _smallest(distances)
    twin = least == 0
    crowded = first[twin]  # the equal image takes it all, as in the released program
    penalty.index_add_(
        0,
        crowded,
        torch.full(
            (len(crowded), penalty.shape[1]), int(FIXED), dtype=torch.int64, device=penalty.device
        ),
    )
    distances = distances[~twin]
    least = least[~twin]
    if len(distances):
        _spread(distances, least, reaches, exponents, penalty)


def _distances(values, dims, centres):
    """(B, N) float64 L1 distances in each row's slice, summed in the order of its dimensions."""
    total = torch.zeros((len(dims), values.shape[1]), dtype=torch.float64, device=values.device)
    for j in range(dims.shape[1]):
        total += (values[dims[:, j]].double() - centres[:, j, None]).abs_()
    return total


def _smallest(distances):
    """(B,) the smallest of each row and the first place where it stands."""
    least = distances.amin(1)
    places = torch.arange(distances.shape[1], device=distances.device)
    return least, torch.where(distances == least[:, None], places, distances.shape[1]).amin(1)


def _spread(distances, least, reaches, exponents, penalty) -> None:
    """eq. 7, 8 for every reach (descending) and exponent."""
    places = None
    for a, reach in enumerate(reaches):
        kept = _nearest(distances, reach)
        distances = distances.gather(1, kept)
        places = kept if places is None else places.gather(1, kept)
        for e, exponent in enumerate(exponents):
            weights = (least[:, None] / distances) ** exponent
            shares = (weights * (FIXED / weights.sum(1, keepdim=True))).round_().long()
            penalty[:, e * len(reaches) + a].index_add_(0, places.reshape(-1), shares.reshape(-1))


def _nearest(distances, reach):
    """(B, reach) columns of each row's smallest distances, ascending columns; ties at the last one
    by column."""
    if reach == distances.shape[1]:
        return torch.arange(reach, device=distances.device).expand(len(distances), -1)
    limit = distances.topk(reach, dim=1, largest=False, sorted=False).values.amax(1, keepdim=True)
    closer = distances < limit
    tied = distances == limit
    keep = closer | (tied & (tied.cumsum(1) <= reach - closer.sum(1, keepdim=True)))
    return keep.nonzero()[:, 1].reshape(len(distances), reach)
