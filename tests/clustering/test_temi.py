"""TEMI: its loss against a NumPy oracle, its heads against one head at a time, alignment, and what
it finds."""

import numpy as np
import pytest
import torch
from gaussian_blobs import blobs

from coreset_engine.clustering import contingency
from coreset_engine.clustering.alignment import align_heads, renamed
from coreset_engine.clustering.config import TemiConfig
from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.heads import head_logits, make_heads, pair_weights, pmi_loss
from coreset_engine.clustering.pseudo_labels import pseudo_labels
from coreset_engine.clustering.temi import temi
from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.core.types import Neighbours

QUICK = dict(n_heads=6, epochs=15, min_steps=1, batch=64, n_dims=16, momentum=0.9, lr=1e-2)


def chances(rng, *shape):
    raw = rng.uniform(0.05, 1, shape)
    return raw / raw.sum(axis=-1, keepdims=True)


def oracle(student, teacher, prior, beta, per_head):
    """Equation by equation, one pair, head and cluster at a time."""
    pairs, heads, clusters = student[0].shape
    losses = np.zeros(heads)
    for b in range(pairs):
        own = [
            sum(teacher[0][b, h, c] * teacher[1][b, h, c] for c in range(clusters))
            for h in range(heads)
        ]
        for h in range(heads):
            pmi = [
                np.log(
                    sum(
                        (student[i][b, h, c] * teacher[1 - i][b, h, c]) ** beta / prior[h, c]
                        for c in range(clusters)
                    )
                )
                for i in (0, 1)
            ]
            weight = own[h] if per_head else sum(own) / heads
            losses[h] -= weight * (pmi[0] + pmi[1]) / 2 / pairs
    return losses


@pytest.mark.parametrize("per_head", [False, True])
def test_loss_is_the_equation(per_head):
    rng = np.random.default_rng(0)
    student, teacher = ([chances(rng, 5, 3, 4) for _ in range(2)] for _ in range(2))
    prior = chances(rng, 3, 4)
    logs = lambda pair: tuple(torch.from_numpy(np.log(part)) for part in pair)  # noqa: E731
    weights = pair_weights(logs(teacher), per_head)
    found = pmi_loss(logs(student), logs(teacher), torch.from_numpy(np.log(prior)), 0.6, weights)
    np.testing.assert_allclose(found, oracle(student, teacher, prior, 0.6, per_head), rtol=1e-12)


def test_loss_by_hand():
    half = torch.full((1, 1, 2), 0.5, dtype=torch.float64).log()
    # pmi = log(2 (1/4)^0.6 / (1/2)), weight = 1/2, two directions, one half before the sum.
    expected = -0.5 * np.log(4 * 0.25**0.6)
    found = pmi_loss((half, half), (half, half), half[0], 0.6, pair_weights((half, half)))
    assert found.item() == pytest.approx(expected)


@pytest.mark.integration
def test_linear_heads_together_are_the_heads_one_by_one():
    generator = torch.Generator().manual_seed(0)
    heads = make_heads(3, 5, 0, 4, generator)
    rows = torch.nn.functional.normalize(torch.randn(6, 5, generator=generator), dim=1)
    together = head_logits(heads, rows, 0.1)
    assert together.shape == (6, 3, 4)
    for h in range(3):
        columns = heads[0][:, h].T
        cosines = torch.stack([torch.cosine_similarity(rows, c[None], dim=1) for c in columns], 1)
        torch.testing.assert_close(together[:, h], cosines / 0.1, rtol=1e-4, atol=1e-4)


def test_permuted_heads_come_back_to_one_naming():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 500)
    shuffles = [np.arange(6)] + [rng.permutation(6) for _ in range(4)]
    assigned = np.stack([shuffle[truth] for shuffle in shuffles], axis=1)
    noisy = np.where(rng.random(assigned.shape) < 0.2, rng.integers(0, 6, assigned.shape), assigned)
    orders = align_heads(noisy, 6, 0)
    np.testing.assert_array_equal(orders, np.stack(shuffles))
    np.testing.assert_array_equal(renamed(assigned, orders), np.repeat(truth[:, None], 5, axis=1))
    assert align_heads(noisy, 6, 3)[3].tolist() == list(range(6))


@pytest.mark.integration
def test_finds_blobs_with_agreeing_heads():
    vectors, truth = blobs([60] * 5)
    found = pseudo_labels(vectors, 5, "temi", **QUICK)
    assert contingency.accuracy(found.labels, truth) > 0.97
    assert (
        found.labels.dtype == np.int64
        and found.confidence.dtype == found.agreement.dtype == np.float32
    )
    assert found.probabilities.shape == (300, 5)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.labels, found.probabilities.argmax(axis=1))
    assert ((found.agreement >= 0) & (found.agreement <= 1)).all() and found.agreement.mean() > 0.8
    assert (
        found.info["dead"] == []
        and sum(found.info["sizes"]) == 300
        and len(found.info["head_losses"]) == 6
    )
    assert int(np.argmin(found.info["head_losses"])) == found.info["best_head"]


@pytest.mark.integration
@pytest.mark.parametrize(
    "settings",
    [
        dict(hidden=16, unit_inputs=False, n_dims=0, epochs=60, lr=3e-3),
        dict(start="kmeans"),
        dict(average="log", keep=0.5),
        dict(per_head_weights=True),
        dict(n_dims=0),
        dict(whiten=0.5),
    ],
)
def test_every_setting_finds_blobs(settings):
    vectors, truth = blobs([60] * 3)
    found = pseudo_labels(vectors, 3, "temi", **(QUICK | settings))
    assert contingency.accuracy(found.labels, truth) > 0.95


def test_same_seed_same_labels_other_seed_other_start():
    vectors, _ = blobs([40] * 4, spread=2)
    first, again, other = (temi(vectors, 4, TemiConfig(**QUICK), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    assert (first.probabilities != other.probabilities).any()


def test_given_neighbours_are_the_pairs():
    """Neighbours that link images across two blobs make the two one cluster."""
    vectors, truth = blobs([50] * 4, spread=0.2)
    partner = np.where(truth < 2, np.arange(200), (np.arange(200) - 100 + 50) % 100 + 100)[:, None]
    given = ClusterContext(Neighbours(partner, np.zeros((200, 1), np.float32)))
    found = temi(vectors, 3, TemiConfig(**(QUICK | dict(epochs=40))), 0, given)
    joined = np.bincount(found.labels[truth >= 2], minlength=3).max() / 100
    assert joined > 0.9 and found.info["neighbours"] == 1


def test_presets_and_bad_settings():
    vectors, _ = blobs([10] * 2)
    small = pseudo_labels(vectors, 2, "temi", preset="paper", epochs=2, hidden=8)
    assert len(small.info["head_losses"]) == 50 and small.probabilities.shape == (20, 2)
    with pytest.raises(BadInput, match="preset"):
        pseudo_labels(vectors, 2, "temi", preset="none")
    with pytest.raises(BadInput, match="preset='none'.*cpu, paper"):
        TemiConfig.preset("none")
    with pytest.raises(BadInput, match="n_heads=0"):
        pseudo_labels(vectors, 2, "temi", n_heads=0)


def test_can_be_stopped():
    def stop(done, total, unit):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        temi(blobs([30] * 3)[0], 3, TemiConfig(**QUICK), context=ClusterContext(progress=stop))
