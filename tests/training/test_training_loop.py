"""The training loop: weights, even batches, out of memory, hooks."""

import numpy as np
import pytest
import torch

from coreset_engine.core.errors import BadInput
from coreset_engine.training.augmentation import crop_and_flip
from coreset_engine.training.config import TrainingRecipe
from coreset_engine.training.loop import Hooks, TrainingSet, accuracy_of, train
from coreset_engine.training.proxies import build_proxy, proxy_config


def task(n=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return (rng.normal(size=(n, 8)) + 3 * labels[:, None]).astype(np.float32), labels


def model_for(inputs, seed=0, name="linear"):
    return build_proxy(name, torch.from_numpy(inputs), 2, proxy_config(name), seed)


def test_it_learns_and_reports():
    inputs, labels = task()
    seen = []
    trained = train(
        model_for(inputs),
        TrainingSet(inputs, labels),
        TrainingRecipe(epochs=10, batch=32, lr=0.05),
        hooks=Hooks(on_epoch=lambda epoch, model: seen.append(epoch)),
    )
    assert accuracy_of(trained.model, inputs, labels) > 0.98
    assert seen == list(range(10)) and trained.losses[-1] < trained.losses[0]


def test_each_image_is_seen_once_an_epoch_in_even_batches():
    inputs, labels = task(n=33)
    sizes = []
    seen = []

    def on_batch(epoch, at, logits, features):
        sizes.append(len(at))
        seen.extend(at.tolist())

    train(
        model_for(inputs),
        TrainingSet(inputs, labels),
        TrainingRecipe(epochs=1, batch=32),
        hooks=Hooks(on_batch),
    )
    assert sorted(seen) == list(range(33)) and sizes == [17, 16]


def test_images_of_weight_zero_do_not_count():
    inputs, labels = task()
    flipped = labels.copy()
    weights = np.ones(200)
    flipped[:90], weights[:90] = 1 - labels[:90], 0
    recipe = TrainingRecipe(epochs=15, batch=32, lr=0.05)
    trained = train(model_for(inputs), TrainingSet(inputs, flipped, weights), recipe)
    assert accuracy_of(trained.model, inputs, labels) > 0.98
    for bad in (np.zeros(200), -weights, np.ones(3)):
        with pytest.raises(BadInput, match="weights"):
            train(model_for(inputs), TrainingSet(inputs, labels, bad))


class Hungry(torch.nn.Module):
    """Runs out of memory above 20 images, as a GPU would."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(8, 2)

    def forward(self, inputs):
        if len(inputs) > 20:
            raise torch.OutOfMemoryError("no room")
        return self.head(inputs)


def test_out_of_memory_halves_the_batch_and_misses_no_image():
    inputs, labels = task(n=100)
    seen = []
    trained = train(
        Hungry(),
        TrainingSet(inputs, labels),
        TrainingRecipe(epochs=2, batch=64),
        hooks=Hooks(lambda epoch, at, *rest: seen.extend((epoch, int(i)) for i in at)),
    )
    assert sorted(seen) == [(epoch, i) for epoch in range(2) for i in range(100)]
    assert trained.batch <= 20 and trained.info["batch_halved"] >= 1


def test_bad_input_is_refused():
    inputs, labels = task(n=10)
    for change in (dict(epochs=0), dict(batch=0), dict(optimiser="adagrad")):
        with pytest.raises(BadInput):
            train(model_for(inputs), TrainingSet(inputs, labels), TrainingRecipe(**change))
    with pytest.raises(BadInput, match="at least one"):
        train(model_for(inputs), TrainingSet(inputs[:0], labels[:0]))
    with pytest.raises(BadInput, match="outputs"):
        train(model_for(inputs), TrainingSet(inputs, labels + 1))


def test_nesterov_sgd_takes_the_step_of_its_equation():
    # Sutskever et al. 2013 as torch states it: v = mu v + g, w <- w - lr (g + mu v); at the first
    # step v = g, so the step is (1 + mu) times that of plain momentum.
    inputs, labels = task(n=16)
    moved = []
    for nesterov in (False, True):
        model = model_for(inputs)
        before = model.head.weight.detach().clone()
        recipe = TrainingRecipe(
            epochs=1, batch=16, lr=0.1, weight_decay=0.0, optimiser="sgd", nesterov=nesterov
        )
        train(model, TrainingSet(inputs, labels), recipe, device="cpu")
        moved.append(model.head.weight.detach() - before)
    torch.testing.assert_close(moved[1], 1.9 * moved[0])


def test_the_cosine_ends_at_min_lr():
    # Loshchilov & Hutter 2017, eq. 5: min + (max - min) (1 + cos(pi t / T)) / 2.
    inputs, labels = task(n=8)
    rates = []
    from coreset_engine.training import loop

    training = loop._Training(
        model_for(inputs),
        TrainingSet(inputs, labels),
        TrainingRecipe(epochs=4, lr=0.1, min_lr=0.02, optimiser="sgd"),
        0,
        Hooks(),
        "cpu",
    )
    for done in (0, 2, 4):
        training.set_lr(done)
        rates.append(training.update.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.06, 0.02])


def test_crops_and_flips_move_pixels_without_inventing_any():
    batch = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    out = crop_and_flip(batch, torch.Generator().manual_seed(0))
    assert out.shape == batch.shape and not torch.equal(out, batch)
    for before, after in zip(batch, out, strict=True):
        for channel in range(3):
            assert set(after[channel].flatten().tolist()) <= set(before[channel].flatten().tolist())
