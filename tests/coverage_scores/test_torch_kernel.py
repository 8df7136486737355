"""The GPU code gives what the reference and the CPU kernel give: on "cpu" anywhere, on "cuda" where
there is one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reference import brute_force, draw, tie_bits  # noqa: E402
from test_oracle import KINDS, make  # noqa: E402

from coreset_engine.coverage.draws import Samples  # noqa: E402
from coreset_engine.coverage.kernels.cuda import FIXED, torch_scorer  # noqa: E402
from coreset_engine.coverage.scores import coverage_grid, coverage_scores  # noqa: E402
from coreset_engine.coverage.transposed import transpose_and_quantise  # noqa: E402

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def keys_of(n):
    return np.random.default_rng(n).permutation(n).astype(np.uint64)


def score(vectors, draws, alphas, exponents, device):
    n = len(vectors)
    hits = np.zeros(n, np.int64)
    penalty = np.zeros((n, len(alphas) * len(exponents)), np.int64)
    columns = transpose_and_quantise(vectors, draws[0].shape[1], keys=keys_of(n))
    scorer = torch_scorer(columns, alphas, exponents, device)
    scorer(Samples(*draws, tie_bits(*draws)), hits, penalty, lambda done: None)
    return hits, penalty


@pytest.mark.integration
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("m", [1, 2, 3, 10])
def test_equals_brute_force(kind, m, dtype, device):
    rng = np.random.default_rng(m)
    for n in (1, 2, 65, 400):
        vectors = make(kind, n, dtype, rng)
        draws = draw(vectors, m, 20, rng)
        alphas = [500, 30, 1]
        exponents = [4.0, 0.0, 2.5]
        hits, penalty = score(vectors, draws, alphas, exponents, device)
        for e, exponent in enumerate(exponents):
            for a, alpha in enumerate(alphas):
                coverage, redundancy = brute_force(vectors, draws, alpha, exponent, keys_of(n))
                assert np.array_equal(hits, coverage)
                assert np.abs(penalty[:, 3 * e + a] / FIXED - redundancy).max() < 1e-9


@pytest.mark.parametrize("device", DEVICES)
def test_the_paper_s_exponent_gives_the_bits_of_the_cpu_kernel(device):
    rng = np.random.default_rng(3)
    for kind in KINDS:
        vectors = make(kind, 500, np.float32, rng)
        draws = draw(vectors, 2, 60, rng)
        hits, penalty = score(vectors, draws, [200, 20], [4.0], device)
        grid = coverage_grid(vectors, (200, 20), draws=draws, keys=keys_of(500), device="cpu")
        for column, alpha in enumerate((200, 20)):
            assert np.array_equal(hits, grid[alpha].coverage)
            assert np.array_equal(penalty[:, column] / FIXED, grid[alpha].redundancy)


def test_out_of_memory_halves_the_batch_and_counts_nothing_twice(monkeypatch):
    import torch

    from coreset_engine.coverage.kernels import cuda

    rng = np.random.default_rng(4)
    vectors = make("relu", 300, np.float32, rng)
    draws = draw(vectors, 2, 90, rng)
    wanted = score(vectors, draws, [50], [4.0], "cpu")
    real = cuda._score_batch
    sizes = []

    def short_of_memory(values, dims, points, order, spread, sums):
        sizes.append(len(dims))
        if len(dims) > 25:
            sums[0].add_(1)  # what was added before memory ran out
            raise torch.OutOfMemoryError("no room")
        real(values, dims, points, order, spread, sums)

    monkeypatch.setattr(cuda, "_score_batch", short_of_memory)
    found = score(vectors, draws, [50], [4.0], "cpu")
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted))
    assert sizes[0] == 90 and max(sizes[sizes.index(min(sizes)) :]) <= 25
    monkeypatch.setattr(
        cuda, "_score_batch", lambda *rest: (_ for _ in ()).throw(torch.OutOfMemoryError("none"))
    )
    with pytest.raises(torch.OutOfMemoryError):
        score(vectors, draws, [50], [4.0], "cpu")


@pytest.mark.parametrize("device", DEVICES)
def test_repeats_bit_for_bit_and_in_any_batch(device, monkeypatch):
    rng = np.random.default_rng(0)
    vectors = make("relu", 700, np.float32, rng)
    draws = draw(vectors, 2, 300, rng)
    runs = [score(vectors, draws, [50, 5], [4.0], device) for _ in range(2)]
    monkeypatch.setitem(
        sys.modules["coreset_engine.coverage.kernels.cuda"].BYTES, device, 7 * 8 * 700
    )
    runs.append(score(vectors, draws, [50, 5], [4.0], device))
    assert all(np.array_equal(a, b) for run in runs[1:] for a, b in zip(runs[0], run))


@pytest.mark.gpu
def test_the_whole_run_on_a_gpu_agrees_with_the_cpu():
    vectors = np.random.default_rng(0).gamma(1.5, size=(3000, 24)).astype(np.float32)
    gpu, cpu = (
        coverage_grid(vectors, (10, 300), n_samples=20_000, device=device)
        for device in ("cuda", "cpu")
    )
    for alpha in (10, 300):
        assert np.array_equal(gpu[alpha].coverage, cpu[alpha].coverage)
        assert np.abs(gpu[alpha].redundancy - cpu[alpha].redundancy).max() < 1e-6
    again = coverage_scores(vectors, 20_000, n_neighbours=300, device="cuda")
    assert np.array_equal(again.score, gpu[300].score)
