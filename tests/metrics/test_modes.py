"""Modes counted where the answer is known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerosum.data import mixture
from zerosum.metrics.modes import count_gaussian_modes, count_modes, even_shares

UNIFORM = even_shares(10)
RING = torch.tensor(mixture.ring(8, radius=1), dtype=torch.float64)
GRID = torch.tensor(mixture.grid(5, spacing=2), dtype=torch.float64)
coordinates = st.floats(-6, 6, width=32)


def test_all_modes_evenly_are_no_divergence():
    found = count_modes(torch.arange(10).repeat(7), shares=UNIFORM)
    assert found.covered == 10
    assert found.divergence == pytest.approx(0, abs=1e-6)


def test_one_mode_of_ten_diverges_by_log_ten():
    found = count_modes(torch.full((50,), 3), shares=UNIFORM)
    assert found.covered == 1
    assert found.divergence == pytest.approx(math.log(10))


def test_the_shares_of_the_data_count():
    # KL((1/2, 1/2, 0) || (1/4, 1/4, 1/2)) = log 2.
    found = count_modes(torch.tensor([0, 1, 1, 0]), shares=torch.tensor([0.25, 0.25, 0.5]))
    assert found.covered == 2
    assert found.divergence == pytest.approx(math.log(2))


class TestPlane:
    """Gaussians in the plane, whose centres and deviation are known."""

    @pytest.mark.parametrize(("centres", "deviation"), [(RING, 0.01), (GRID, 0.05)])
    @pytest.mark.parametrize("num", [1, 3, 8])
    def test_points_at_some_centres_cover_these(self, centres, deviation, num):
        found = count_gaussian_modes(centres[:num].repeat(5, 1), centres, deviation=deviation)
        assert found.covered == num
        assert found.good == 1
        assert found.divergence == pytest.approx(math.log(len(centres) / num))

    def test_points_far_from_every_centre_cover_none_though_they_have_a_nearest_one(self):
        found = count_gaussian_modes(1.5 * RING, RING, deviation=0.01)
        assert (found.covered, found.good) == (0, 0)
        assert found.divergence == pytest.approx(0, abs=1e-12)

    def test_good_is_within_three_deviations(self):
        steps = torch.tensor([[0.0, 0.0], [2.999, 0.0], [0.0, -2.999], [3.001, 0.0], [2.5, 2.5]])
        found = count_gaussian_modes(GRID[7] + 0.05 * steps, GRID, deviation=0.05)
        assert found.good == pytest.approx(3 / 5)
        assert found.covered == 1

    def test_of_true_samples_as_many_are_good_as_the_law_says(self):
        """In two dimensions a share of exp(-9/2) lies beyond three deviations."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(25 * 4000, 2, generator=generator, dtype=torch.float64)
        found = count_gaussian_modes(GRID.repeat(4000, 1) + 0.05 * noise, GRID, deviation=0.05)
        assert found.covered == 25
        assert 1 - found.good == pytest.approx(math.exp(-4.5), rel=0.1)
        assert found.divergence == pytest.approx(0, abs=1e-12)

    @given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=30), st.randoms())
    def test_never_more_than_there_are_and_in_any_order(self, points, numbers):
        made = torch.tensor(points, dtype=torch.float64)
        found = count_gaussian_modes(made, GRID, deviation=0.5)
        assert 0 <= found.covered <= min(25, len(points))
        assert (found.covered == 0) == (found.good == 0)
        assert -1e-12 <= found.divergence <= math.log(25) + 1e-12
        numbers.shuffle(points)
        shuffled = count_gaussian_modes(torch.tensor(points), GRID, deviation=0.5)
        assert shuffled == found
