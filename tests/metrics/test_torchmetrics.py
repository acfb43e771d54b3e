"""FID and KID are torchmetrics' own, with one feature net of our choosing in both."""

import warnings

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from zerosum.metrics.embedding import embed
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.frechet import distance_of_moments
from zerosum.metrics.kernel import kernel_distance


class Corners(torch.nn.Module):
    """Features (b, 12) of uint8 images (b, 3, h, w): mean colours of the four quarters."""

    num_features = 12

    def forward(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)


@pytest.fixture(scope="module")
def images():
    """80 and 60 images of 16×16, the second ones brighter and with less contrast."""
    generator = torch.Generator().manual_seed(0)
    levels = torch.rand(140, 3, 4, 4, generator=generator)
    levels[80:] = 0.2 + 0.7 * levels[80:]
    pixels = torch.nn.functional.interpolate(levels, (16, 16)).mul(255).round().to(torch.uint8)
    return pixels[:80], pixels[80:]


@pytest.fixture(scope="module")
def features(images):
    """What our own way through the images keeps of them."""
    net = FeatureNet(
        name="corners", sha256=None, resize="none", classes=(), look=lambda x: (Corners()(x), None)
    )
    return [embed(net, side, keep_features=True) for side in images]


def theirs(metric, images):
    """Show a metric both sides, in batches, and compute it."""
    with warnings.catch_warnings(action="ignore"):  # of memory
        for side, real in zip(images, (True, False), strict=True):
            for batch in side.split(20):
                metric.update(batch, real=real)
        return metric.compute()


def test_the_frechet_distance(images, features):
    metric = FrechetInceptionDistance(feature=Corners()).set_dtype(torch.float64)
    expected = theirs(metric, images).item()
    found = distance_of_moments(*(side.moments for side in features))
    assert expected > 0.01
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance(images, features):
    """Of one subset as large as the smaller side: theirs draws it, ours takes subsets too."""
    with warnings.catch_warnings(action="ignore"):  # of memory
        metric = KernelInceptionDistance(feature=Corners(), subsets=1, subset_size=60)
    equal = images[0][:60], images[1]
    mean, _ = theirs(metric, equal)
    first, second = (side.features for side in features)
    found = kernel_distance(first[:60], second, seed=0)
    assert found.deviation is None
    assert found.mean > 0.01
    assert found.mean == pytest.approx(mean.item(), rel=1e-4)
