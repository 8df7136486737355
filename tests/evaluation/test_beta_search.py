"""The search for beta: finds the cut that throws wrong pseudo-labels away, by pseudo-labels
alone."""

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.evaluation import beta_search
from coreset_engine.evaluation.beta_search import ScoredImages, oracle_curve, search_beta
from coreset_engine.selection.budget import double_end


def noisy_set(n=600, wrong=0.25, seed=0):
    """Three blobs; the hardest quarter bears wrong labels. aum: wrong first, then by chance."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    vectors = (rng.normal(0, 3, (3, 12))[truth] + rng.normal(0, 1, (n, 12))).astype(np.float32)
    bad = np.zeros(n, bool)
    bad[rng.permutation(n)[: int(wrong * n)]] = True
    pseudo = np.where(bad, (truth + 1) % 3, truth)
    return vectors, pseudo, truth, np.where(bad, -10.0, 0.0) + rng.random(n)


@pytest.fixture(autouse=True)
def short(set_limits):
    set_limits(beta_search_steps=120)


def test_the_cut_that_removes_wrong_labels_is_found_and_the_oracle_agrees():
    vectors, pseudo, truth, aum = noisy_set()
    found = search_beta(
        ScoredImages(vectors, pseudo, aum), choose=double_end, prune_rate=0.8, step=0.2, n_seeds=2
    )
    curve = {point["beta"]: point["accuracy"] for point in found["curve"]}
    assert list(curve) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert found["beta"] >= 0.2 and found["accuracy"] == max(curve.values()) > curve[0.0] + 0.3
    assert all(
        len(point["seeds"]) == point["n"] == 2
        and point["accuracy"] == pytest.approx(np.mean(point["seeds"]))
        for point in found["curve"]
    )
    seen = oracle_curve(found, ScoredImages(vectors, truth, aum), choose=double_end)
    real = {point["beta"]: point["accuracy"] for point in seen["curve"]}
    assert list(real) == list(curve) and seen["accuracy"] == real[found["beta"]]
    assert (
        seen["lost"] == pytest.approx(max(real.values()) - real[found["beta"]])
        and seen["lost"] < 0.1
    )
    assert min(real.values()) > max(curve.values()), (
        "with true labels nothing is wrong in either part"
    )


def test_each_training_sees_the_coreset_of_the_ninety_percent_only(monkeypatch):
    vectors, pseudo, _, aum = noisy_set(n=200)
    trained = []
    judged = []
    train = beta_search.train
    accuracy_of = beta_search.accuracy_of

    def spied_train(model, data, *rest, **more):
        trained.append(np.asarray(data.inputs))
        return train(model, data, *rest, **more)

    def spied_accuracy(model, inputs, labels, **more):
        judged.append(np.asarray(inputs))
        return accuracy_of(model, inputs, labels, **more)

    monkeypatch.setattr(beta_search, "train", spied_train)
    monkeypatch.setattr(beta_search, "accuracy_of", spied_accuracy)
    search_beta(
        ScoredImages(vectors, pseudo, aum),
        choose=double_end,
        prune_rate=0.5,
        betas=[0.3],
        proxy="linear",
        epochs=1,
    )
    position = {row.tobytes(): i for i, row in enumerate(vectors)}
    kept, held = ({position[row.tobytes()] for row in part[0]} for part in (trained, judged))
    assert len(kept) == 90 and len(held) == 20 and not kept & held
    rest = np.setdiff1d(np.arange(200), sorted(held))
    assert kept == set(rest[np.argsort(aum[rest])[54:144]])


@pytest.mark.parametrize("top", [0, 3, 6, 9])
def test_binary_search_finds_the_top_in_few_trials(monkeypatch, top):
    vectors, pseudo, _, aum = noisy_set(n=100)
    tried = []

    def height(self, beta, draw, progress):
        tried.append(beta)
        return 1 - abs(beta - top / 10)

    monkeypatch.setattr(beta_search._Trial, "__call__", height)
    found = search_beta(
        ScoredImages(vectors, pseudo, aum), choose=double_end, search="binary", prune_rate=0.9
    )
    assert found["beta"] == top / 10 and len(tried) == len(set(tried)) <= 8
    assert [point["beta"] for point in found["curve"]] == sorted(tried)


def test_a_tie_goes_to_the_smaller_beta(monkeypatch):
    monkeypatch.setattr(beta_search._Trial, "__call__", lambda *_: 0.5)
    vectors, pseudo, _, aum = noisy_set(n=50)
    assert search_beta(ScoredImages(vectors, pseudo, aum), choose=double_end)["beta"] == 0


def test_same_seed_same_curve_and_another_seed_another_split():
    vectors, pseudo, _, aum = noisy_set(n=150)
    options = dict(choose=double_end, betas=[0, 0.3], prune_rate=0.6, epochs=3)
    first, again, other = (
        search_beta(ScoredImages(vectors, pseudo, aum), seed=seed, **options) for seed in (4, 4, 5)
    )
    assert first == again and first["curve"] != other["curve"]


@pytest.mark.parametrize("rate,last", [(0.0, 0.0), (0.05, 0.0), (0.3, 0.3), (0.9, 0.9)])
def test_the_grid_ends_where_the_two_cuts_meet(monkeypatch, rate, last):
    monkeypatch.setattr(beta_search._Trial, "__call__", lambda *_: 0.5)
    for n in (10, 37, 101):
        vectors, pseudo, _, aum = noisy_set(n=n)
        betas = [
            p["beta"]
            for p in search_beta(
                ScoredImages(vectors, pseudo, aum), choose=double_end, prune_rate=rate
            )["curve"]
        ]
        assert last - 0.1 - 1e-9 <= betas[-1] <= last
        for beta in betas:
            double_end(aum, rate, beta)


def test_progress_counts_trainings_and_can_cancel():
    vectors, pseudo, _, aum = noisy_set(n=100)
    seen = []
    options = dict(choose=double_end, betas=[0, 0.2], n_seeds=2, epochs=1, prune_rate=0.5)
    search_beta(
        ScoredImages(vectors, pseudo, aum),
        progress=lambda *message: seen.append(message),
        **options,
    )
    assert seen[0] == (0, 4, "trainings") and seen[-1] == (4, 4, "trainings")
    assert all(a[0] <= b[0] for a, b in zip(seen, seen[1:]))

    def stop(done, total, unit):
        if done == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        search_beta(ScoredImages(vectors, pseudo, aum), progress=stop, **options)


def test_bad_input_is_refused():
    vectors, pseudo, truth, aum = noisy_set(n=60)
    for change in (
        dict(search="guess"),
        dict(n_seeds=0),
        dict(prune_rate=1.5),
        dict(betas=[]),
        dict(step=0.0),
        dict(betas=[0.5], prune_rate=0.3),
    ):
        with pytest.raises(BadInput):
            search_beta(ScoredImages(vectors, pseudo, aum), choose=double_end, **change)
    with pytest.raises(BadInput, match="at least 10"):
        search_beta(ScoredImages(vectors[:9], pseudo[:9], aum[:9]), choose=double_end)
    with pytest.raises(BadInput, match="one of each"):
        search_beta(ScoredImages(vectors, pseudo[:-1], aum), choose=double_end)
    found = search_beta(
        ScoredImages(vectors, pseudo, aum), choose=double_end, betas=[0.0], epochs=1
    )
    with pytest.raises(BadInput, match="label"):
        oracle_curve(found, ScoredImages(vectors, np.full(60, -1), aum), choose=double_end)
