"""Many clustering heads as one: their weights are stacked, so that all of them run in a few batched
products.

A head ends in a normalised linear layer: logits = cosine(features, cluster direction) /
temperature. Two variants: without a hidden layer the features are the (unit) inputs and all H heads
are a single (D, H C) product; with one, each head has an MLP of its own before (D -> F, GELU, F ->
F).
"""

from __future__ import annotations

import torch
from torch.nn.functional import gelu, normalize

Parameters = list[torch.Tensor]
Pair = tuple[torch.Tensor, torch.Tensor]


def make_heads(
    n_heads: int, n_dims: int, hidden: int, n_clusters: int, generator: torch.Generator
) -> Parameters:
    """[(D, H, C)] for linear heads (hidden = 0), else [(D, H, F), (H, F), (H, F, F), (H, C, F)];
    random float32.

    generator: on the CPU, so that the start is the same on every device.
    """

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    if hidden == 0:
        return [draw(n_dims, n_heads, n_clusters) * n_dims**-0.5]
    return [
        draw(n_dims, n_heads, hidden) * (2 / n_dims) ** 0.5,
        torch.zeros(n_heads, hidden),
        draw(n_heads, hidden, hidden) * hidden**-0.5,
        draw(n_heads, n_clusters, hidden) * hidden**-0.5,
    ]


def head_logits(parameters: Parameters, rows: torch.Tensor, temperature: float) -> torch.Tensor:
    """(B, H, C) float32 logits of all heads. rows: (B, D) float32; linear heads expect unit rows.

    On a GPU the products run in bfloat16 and everything after them in float32.
    """
    with torch.autocast(rows.device.type, torch.bfloat16, enabled=rows.device.type == "cuda"):
        if len(parameters) == 1:
            # The result lies in memory as (B, C, H): sums over ten clusters then run along many
            # heads, not along ten.
            directions = (normalize(parameters[0], dim=0) / temperature).transpose(1, 2)
            logits = (
                (rows @ directions.flatten(1)).unflatten(1, directions.shape[1:]).transpose(1, 2)
            )
        else:
            first, bias, second, last = parameters
            deep = gelu((rows @ first.flatten(1)).unflatten(1, first.shape[1:]) + bias).transpose(
                0, 1
            )
            features = normalize(torch.bmm(deep, second), dim=2)
            directions = normalize(last, dim=2) / temperature
            logits = torch.bmm(features, directions.transpose(1, 2)).transpose(0, 1)
    return logits.float()


def pair_weights(teacher: Pair, per_head: bool = False) -> torch.Tensor:
    """(B, 1) or, per head, (B, H): the chance that teachers put x and x' together, sum_c q_t(c|x)
    q_t(c|x') (ELFS 3.3).

    teacher: log-probabilities (B, H, C) of x and of x'. The mean over heads is what the authors of
    TEMI compute (the teacher *ensemble* of the name); one weight per head is what ELFS' eq. 1
    prints.
    """
    weights = (teacher[0] + teacher[1]).exp().sum(dim=2)
    return weights if per_head else weights.mean(dim=1, keepdim=True)


def pmi_loss(
    student: Pair, teacher: Pair, log_prior: torch.Tensor, beta: float, weights: torch.Tensor
) -> torch.Tensor:
    """(H,) TEMI losses, -1/2 mean_B w (pmi(x, x') + pmi(x', x)) (ELFS eq. 1; their sum over H / H
    is the objective).

    student, teacher: log-probabilities (B, H, C) of x and of x', teacher without gradient.
    log_prior: (H, C) log of the running class shares q_t(c). weights: (B, 1) or (B, H). pmi(x, x')
    = log sum_c (q_s(c|x) q_t(c|x'))^beta / q_t(c): the exponent -1 that ELFS prints behind the
    logarithm would turn the objective round and is read as a slip.
    """
    powers = [(beta * part).exp() for part in student]
    taught = [(beta * part - log_prior).exp() for part in teacher]
    # Products and one logarithm, not two logsumexp: half the passes over (B, H, C). At the class
    # one side is sure of,
    # the other's term is at least exp(-2 beta / temperature), so that float32 holds from
    # temperature 0.02 on.
    smallest = torch.finfo(log_prior.dtype).tiny
    one = (powers[0] * taught[1]).sum(dim=2).add(smallest).log()
    two = (powers[1] * taught[0]).sum(dim=2).add(smallest).log()
    return -(weights * (one + two)).mean(dim=0) / 2
