"""Points of Gaussians in the plane: PacGAN's, scaled into [-1, 1]."""

import math

import numpy as np
import pytest
import torch

from zerosum import data
from zerosum.data.catalog import is_here, locate, mixture_of
from zerosum.data.mixture import Mixture, grid, ring
from zerosum.data.toys import draw_points
from zerosum.errors import UserError
from zerosum.metrics.modes import count_gaussian_modes

# Name: modes, and PacGAN's length and deviation (its synthetic_data_experiments/*/config.py).
PACGAN = {"ring": (8, 1, 0.01), "grid": (25, 4, 0.05)}
FINGERPRINTS = {
    "ring": "fb5700413fde1201f30c9c2de6f563f4d2911d6a6df84274f9e858d8ba88b180",
    "grid": "9a9ed1e40f27dc0be99483bce14abd9e25061fc5ca2a3d0cf9653d01e0ae17b7",
}
TRIANGLE = Mixture(centres=ring(3, radius=0.5), deviation=0.1, counts={})


def test_a_ring_lies_at_even_angles():
    places = np.array(ring(8, radius=2))
    assert np.hypot(*places.T) == pytest.approx(np.full(8, 2))
    assert places[[0, 2]] == pytest.approx(np.array([[2, 0], [0, 2]]))
    assert places[1] == pytest.approx(np.full(2, math.sqrt(2)))
    neighbours = np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1)
    assert neighbours == pytest.approx(np.full(8, 4 * math.sin(math.pi / 8)))


def test_a_grid_is_a_square_around_zero():
    ticks = (-4, -2, 0, 2, 4)
    assert grid(5, spacing=2) == tuple((x, y) for x in ticks for y in ticks)
    assert grid(2, spacing=1) == ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))


class TestDrawPoints:
    def test_what_comes_is_as_an_image_set_has_it(self):
        made = draw_points(TRIANGLE, count=50, seed=0, name="triangle")
        assert (made.images.shape, made.images.dtype) == ((50, 2, 1, 1), torch.float32)
        assert (made.labels.shape, made.labels.dtype) == ((50,), torch.int64)
        assert made.classes == ("(0.5,0)", "(-0.25,0.43)", "(-0.25,-0.43)")
        assert made.name == "triangle"

    def test_every_mode_is_as_likely(self):
        labels = draw_points(TRIANGLE, count=30_000, seed=0, name="").labels
        counts = labels.bincount(minlength=3).double()
        # Two degrees of freedom: beyond 13.8 by chance once in a thousand seeds.
        assert ((counts - 10_000).square() / 10_000).sum() < 13.8

    def test_the_moments_are_the_gaussians(self):
        made = draw_points(TRIANGLE, count=30_000, seed=1, name="")
        noise = made.images.flatten(1).double() - torch.tensor(TRIANGLE.centres)[made.labels]
        covariance = noise.T @ noise / len(noise)
        # A mean moves by 0.1 / sqrt(30,000) = 0.0006, a variance by 0.01 sqrt(2 / 30,000) = 0.0001.
        assert noise.mean(dim=0).tolist() == pytest.approx([0, 0], abs=0.0025)
        assert covariance.flatten().tolist() == pytest.approx([0.01, 0, 0, 0.01], abs=0.0004)

    def test_the_seed_alone_decides(self):
        first, again, other = (
            draw_points(TRIANGLE, count=50, seed=seed, name="").fingerprint() for seed in (5, 5, 6)
        )
        assert first == again != other
        np.random.seed(1)
        torch.manual_seed(1)
        assert draw_points(TRIANGLE, count=50, seed=5, name="").fingerprint() == first


@pytest.mark.parametrize("name", PACGAN)
class TestToys:
    @pytest.fixture
    def test_split(self, name):
        return data.load(name, split="test")

    def test_are_pacgans_in_another_unit(self, name):
        mixture = mixture_of(name)
        modes, length, deviation = PACGAN[name]
        places = np.array(mixture.centres)
        assert places.shape == (modes, 2)
        assert np.abs(places).max() / mixture.deviation == pytest.approx(length / deviation)
        assert mixture.counts == {"train": 100_000, "test": 2500}

    def test_all_points_are_where_a_tanh_reaches(self, name):
        points = data.load(name).images
        assert len(points) == 100_000
        assert 0.8 < points.abs().max() < 0.9

    def test_the_moments_are_known(self, name):
        """Of the mixture: mean 0; variance, on either axis, of the centres and of the noise."""
        mixture = mixture_of(name)
        points = data.load(name).images.flatten(1).double()
        variance = np.square(np.array(mixture.centres)[:, 0]).mean() + mixture.deviation**2
        assert variance == pytest.approx({"ring": 0.32, "grid": 0.32}[name], abs=0.001)
        assert points.mean(dim=0).tolist() == pytest.approx([0, 0], abs=0.008)
        covariance = (points.T @ points / len(points)).flatten().tolist()
        assert covariance == pytest.approx([variance, 0, 0, variance], abs=0.005)

    def test_the_test_split_covers_every_mode_with_the_quality_of_real_points(
        self, name, test_split
    ):
        """In two dimensions a share of exp(-9/2) lies beyond three deviations."""
        mixture = mixture_of(name)
        points = test_split.images.flatten(1)
        found = count_gaussian_modes(
            points, torch.tensor(mixture.centres), deviation=mixture.deviation
        )
        assert found.covered == len(mixture.centres)
        assert found.good == pytest.approx(1 - math.exp(-4.5), abs=0.007)
        assert found.divergence < 0.01

    def test_labels_are_the_modes(self, name, test_split):
        centres = torch.tensor(mixture_of(name).centres)
        nearest = torch.cdist(test_split.images.flatten(1), centres).argmin(dim=1)
        assert torch.equal(nearest, test_split.labels)
        assert len(set(test_split.classes)) == len(centres)
        assert data.DATASETS[name].classes == test_split.classes

    def test_never_change(self, name, test_split):
        """A run is resumed only on the same points, whatever versions are installed by then."""
        assert test_split.fingerprint() == FINGERPRINTS[name]

    def test_the_splits_are_drawn_apart(self, name, test_split):
        assert not torch.equal(data.load(name).labels[:2500], test_split.labels)

    @pytest.mark.parametrize("wanted", [{"size": (8, 8)}, {"channels": 1}])
    def test_have_no_pixels(self, name, wanted):
        with pytest.raises(UserError, match=f"'{name}' is of points in the plane.* Leave --size"):
            data.load(name, **wanted)

    def test_are_always_here(self, name):
        assert is_here(name)
        assert locate(name) is None
        assert data.has_splits(name)


def test_only_names_of_toys_have_gaussians():
    assert mixture_of("mnist") is None
    assert mixture_of("no/such/folder") is None
