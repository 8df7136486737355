"""The same scores on a GPU: whole batches of samples as dense (batch, N) float64 distances, in
torch.

Why dense: a GPU reads N distances faster than it can branch over them. Distances, nearest images,
duplicates and ties are decided by the same arithmetic as the CPU kernel's; only the last bits of
the weights may differ from it. Nothing depends on the order of atomic additions: sums are integers
(2^-40 fixed point), so a seed gives the same bits run after run. The code runs on any torch device,
which is how it is tested where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from coreset_engine.coverage.anytime import Scorer
from coreset_engine.coverage.draws import Samples
from coreset_engine.coverage.transposed import Columns

FIXED = float(1 << 40)
Sums = tuple[torch.Tensor, torch.Tensor]  # hits (N,), penalty (N, E * A), both int64
BYTES = {
    "cuda": 1 << 30,
    "cpu": 1 << 26,
}  # of one (batch, N) float64 array; about five live at a time


def torch_scorer(
    columns: Columns, alphas: Sequence[int], exponents: Sequence[float], device: str
) -> Scorer:
    """A Scorer on a torch device.

    Parameters
    ----------
    columns : Columns
        Transposed embeddings (D, N), float32 or the bits of float16, with levels and ranks.
    alphas : sequence of int
        Redundancy neighbours, descending; above N - 1 counts as N - 1.
    exponents : sequence of float
        Of the penalty, > 0.
    device : str
        "cpu" or "cuda".

    Returns
    -------
    Scorer
        Adds to hits (N,) int64 and to penalty (N, C) int64, units of 2^-40; its C columns are all
        alphas of the first exponent, then of the next.
    """
    n = columns.n_images
    exact = columns.exact.view(np.float16) if columns.exact.dtype == np.uint16 else columns.exact
    values = torch.as_tensor(exact).to(device)  # (D, N) in its own precision
    order = Order(torch.as_tensor(columns.ranks.astype(np.int64)).to(device), None)
    clipped = [min(alpha, n - 1) for alpha in alphas]
    batch = max(1, min(4096, BYTES[torch.device(device).type] // (8 * n)))

    def zeros(columns: tuple[int, ...]) -> Sums:
        return (
            torch.zeros(n, dtype=torch.int64, device=device),
            torch.zeros(columns, dtype=torch.int64, device=device),
        )

    def scored(part: Samples, columns: tuple[int, ...]) -> Sums:
        """Sums of their own for each batch: one that ran out of memory half way leaves nothing."""
        made = zeros(columns)
        _score_batch(
            values,
            torch.as_tensor(part.dims).to(device),
            torch.as_tensor(part.points).to(device),
            order._replace(ties=torch.as_tensor(part.ties.astype(np.int64)).to(device)),
            (clipped, exponents),
            made,
        )
        return made

    def score(samples: Samples, hits, penalty, tick: Callable[[int], None]) -> None:
        nonlocal batch
        sums = zeros(penalty.shape)
        count = len(samples.dims)
        done = 0
        while done < count:
            try:
                made = scored(samples.take(slice(done, done + batch)), penalty.shape)
            except torch.OutOfMemoryError:
                tried = min(batch, count - done)
                if tried == 1:
                    raise
                batch = -(-tried // 2)  # and stays so for later rounds; sums do not depend on it
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                continue
            for total, part in zip(sums, made, strict=True):
                total += part
            done = min(count, done + batch)
            tick(done)
        hits += sums[0].cpu().numpy()
        penalty += sums[1].cpu().numpy()

    return score


class Order(NamedTuple):
    """What ties are broken by. ranks: (N,) int64 of the images' keys; ties: (B,) int64 of the
    samples."""

    ranks: torch.Tensor
    ties: Any

    def priorities(self, rows: torch.Tensor) -> torch.Tensor:
        """(R, N) int64 in [0, 2^32) for the samples at `rows`: `search.priority`."""
        h = self.ranks ^ self.ties[rows, None]
        h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
        h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
        return h ^ (h >> 16)


def _score_batch(values, dims, points, order: Order, redundancy, sums) -> None:
    """Adds the coverage and redundancy of a batch.

    dims, points: (B, m). redundancy: alphas, descending, and exponents. sums: hits (N,) and penalty
    (N, E * A), both int64.
    """
    hits, penalty = sums
    alphas = redundancy[0]
    _, nearest = _smallest(_distances(values, dims, points), order)
    hits.index_add_(0, nearest, torch.ones_like(nearest))
    if not alphas or alphas[0] < 1:
        return
    distances = _distances(values, dims, values[dims, nearest[:, None]].double())
    distances.scatter_(1, nearest[:, None], torch.inf)  # never its own neighbour
    least, first = _smallest(distances, order)
    twin = least == 0
    crowded = first[twin]  # the equal image takes it all, as in the released program
    full = torch.full((len(crowded), penalty.shape[1]), int(FIXED), device=penalty.device)
    penalty.index_add_(0, crowded, full)
    distances = distances[~twin]
    if len(distances):
        rest = order._replace(ties=order.ties[~twin])
        _add_redundancy(distances, least[~twin], rest, redundancy, penalty)


def _distances(values, dims, centres):
    """(B, N) float64 L1 distances in each row's slice, summed in the order of its dimensions."""
    total = torch.zeros((len(dims), values.shape[1]), dtype=torch.float64, device=values.device)
    for j in range(dims.shape[1]):
        total += (values[dims[:, j]].double() - centres[:, j, None]).abs_()
    return total


def _smallest(distances, order: Order):
    """(B,) the smallest of each row, and the image of smallest priority where it stands."""
    least = distances.amin(1)
    best = distances == least[:, None]
    first = best.int().argmax(1)
    tied = (best.sum(1) > 1).nonzero()[:, 0]
    if len(tied):
        ranked = order.priorities(tied).masked_fill(~best[tied], 1 << 32)
        first[tied] = ranked.argmin(1)
    return least, first


def _add_redundancy(distances, least, order: Order, redundancy, penalty) -> None:
    """eq. 7, 8 for every alpha (descending) and exponent."""
    alphas, exponents = redundancy
    columns = None
    for a, alpha in enumerate(alphas):
        if columns is None:
            columns = _nearest(distances, alpha, order, None)
            kept = columns
        else:
            kept = _nearest(distances, alpha, order, columns)
            columns = columns.gather(1, kept)
        distances = distances.gather(1, kept)
        for e, exponent in enumerate(exponents):
            weights = _weights(least[:, None] / distances, exponent)
            total = (weights * FIXED).round_().long().sum(1, keepdim=True).double()  # in any order
            shares = (weights * (FIXED / (total / FIXED))).round_().long()
            penalty[:, e * len(alphas) + a].index_add_(0, columns.reshape(-1), shares.reshape(-1))


def _weights(ratio, exponent):
    """ratio^exponent; for the paper's exponent by the CPU kernel's products."""
    if exponent == 4.0:
        square = ratio * ratio
        return square * square
    return ratio**exponent


def _nearest(distances, alpha, order: Order, columns):
    """(B, alpha) columns of each row's smallest distances, ascending columns.

    Ties at the last one by priority. columns: the images the columns stand for; None: all, in
    order.
    """
    if alpha == distances.shape[1]:
        return torch.arange(alpha, device=distances.device).expand(len(distances), -1)
    limit = distances.topk(alpha, dim=1, largest=False, sorted=False).values.amax(1, keepdim=True)
    keep = distances <= limit
    lacking = alpha - (distances < limit).sum(1)
    rows = (keep.sum(1) > alpha).nonzero()[:, 0]
    if len(rows):
        ranked = order.priorities(rows)
        ranked = ranked if columns is None else ranked.gather(1, columns[rows])
        tied = distances[rows] == limit[rows]
        ranked = ranked.masked_fill(~tied, 1 << 32)
        last = ranked.sort(dim=1).values.gather(1, lacking[rows, None] - 1)
        keep[rows] &= ~tied | (ranked <= last)
    return keep.nonzero()[:, 1].reshape(len(distances), alpha)
