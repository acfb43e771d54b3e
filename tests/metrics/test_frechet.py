"""The Fréchet distance against closed forms, scipy's matrix root and torch-fidelity's metric."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerosum.metrics.frechet import Moments, distance_of_moments, frechet_distance


def gaussian(count, mean, deviations, seed=0):
    """Features with exactly this mean and these deviations, uncorrelated."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, len(mean), generator=generator, dtype=torch.float64)
    noise = noise - noise.mean(0)
    whitened = noise @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(noise.T))).T
    return whitened * torch.tensor(deviations, dtype=torch.float64) + torch.tensor(
        mean, dtype=torch.float64
    )


def test_identical_sets_have_no_distance():
    features = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


@given(
    shift=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    widths=st.lists(st.floats(0.1, 3), min_size=3, max_size=3),
)
def test_two_gaussians_with_diagonal_covariance(shift, widths):
    first = gaussian(50, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    second = gaussian(70, shift, widths, seed=1)
    expected = sum(d**2 for d in shift) + sum((1 - w) ** 2 for w in widths)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_correlated_features_against_scipy():
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.randn(200, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
        for _ in range(2)
    )
    (mu1, s1), (mu2, s2) = (
        (f.double().mean(0).numpy(), np.cov(f.double().numpy().T)) for f in (first, second)
    )
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = ((mu1 - mu2) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_fewer_images_than_features_do_not_break_it():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(5, 16, generator=generator) for _ in range(2))
    assert 0 < frechet_distance(first, second) < 100


def test_it_agrees_with_torch_fidelity(two_sets):
    assert frechet_distance(*two_sets) == pytest.approx(0.4281863646736923, rel=1e-6)


class TestMoments:
    @given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6))
    def test_of_batches_added_up_are_those_of_the_whole(self, sizes):
        numbers = np.random.default_rng(len(sizes))
        batches = [numbers.normal(3, 2, (size, 5)) for size in sizes]
        whole = np.concatenate(batches)
        found, *others = (Moments.of(torch.from_numpy(batch)) for batch in batches)
        for other in others:
            found = found + other
        assert found.count == len(whole)
        np.testing.assert_allclose(found.mean, whole.mean(axis=0))
        expected = np.cov(whole.T, ddof=0) * len(whole)
        np.testing.assert_allclose(found.scatter, expected, atol=1e-9)

    def test_features_far_from_zero_lose_no_digits(self):
        """E[xx] - E[x]E[x] would be wrong in all of them here, even in float64."""
        features = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
        far = features + 1e8
        added = Moments.of(far[:1]) + Moments.of(far[1:])
        assert added.covariance.item() == pytest.approx(5 / 3)

    def test_give_the_same_distance_however_they_were_gathered(self):
        generator = torch.Generator().manual_seed(0)
        first, second = (torch.randn(50, 8, generator=generator) for _ in range(2))
        gathered = Moments.of(first[:7]) + (Moments.of(first[7:30]) + Moments.of(first[30:]))
        found = distance_of_moments(gathered, Moments.of(second))
        assert found == pytest.approx(frechet_distance(first, second))
