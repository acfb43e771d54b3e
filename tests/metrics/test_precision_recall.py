"""Precision and its relatives: a drawing on a line, degenerate sets, and prdc's metrics."""

import pytest
import torch

from zerosum.metrics.precision_recall import CHUNK, compare_manifolds, squared_radii


def cloud(count, seed, scale=1.0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 8, generator=generator) * scale + shift


def test_radii_of_points_on_a_line():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]]).double()
    nearest, second = squared_radii(points, 1, 2)
    assert nearest.tolist() == [1, 1, 4, 16]
    assert second.tolist() == [9, 4, 9, 36]


def test_a_drawing_on_a_line():
    """Reals at 0 to 9, fakes at 0.4 to 4.4 and twelve of them far away."""
    real = torch.arange(10.0)[:, None]
    fake = torch.cat([torch.arange(5.0) + 0.4, 100 + torch.arange(12.0)])[:, None]
    found = compare_manifolds(fake, real)
    assert found.precision == 5 / 17
    # The 3rd neighbours of the fakes at 0.4, 1.4 to 3.4 and 4.4 are 3, 2, 3 away, so that the
    # union of their balls reaches from -2.6 to 7.4.
    assert found.recall == 8 / 10
    # The real at i holds, within its 5th neighbour's distance, this many of the five fakes.
    radii = [5, 4, 3, 3, 3, 3, 3, 3, 4, 5]
    inside = [sum(abs(f + 0.4 - i) < r for f in range(5)) for i, r in enumerate(radii)]
    assert found.density == pytest.approx(sum(inside) / (5 * 17))
    assert found.coverage == sum(count > 0 for count in inside) / 10


def test_identical_sets_agree_in_everything():
    features = cloud(300, seed=0)
    found = compare_manifolds(features, features)
    assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, 1, 1)


def test_a_collapsed_set_is_precise_and_recalls_little():
    """Fakes around the middle of the reals."""
    found = compare_manifolds(cloud(500, seed=0, scale=0.05), cloud(500, seed=1))
    assert found.precision > 0.95
    assert found.recall < 0.05
    assert found.coverage < 0.3


def test_noise_is_not_precise_and_recalls_much():
    """Fakes all around the reals: most outside them, but their balls hold every real."""
    found = compare_manifolds(cloud(500, seed=0, scale=3), cloud(500, seed=1))
    assert found.precision < 0.1
    assert found.recall > 0.9
    assert found.density < 0.1


def test_sets_far_apart_share_nothing():
    found = compare_manifolds(cloud(50, seed=0), cloud(60, seed=1, shift=100))
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_they_agree_with_torch_fidelity_and_prdc(two_sets):
    fake, real = two_sets
    assert len(fake) > CHUNK
    found = compare_manifolds(fake, real)
    assert found.precision == pytest.approx(992 / 1500)
    assert found.recall == pytest.approx(1070 / 1200)
    assert found.density == pytest.approx(0.6312)
    assert found.coverage == pytest.approx(1121 / 1200)


def test_they_agree_with_the_package_of_density_and_coverage():
    prdc = pytest.importorskip("prdc", reason="the package prdc is not installed")
    real, fake = cloud(400, seed=0), cloud(300, seed=1, scale=0.7, shift=0.2)
    found = compare_manifolds(fake, real)
    three = prdc.compute_prdc(real.double().numpy(), fake.double().numpy(), 3)
    five = prdc.compute_prdc(real.double().numpy(), fake.double().numpy(), 5)
    assert found.precision == pytest.approx(three["precision"])
    assert found.recall == pytest.approx(three["recall"])
    assert found.density == pytest.approx(five["density"])
    assert found.coverage == pytest.approx(five["coverage"])
