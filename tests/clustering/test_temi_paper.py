"""TEMI's preset "paper", item by item from ELFS 8.1 and the settings of TEMI's program: the head,
the learning rate, the frozen last layer, the inputs and the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coreset_engine.clustering.config import TemiConfig
from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.heads import batched_mlp_logits, head_logits, make_heads
from coreset_engine.clustering.pseudo_labels import pseudo_labels
from coreset_engine.clustering.temi import temi
from coreset_engine.clustering.temi_training import Training


def training(n=96, dims=6, **changes):
    config = TemiConfig.preset("paper", **(dict(n_heads=3, hidden=8, bottleneck=4) | changes))
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(n, dims)).astype(np.float32))
    neighbours = torch.arange(n)[:, None].roll(1, 0)
    return Training(rows, neighbours, 5, config, seed=0)


def walk(made, steps):
    """Takes `steps` steps on the first images; yields the learning rate of each."""
    for _ in range(steps):
        images = torch.arange(min(made.batch, len(made.rows)))
        made.step(images, made.pairs[images, 0])
        yield made.optimizer.param_groups[0]["lr"]


def test_settings_of_the_text():
    """ELFS 8.1: 50 heads, 200 epochs, batch 512, AdamW with lr 1e-4 and weight decay 1e-4, 50
    neighbours, beta 0.6; the program: 512 -> 256, temperature 0.1, teacher 0.996."""
    paper = TemiConfig.preset("paper")
    assert (paper.n_heads, paper.epochs, paper.batch, paper.n_neighbours) == (50, 200, 512, 50)
    assert (paper.lr, paper.weight_decay, paper.beta) == (1e-4, 1e-4, 0.6)
    assert (paper.hidden, paper.bottleneck, paper.n_dims) == (512, 256, 0)
    assert (paper.temperature, paper.momentum, paper.prior_momentum) == (0.1, 0.996, 0.9)
    assert TemiConfig.preset("paper", n_neighbours=25).n_neighbours == 25  # ImageNet's, ELFS 8.1


def test_a_head_is_the_programs():
    """Linear with bias, GELU, linear with bias, unit length, unit directions times their scale."""
    generator = torch.Generator().manual_seed(0)
    heads = make_heads(3, 5, 7, 4, generator, bottleneck=6)
    for part in heads[1], heads[3], heads[5]:
        part += torch.rand(part.shape, generator=generator)
    rows = 3 * torch.randn(9, 5, generator=generator)
    together = head_logits(heads, rows, 0.1)
    assert together.shape == (9, 3, 4)
    for h in range(3):
        body = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.Linear(7, 6))
        last = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(6, 4, bias=False))
        with torch.no_grad():
            body[0].weight.copy_(heads[0][h])
            body[0].bias.copy_(heads[1][h])
            body[2].weight.copy_(heads[2][h])
            body[2].bias.copy_(heads[3][h])
            last.parametrizations.weight.original0.copy_(heads[5][h][:, None])
            last.parametrizations.weight.original1.copy_(heads[4][h])
            wanted = last(torch.nn.functional.normalize(body(rows), dim=1)) / 0.1
        torch.testing.assert_close(together[:, h], wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(batched_mlp_logits(heads, rows, 0.1), together, rtol=1e-4, atol=1e-4)


def test_with_bfloat16_products_logits_keep_float32_steps(monkeypatch):
    """What a GPU computes: hidden layers in bfloat16, cosines and temperature in float32."""
    from coreset_engine.clustering import heads as module

    heads = make_heads(3, 40, 32, 7, torch.Generator().manual_seed(0), bottleneck=16)
    rows = torch.randn(50, 40, generator=torch.Generator().manual_seed(1))
    exact = batched_mlp_logits(heads, rows, 0.05)
    monkeypatch.setattr(module, "bfloat16_products", lambda device: True)
    found = batched_mlp_logits(heads, rows, 0.05)
    assert found.dtype == torch.float32 and not torch.equal(found, exact)
    assert (found - exact).abs().max() < 0.02 * exact.abs().max()
    assert (found.bfloat16().float() == found).float().mean() < 0.1
    one = torch.stack([module.mlp_logits(head, rows, 0.05) for head in zip(*heads)], dim=1)
    torch.testing.assert_close(one, found, rtol=0.02, atol=0.2)


def test_a_new_head_has_no_bias_and_scale_one():
    heads = make_heads(4, 300, 200, 10, torch.Generator().manual_seed(0), bottleneck=100)
    assert [tuple(part.shape) for part in heads] == [
        (4, 200, 300),
        (4, 200),
        (4, 100, 200),
        (4, 100),
        (4, 10, 100),
        (4, 10),
    ]
    assert not heads[1].any() and not heads[3].any() and (heads[5] == 1).all()
    for part in heads[0], heads[2]:
        assert part.std().item() == pytest.approx(0.02, rel=0.02)
    assert heads[4].abs().max() <= 0.1  # a linear layer's own start: 1 / sqrt(bottleneck)


def test_the_learning_rate_is_scaled_by_the_batch_and_warms_up():
    """1e-4 x batch / 256, from 0 over the first 20 epochs, constant from then on."""
    made = training(n=64, batch=32, epochs=30)
    assert made.steps == 2
    rates = list(walk(made, 60))
    peak = 1e-4 * 32 / 256
    assert rates[0] == 0 and rates[39] == pytest.approx(peak)
    np.testing.assert_allclose(np.diff(rates[:40]), peak / 39)
    assert rates[40:] == [peak] * 20
    assert training(batch=512).lr == pytest.approx(2e-4)


def test_the_last_layer_is_frozen_in_the_first_epoch_only():
    made = training(n=64, batch=32, warmup_epochs=0)
    start = [part.clone() for part in made.students]
    moved = lambda: [not torch.equal(a, b) for a, b in zip(start, made.students)]  # noqa: E731
    list(walk(made, 2))
    assert moved() == [True, True, True, True, False, False]
    list(walk(made, 1))
    assert all(moved())


def test_inputs_are_raw_and_batches_full():
    vectors = 5 * np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)
    made = training(n=70, batch=32)
    assert (made.batch, made.steps) == (32, 2)  # 6 images of an epoch wait for another one
    seen = []
    original = Training.__init__

    def keep(self, rows, *rest):
        seen.append(rows)
        original(self, rows, *rest)

    config = TemiConfig.preset("paper", n_heads=2, hidden=4, bottleneck=4, epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "__init__", keep)
        cpu = ClusterContext(device="cpu")
        temi(vectors, 3, config, context=cpu)
        temi(vectors, 3, TemiConfig(n_dims=0, min_steps=1, epochs=1), context=cpu)
    assert torch.equal(seen[0], torch.from_numpy(vectors))
    torch.testing.assert_close(seen[1].norm(dim=1), torch.ones(70))


def test_heads_one_by_one_learn_what_all_at_once_learn():
    """The CPU's way through a step against the GPU's, both in float32."""
    one, all_at_once = (training(n=96, batch=48, warmup_epochs=0, lr=1e-2) for _ in range(2))
    assert one.one_by_one
    all_at_once.one_by_one = False
    all_at_once.leaves = all_at_once._leaves()
    all_at_once.optimizer = torch.optim.AdamW(all_at_once.leaves[0], 1e-2, fused=True)
    for made in (one, all_at_once):
        list(walk(made, 4))
    for a, b in zip(one.students + one.teachers, all_at_once.students + all_at_once.teachers):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_it_finds_groups():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 100)
    vectors = rng.normal(size=(4, 16))[truth] * 2 + 0.5 * rng.normal(size=(400, 16))
    found = pseudo_labels(
        vectors.astype(np.float32),
        4,
        "temi",
        preset="paper",
        n_heads=2,
        hidden=32,
        bottleneck=16,
        epochs=40,
        warmup_epochs=2,
        batch=64,
        lr=1e-3,
        momentum=0.9,
    )
    groups = [set(found.labels[truth == c].tolist()) for c in range(4)]
    assert all(len(group) == 1 for group in groups) and len(set.union(*groups)) == 4
