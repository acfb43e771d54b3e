"""Copies are found, and honest samples are not accused."""

import pytest
import torch

from zerosum.metrics.memorization import memorization, nearest


def cloud(count, seed):
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def test_nearest_neighbours_on_a_line():
    among = torch.tensor([[0], [10], [20]], dtype=torch.uint8)
    distances, indices = nearest(torch.tensor([[1], [14], [19], [255]], dtype=torch.uint8), among)
    assert distances.tolist() == [1, 4, 1, 235]
    assert indices.tolist() == [0, 1, 2, 2]


def test_samples_of_the_same_distribution_are_like_held_out_images():
    found = memorization(cloud(2000, 0), cloud(2000, 1), cloud(2000, 2))
    assert found.near == pytest.approx(0.01, abs=0.008)
    assert found.ratio == pytest.approx(1, abs=0.05)


def test_copies_among_the_samples_are_counted():
    training = cloud(2000, 1)
    copies = training[100:600] + 1e-3 * cloud(500, 3)
    found = memorization(torch.cat([cloud(1500, 0), copies]), training, cloud(2000, 2))
    assert found.near == pytest.approx(0.25 + 0.75 * 0.01, abs=0.01)
    assert found.ratio < 0.95


def test_the_closest_pairs_come_first():
    training = cloud(50, 1)
    samples = torch.cat([cloud(5, 0), training[7:8]])
    found = memorization(samples, training, cloud(50, 2))
    assert (found.closest[0], found.neighbours[0]) == (5, 7)
    assert sorted(found.closest.tolist()) == list(range(6))


def test_a_training_set_that_is_copied_whole():
    training = cloud(300, 1)
    found = memorization(training, training, cloud(300, 2))
    assert found.near == 1
    assert found.ratio == pytest.approx(0, abs=1e-6)
    assert torch.equal(found.closest, found.neighbours)


def test_held_out_images_that_were_not_held_out_divide_nothing_by_zero():
    training = cloud(30, 1)
    assert memorization(cloud(30, 0), training, training).ratio > 1
