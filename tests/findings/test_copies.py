"""Copies by bytes, by pixels, nearly and turned; conflicts of labels; which copy stays."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import dataset, plain, textured
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.findings import copies, twins
from coreset_engine.findings.image_statistics import measure_images
from coreset_engine.findings.twins import rotated

A, B, C = (name * 16 for name in (b"a", b"b", b"c"))


def neighbours_of(points):
    """All neighbours by absolute difference of numbers on a line."""
    points = np.asarray(points, float)
    distance = np.abs(points[:, None] - points[None, :])
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :-1]
    return Neighbours(order, np.take_along_axis(distance, order, 1).astype(np.float32))


def sets_of(finding):
    return [sorted(group.tolist()) for group in finding.groups_of()]


def test_identical_files_form_groups_largest_first():
    made = copies.byte_identical(np.array([A, B, A, C, B, A]))
    assert sets_of(made) == [[0, 2, 5], [1, 4]]
    assert made.n_groups == 2 and made.n_surplus == 3
    assert made.scores.tolist() == [3, 3, 3, 2, 2]


def test_files_without_a_digest_are_nobodys_copy():
    assert len(copies.byte_identical(np.array([b"", b"", A]))) == 0


def test_identical_pixels_count_only_across_different_files():
    pixels = np.array([A, A, B, B, C])
    files = np.array([A, A, B, C, A])  # 0 and 1 are one file twice; 2 and 3 are two files
    assert sets_of(copies.pixel_identical(pixels, files)) == [[2, 3]]
    assert sets_of(copies.pixel_identical(pixels, None)) == [[0, 1], [2, 3]]


def test_near_duplicates_are_chained_and_bring_their_exact_copies():
    #          0    1    2     3    4    5 (same pixels as 0)
    points = [0.0, 0.1, 0.19, 5.0, 9.0, 0.0]
    same = np.array([0, 1, 2, 3, 4, 0])
    pairs = copies.near_pairs(neighbours_of(points), same, within=1.0)
    assert pairs.pairs.tolist() == [[1, 2], [0, 1], [0, 2]]
    assert np.allclose(pairs.distances, [0.09, 0.1, 0.19])
    made = copies.near_duplicates(pairs, 0.1)
    assert sets_of(made) == [[0, 1, 2, 5]]
    assert len(copies.near_duplicates(pairs, 0.05)) == 0


def test_pairs_whose_tiny_copies_coincide_need_no_threshold():
    tiny = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    tiny[1] = np.clip(tiny[0].astype(int) + 1, 0, 255)
    pairs = copies.near_pairs(neighbours_of([0.0, 0.4, 0.8]), np.arange(3), within=1.0, tiny=tiny)
    assert pairs.pairs[pairs.confirmed].tolist() == [[0, 1]]
    assert sets_of(copies.near_duplicates(pairs, 0.01)) == [[0, 1]]
    assert [0, 1] not in pairs.border(0.5)[0].tolist()


def test_tiny_difference_is_relative_to_contrast():
    a = np.zeros((1, 4, 4, 3), np.uint8)
    a[:, :2] = 200  # standard deviation 100
    b = a + 10
    assert np.allclose(copies.tiny_difference(a, b, np.array([[0, 0]])), 0.1)
    flat = np.full((1, 4, 4, 3), 9, np.uint8)
    assert np.isinf(copies.tiny_difference(flat, flat, np.array([[0, 0]]))).all()


def test_exact_copies_alone_are_no_near_duplicates():
    pairs = copies.near_pairs(neighbours_of([0.0, 0.0, 8.0]), np.array([0, 0, 1]), within=1.0)
    assert len(pairs.pairs) == 0 and len(copies.near_duplicates(pairs, 0.5)) == 0


def test_the_border_shows_pairs_on_both_sides():
    pairs = copies.near_pairs(neighbours_of([0, 0.1, 1.0, 1.2, 3.0, 3.3]), np.arange(6), 0.5)
    within, beyond = pairs.border(0.2)
    assert within.tolist() == [[2, 3], [0, 1]] and beyond.tolist() == [[4, 5]]


def test_the_proposed_threshold_lies_between_planted_pairs_and_the_rest():
    rng = np.random.default_rng(0)
    nearest = np.concatenate([np.exp(rng.normal(np.log(0.1), 0.3, 500)), np.full(40, 0.001)])
    proposed = copies.proposed_distance(nearest)
    assert 0.001 < proposed < np.sort(nearest)[40]


def test_conflicting_labels_inside_a_group():
    same = np.array([0, 0, 1, 1, 2, 2, 3])
    labels = np.array([4, 5, 6, 6, 7, -1, 0])  # only the first pair disagrees; -1 is unknown
    made = copies.label_conflicts(same, labels, None)
    assert sets_of(made) == [[0, 1]] and made.scores.tolist() == [2, 2]


def test_conflicts_are_also_sought_among_near_duplicates():
    pairs = copies.near_pairs(neighbours_of([0.0, 0.01, 5.0]), np.arange(3), within=1.0)
    neighbours = copies.near_duplicates(pairs, 0.02)
    made = copies.label_conflicts(np.arange(3), np.array([0, 1, 1]), neighbours)
    assert sets_of(made) == [[0, 1]] and made.note.startswith("0 of them")


@pytest.mark.parametrize(
    "keep, kept",
    [("first", 0), ("largest", 1), ("oldest", 2), ("labelled", 1), ("quality", 3)],
)
def test_one_image_of_a_group_stays_by_rule(keep, kept):
    made = copies.byte_identical(np.array([A, A, A, A]))
    facts = copies.KeepFacts(
        area=np.array([10, 90, 20, 20]),
        modified=np.array([5.0, 4.0, 1.0, 2.0]),
        labels=np.array([-1, 3, -1, -1]),
        blur=np.array([0.5, 0.4, 0.4, 0.1]),
    )
    assert copies.surplus(made, facts, keep).tolist() == [i for i in range(4) if i != kept]


def test_a_rule_without_its_facts_is_refused():
    made = copies.byte_identical(np.array([A, A]))
    with pytest.raises(BadInput, match="keep='oldest' needs.*file times"):
        copies.surplus(made, copies.KeepFacts(), "oldest")
    with pytest.raises(BadInput, match="keep='newest' is not supported"):
        copies.surplus(made, copies.KeepFacts(), "newest")


TURNS = [
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
]


@pytest.mark.integration
@pytest.mark.parametrize("turn", TURNS)
def test_every_turn_of_the_square_is_found(turn):
    images = [textured(i, (80, 56)) for i in range(10)]
    images.append(images[4].transpose(turn))
    made = measure_images(dataset(images))
    found = rotated(made, copies.codes_of(made.pixels), 0.12)
    assert sets_of(found) == [[4, 10]]


def test_unlike_plain_and_symmetric_images_are_not_turned_copies():
    ring = Image.new("RGB", (40, 40), (255, 255, 255))
    ring.paste((0, 0, 0), (10, 10, 30, 30))
    brighter = Image.new("RGB", (40, 40), (255, 255, 255))
    brighter.paste((3, 3, 3), (10, 10, 30, 30))
    images = [textured(i) for i in range(6)] + [plain(9), plain(10), ring, brighter]
    made = measure_images(dataset(images))
    assert len(rotated(made, copies.codes_of(made.pixels), 0.12)) == 0


@pytest.mark.parametrize("n, radius, most", [(300, 0.4, 10**6), (300, 0.05, 10**6), (1, 1.0, 9)])
def test_pairs_within_a_radius_are_those_of_all_distances(n, radius, most):
    points = np.random.default_rng(n).normal(size=(n, 5)) * [3, 2, 1, 0.1, 0.1]
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    wanted = {(i, j) for i in range(n) for j in range(i + 1, n) if distance[i, j] <= radius}
    found = twins._close(points, radius, most)
    assert {tuple(sorted(pair)) for pair in found.tolist()} == wanted and len(found) == len(wanted)


def test_of_too_many_pairs_those_within_a_smaller_radius_are_taken():
    points = np.random.default_rng(0).normal(size=(200, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(200, 1)]
    radius = 4.0
    while (distance <= radius).sum() > 500:
        radius /= 2
    assert len(twins._close(points, 4.0, most=500)) == (distance <= radius).sum() > 0


def graph_of(n, k, seed):
    """Exact neighbours of random vectors, some of them nearly equal."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 6))
    vectors[n // 2 :] = vectors[: n - n // 2] + rng.normal(scale=0.02, size=(n - n // 2, 6))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distance = 1 - unit @ unit.T
    np.fill_diagonal(distance, np.inf)
    indices = np.argsort(distance, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(distance, indices, axis=1).astype(np.float32)
    return Neighbours(indices, values)


def test_with_a_limit_the_nearest_pairs_are_the_same_ones():
    """Pairs of a large set: those that are listed, and the proposal, as without the limit."""
    neighbours = graph_of(80, 10, 3)
    same = np.arange(80)
    full = copies.near_pairs(neighbours, same)
    part = copies.near_pairs(neighbours, same, most=200)
    assert len(part.pairs) < len(full.pairs) and part.proposed == full.proposed
    positions = neighbours.distances.ravel()
    assert part.reach == pytest.approx(float(np.quantile(positions, 200 / 800)))
    shown = full.distances <= part.reach
    assert np.array_equal(part.pairs, full.pairs[shown])
    assert "compared up to" in copies.near_duplicates(part, 0.9).note


def test_screening_loses_no_pair_whose_small_copies_coincide():
    neighbours = graph_of(60, 10, 4)
    rng = np.random.default_rng(5)
    tiny = rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    noise = rng.integers(-8, 9, tiny[30:].shape) * (1 + np.arange(30) % 2)[:, None, None, None]
    tiny[30:] = np.clip(tiny[:30].astype(int) + noise, 0, 255)
    found = copies.near_pairs(neighbours, np.arange(60), within=2.0, tiny=tiny)
    close = {
        tuple(sorted((i, int(j))))
        for i in range(60)
        for j in neighbours.indices[i, : copies.CONFIRMING]
    }
    plain = copies.tiny_difference(tiny, tiny, found.pairs) <= copies.COINCIDE
    wanted = [
        tuple(pair) in close and bool(fits) for pair, fits in zip(found.pairs.tolist(), plain)
    ]
    assert 10 <= sum(wanted) <= 20 and found.confirmed.tolist() == wanted
