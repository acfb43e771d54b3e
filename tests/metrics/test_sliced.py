import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from zerosum.metrics.sliced import PROJECTIONS, random_directions, sliced_wasserstein

CPU = torch.device("cpu")
SEEDS = st.integers(0, 2**32)


def sets(seed=0, count=50, shape=(1, 4, 4)):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(count, *shape, generator=generator, dtype=torch.float64),
        torch.rand(count, *shape, generator=generator, dtype=torch.float64) ** 2,
    )


def directions(entries=16, seed=0):
    torch.manual_seed(seed)
    return random_directions(entries, device=CPU).double()


def test_equal_sets_are_at_distance_zero_in_any_order():
    first, _ = sets()
    shuffled = first[torch.randperm(len(first))]
    distance = sliced_wasserstein(first, shuffled, directions=directions())
    assert distance == pytest.approx(0, abs=1e-12)


@given(SEEDS)
def test_a_shift_costs_its_mean_length_along_the_directions(seed):
    first, _ = sets(seed)
    shift = torch.randn(1, 4, 4, dtype=torch.float64)
    expected = (shift.flatten() @ directions()).abs().mean().item()
    distance = sliced_wasserstein(first, first + shift, directions=directions())
    assert distance == pytest.approx(expected)


@given(SEEDS)
def test_it_is_the_mean_of_scipys_distances_on_each_line(seed):
    first, second = sets(seed, count=20)
    along = directions(seed=seed)
    reference = [
        wasserstein_distance(first.flatten(1) @ line, second.flatten(1) @ line) for line in along.T
    ]
    assert sliced_wasserstein(first, second, directions=along) == pytest.approx(
        sum(reference) / PROJECTIONS
    )


@given(SEEDS, st.floats(0.1, 10))
def test_it_is_symmetric_and_scales_with_the_pixels(seed, factor):
    first, second = sets(seed)
    there = sliced_wasserstein(first, second, directions=directions())
    back = sliced_wasserstein(second, first, directions=directions())
    scaled = sliced_wasserstein(factor * first, factor * second, directions=directions())
    assert there == pytest.approx(back)
    assert scaled == pytest.approx(factor * there)


def test_it_orders_images_by_their_noise():
    first, _ = sets(count=500)
    noise = torch.randn(first.shape, dtype=torch.float64)
    distances = [
        sliced_wasserstein(first, first + level * noise, directions=directions())
        for level in (0, 0.1, 0.3, 1, 3)
    ]
    assert distances == sorted(distances)
    assert distances[0] < 0.1 * distances[1]


def test_it_tells_a_collapsed_generator_from_a_diverse_one():
    real, _ = sets(count=500)
    diverse, _ = sets(seed=1, count=500)
    collapsed = real.mean(0, keepdim=True).expand_as(real)
    assert sliced_wasserstein(real, diverse, directions=directions()) < 0.25 * sliced_wasserstein(
        real, collapsed, directions=directions()
    )


def test_sets_of_different_shapes_are_refused():
    first, second = sets()
    with pytest.raises(ValueError, match="expected equal"):
        sliced_wasserstein(first, second[:-1], directions=directions())


def test_directions_are_unit_vectors_without_a_preference():
    drawn = directions(entries=3)
    assert drawn.shape == (3, PROJECTIONS)
    torch.testing.assert_close(drawn.norm(dim=0), torch.ones(PROJECTIONS, dtype=torch.float64))
    # On a sphere in three dimensions every coordinate has the variance 1/3.
    assert (drawn.square().mean(1) - 1 / 3).abs().max() < 0.1
    assert drawn.mean(1).abs().max() < 0.15
