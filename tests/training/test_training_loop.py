"""The training loop: weights, even batches, out of memory, hooks."""

import numpy as np
import pytest
import torch

from coreset_engine.core.errors import BadInput
from coreset_engine.training.augmentation import crop_and_flip
from coreset_engine.training.loop import accuracy_of, train
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
        inputs,
        labels,
        epochs=10,
        batch=32,
        lr=0.05,
        on_epoch=lambda epoch, model: seen.append(epoch),
    )
    assert accuracy_of(trained.model, inputs, labels) > 0.98
    assert seen == list(range(10)) and trained.losses[-1] < trained.losses[0]


def test_each_image_is_seen_once_an_epoch_in_even_batches():
    inputs, labels = task(n=33)
    sizes = []
    seen = []
    train(
        model_for(inputs),
        inputs,
        labels,
        epochs=1,
        batch=32,
        on_batch=lambda epoch, at, logits, features: (
            sizes.append(len(at)),
            seen.extend(at.tolist()),
        ),
    )
    assert sorted(seen) == list(range(33)) and sizes == [17, 16]


def test_images_of_weight_zero_do_not_count():
    inputs, labels = task()
    flipped = labels.copy()
    weights = np.ones(200)
    flipped[:90], weights[:90] = 1 - labels[:90], 0
    options = dict(epochs=15, batch=32, lr=0.05)
    assert (
        accuracy_of(
            train(model_for(inputs), inputs, flipped, weights=weights, **options).model,
            inputs,
            labels,
        )
        > 0.98
    )
    for bad in (np.zeros(200), -weights, np.ones(3)):
        with pytest.raises(BadInput, match="weights"):
            train(model_for(inputs), inputs, labels, weights=bad)


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
        inputs,
        labels,
        epochs=2,
        batch=64,
        on_batch=lambda epoch, at, logits, features: seen.extend((epoch, int(i)) for i in at),
    )
    assert sorted(seen) == [(epoch, i) for epoch in range(2) for i in range(100)]
    assert trained.batch <= 20 and trained.info["batch_halved"] >= 1


def test_bad_input_is_refused():
    inputs, labels = task(n=10)
    for change in (dict(epochs=0), dict(batch=0), dict(optimiser="adagrad")):
        with pytest.raises(BadInput):
            train(model_for(inputs), inputs, labels, **change)
    with pytest.raises(BadInput, match="at least one"):
        train(model_for(inputs), inputs[:0], labels[:0])
    with pytest.raises(BadInput, match="outputs"):
        train(model_for(inputs), inputs, labels + 1)


def test_crops_and_flips_move_pixels_without_inventing_any():
    batch = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    out = crop_and_flip(batch, torch.Generator().manual_seed(0))
    assert out.shape == batch.shape and not torch.equal(out, batch)
    for before, after in zip(batch, out, strict=True):
        for channel in range(3):
            assert set(after[channel].flatten().tolist()) <= set(before[channel].flatten().tolist())
