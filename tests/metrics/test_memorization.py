"""Copies are found, and honest samples are not accused."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerosum.metrics.health import identical_share
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


def test_held_out_images_that_were_not_held_out_are_no_evidence():
    training = cloud(30, 1)
    found = memorization(cloud(30, 0), training, training)
    assert (found.near, found.ratio) == (None, None)
    assert len(found.closest) == 30


def test_no_held_out_images_are_no_evidence():
    assert memorization(cloud(30, 0), cloud(30, 1), cloud(0, 2)).near is None


@pytest.mark.parametrize("duplicates", [0, 12, 40, 400])
@pytest.mark.parametrize("offset", [0, 1000])
def test_copies_are_found_though_data_hold_duplicates(duplicates, offset):
    images = cloud(2000, 1) + offset
    whole = torch.cat([images, images[:duplicates]])[shuffled(2000 + duplicates)]
    found = memorization(images[:1000], whole[400:], whole[:400])
    assert found.near > 0.75
    assert found.ratio < 0.01


def test_copies_are_found_though_every_image_occurs_ten_times():
    whole = cloud(1000, 1).repeat(10, 1)[shuffled(10_000)]
    found = memorization(whole[1000:2000], whole[1000:], whole[:1000])
    assert found.near == 1
    assert found.ratio < 0.01


def test_honest_samples_may_show_what_the_data_repeat():
    def half_blank(seed):
        points = cloud(1000, seed)
        points[::2] = 0
        return points

    found = memorization(half_blank(0), half_blank(1), half_blank(2))
    assert found.near < 0.05
    assert found.ratio > 0.8


@pytest.mark.parametrize(
    "whole",
    [
        torch.zeros(50, 6),
        torch.full((50, 6), 0.1),
        torch.cat([cloud(300, 0), cloud(1, 0).expand(400, 6)]),
        torch.cat([torch.zeros(100, 6), cloud(100, 0)]),
    ],
    ids=["blank", "gray", "one 400 times", "half blank"],
)
def test_full_of_duplicates(whole):
    whole = whole[shuffled(len(whole))]
    part = len(whole) // 5
    assert_tells_or_not(memorization(cloud(50, 3), whole[part:], whole[:part]))
    assert_tells_or_not(memorization(whole, whole[part:], whole[:part]))


@given(
    kinds=st.lists(st.integers(0, 4), min_size=3, max_size=40),
    held_out=st.integers(1, 10),
    scale=st.sampled_from([1e-30, 1.0, 1e12]),
)
def test_any_mixture_of_duplicates_gives_numbers_that_json_can_hold(kinds, held_out, scale):
    points = torch.cat([torch.zeros(1, 6), cloud(4, 0)]).double() * scale
    whole = points[kinds]
    part = min(held_out, len(whole) - 1)
    assert_tells_or_not(memorization(points, whole[part:], whole[:part]))
    assert 0 <= identical_share(points, whole) <= 1


def test_identical_share_of_data_with_duplicates():
    real, fake = cloud(1000, 0), cloud(1000, 1)
    real[:100] = real[0]
    assert identical_share(fake, real) < 0.05
    assert identical_share(torch.ones(1000, 6), real) == 1
    fake[::2] = fake[0]
    assert identical_share(fake, real) == pytest.approx(0.45, abs=0.03)
    assert identical_share(fake, torch.ones(1000, 6)) == 0


def shuffled(count):
    return torch.randperm(count, generator=torch.Generator().manual_seed(9))


def assert_tells_or_not(found):
    assert (found.near is None) == (found.ratio is None)
    if found.near is not None:
        assert 0 <= found.near <= 1
        assert math.isfinite(found.ratio)
