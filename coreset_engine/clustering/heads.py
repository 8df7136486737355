"""Clustering heads of TEMI, stored as stacked tensors with one slice per head.

Two variants. A linear head is a normalised linear layer on unit inputs; all H of them are a single
(D, H C) product. An MLP head is the one of TEMI's program (Adaloglou et al. 2023): D -> F, GELU,
F -> B, unit length, then a last layer of unit directions, each times a learnable scale; linear
layers have biases, the last one has none.
"""

from __future__ import annotations

import torch
from torch.nn.functional import gelu, linear, normalize

Parameters = list[torch.Tensor]
Pair = tuple[torch.Tensor, torch.Tensor]
LAST_LAYER = slice(4, 6)  # of an MLP head's tensors: directions and scales
_WEIGHT_STD = 0.02  # of the hidden layers' initial weights, as in TEMI's program


def make_heads(
    n_heads: int,
    n_dims: int,
    hidden: int,
    n_clusters: int,
    generator: torch.Generator,
    bottleneck: int = 256,
) -> Parameters:
    """Initial float32 weights of all heads, on the CPU so that every device starts alike.

    Parameters
    ----------
    n_heads, n_dims, n_clusters : int
        H, D and C.
    hidden, bottleneck : int
        F and B of MLP heads; hidden = 0 makes linear heads.
    generator : torch.Generator
        A generator on the CPU.

    Returns
    -------
    list of torch.Tensor
        Linear heads: [directions (D, H, C)]. MLP heads: [(H, F, D), (H, F), (H, B, F), (H, B),
        directions (H, C, B), scales (H, C)].
    """

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    if hidden == 0:
        return [draw(n_dims, n_heads, n_clusters) * n_dims**-0.5]
    uniform = 2 * torch.rand((n_heads, n_clusters, bottleneck), generator=generator) - 1
    return [
        draw(n_heads, hidden, n_dims) * _WEIGHT_STD,
        torch.zeros(n_heads, hidden),
        draw(n_heads, bottleneck, hidden) * _WEIGHT_STD,
        torch.zeros(n_heads, bottleneck),
        uniform * bottleneck**-0.5,
        torch.ones(n_heads, n_clusters),
    ]


def n_clusters_of(parameters: Parameters) -> int:
    """C of stacked heads."""
    return parameters[0].shape[2] if len(parameters) == 1 else parameters[4].shape[1]


def head_logits(parameters: Parameters, rows: torch.Tensor, temperature: float) -> torch.Tensor:
    """Logits of all heads.

    Parameters
    ----------
    parameters : list of torch.Tensor
        As from `make_heads`.
    rows : (B, D) float32 tensor
        Inputs; linear heads expect unit rows.
    temperature : float
        Divides the logits.

    Returns
    -------
    (B, H, C) float32 tensor
        On a GPU the products of hidden layers run in bfloat16, everything else in float32: a
        cosine divided by a temperature of 0.05 would keep steps of 0.1 in bfloat16.
    """
    if len(parameters) == 1:  # float32 everywhere: labels do not depend on the machine
        return _linear_logits(parameters, rows, temperature)
    if rows.device.type != "cpu":
        return batched_mlp_logits(parameters, rows, temperature)
    heads = zip(*parameters, strict=True)
    return torch.stack([mlp_logits(head, rows, temperature) for head in heads], dim=1)


def mlp_logits(
    head: tuple[torch.Tensor, ...] | Parameters, rows: torch.Tensor, temperature: float
) -> torch.Tensor:
    """(B, C) float32 logits of one MLP head: its six tensors, rows (B, D) float32.

    On a CPU heads are taken one by one: their activations stay in the cache, which a stack of
    all heads' does not.
    """
    first, first_bias, second, second_bias, directions, scales = head
    kind = rows.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=bfloat16_products(kind)):
        deep = gelu(linear(rows, first, first_bias))
        features = linear(deep, second, second_bias)
    directions = normalize(directions, dim=1) * (scales[:, None] / temperature)
    return normalize(features.float(), dim=1) @ directions.T


def bfloat16_products(device: str) -> bool:
    """Whether products run in bfloat16: on a GPU, and on a CPU with instructions for it."""
    return device != "cpu" or torch.backends.mkldnn.is_available() and _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def _linear_logits(parameters: Parameters, rows: torch.Tensor, temperature: float) -> torch.Tensor:
    # The result lies in memory as (B, C, H): sums over ten clusters then run along many heads.
    directions = (normalize(parameters[0], dim=0) / temperature).transpose(1, 2)
    logits = (rows @ directions.flatten(1)).unflatten(1, directions.shape[1:])
    return logits.transpose(1, 2)


def batched_mlp_logits(
    parameters: Parameters, rows: torch.Tensor, temperature: float
) -> torch.Tensor:
    """(B, H, C) float32 logits of stacked MLP heads at once, as `mlp_logits` head by head."""
    first, first_bias, second, second_bias, directions, scales = parameters
    kind = rows.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=bfloat16_products(kind)):
        deep = torch.matmul(rows, first.transpose(1, 2)) + first_bias[:, None]
        features = torch.baddbmm(second_bias[:, None], gelu(deep), second.transpose(1, 2))
    directions = normalize(directions, dim=2) * (scales[:, :, None] / temperature)
    unit = normalize(features.float(), dim=2)
    return torch.bmm(unit, directions.transpose(1, 2)).transpose(0, 1)


def pair_weights(teacher: Pair, per_head: bool = False) -> torch.Tensor:
    """Probability that the teachers put x and x' together, sum_c q_t(c|x) q_t(c|x') (ELFS 3.3).

    Parameters
    ----------
    teacher : pair of (B, H, C) tensors
        Log-probabilities of x and of x'.
    per_head : bool
        One weight per head, as ELFS' eq. 1 prints; else the mean over heads, as TEMI's program
        computes it (the teacher ensemble of the name).

    Returns
    -------
    (B, 1) tensor, or (B, H) per head
    """
    weights = (teacher[0] + teacher[1]).exp().sum(dim=2)
    return weights if per_head else weights.mean(dim=1, keepdim=True)


def pmi_loss(
    student: Pair, teacher: Pair, log_prior: torch.Tensor, beta: float, weights: torch.Tensor
) -> torch.Tensor:
    """TEMI loss of each head, -1/2 mean_B w (pmi(x, x') + pmi(x', x)) (ELFS eq. 1, 2).

    pmi(x, x') = log sum_c (q_s(c|x) q_t(c|x'))^beta / q_t(c). ELFS prints an exponent -1 behind the
    logarithm, which would reverse the objective; it is read as a slip.

    Parameters
    ----------
    student, teacher : pairs of (B, H, C) tensors
        Log-probabilities of x and of x'; the teacher's without gradient.
    log_prior : (H, C) tensor
        Logarithm of the running class shares q_t(c).
    beta : float
        Exponent of the pair probabilities.
    weights : (B, 1) or (B, H) tensor
        As from `pair_weights`.

    Returns
    -------
    (H,) tensor
    """
    powers = [(beta * part).exp() for part in student]
    taught = [(beta * part - log_prior).exp() for part in teacher]
    # Products and one logarithm instead of two logsumexp: half the passes over (B, H, C). At the
    # class one side is sure of, the other's term is at least exp(-2 beta / temperature), so
    # float32 holds from temperature 0.02 on.
    smallest = torch.finfo(log_prior.dtype).tiny
    one = (powers[0] * taught[1]).sum(dim=2).add(smallest).log()
    two = (powers[1] * taught[0]).sum(dim=2).add(smallest).log()
    return -(weights * (one + two)).mean(dim=0) / 2
