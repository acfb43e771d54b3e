"""Inception with its BatchNorms folded, against the same with BatchNorms, and against the file."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zerosum.metrics import inception
from zerosum.metrics.inception_net import (
    EPSILON,
    LEAST_SIDE,
    NUM_FEATURES,
    AveragedConvolution,
    Convolution,
    InceptionNet,
    MaximumConvolution,
    folded,
)
from zerosum.metrics.weight_files import INCEPTION

DEPTH = 47
"""Convolutions on the longest way: 5, 3 in each of four blocks, 5 in each of four, 4 and 2 x 3."""
TERMS = 448 * 9
"""The most products that a convolution adds up to one number."""


class Unfolded(nn.Module):
    """A convolution, BatchNorm and ReLU; an average or maximum comes first, as in the file."""

    def __init__(self, part, weight, beta, mean, var):
        super().__init__()
        self.part = part
        self.held = weight, beta, mean, var

    def forward(self, images):
        weight, beta, mean, var = self.held
        if isinstance(self.part, AveragedConvolution):
            images = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
        elif isinstance(self.part, MaximumConvolution):
            images = F.max_pool2d(images, 3, stride=1, padding=1)
        products = F.conv2d(images, weight, None, self.part.stride, self.part.padding)
        return F.batch_norm(products, mean, var, None, beta, eps=EPSILON).relu()


@pytest.fixture(scope="module")
def parameters():
    """Random parameters in float64, by the names of the file."""
    numbers = torch.Generator().manual_seed(0)
    found = {}
    for name, part in InceptionNet().named_modules():
        if isinstance(part, Convolution):
            shape = part.weight.shape
            scale = (2 / part.weight[0].numel()) ** 0.5

            def normal(*shape):
                return torch.randn(shape, generator=numbers, dtype=torch.float64)

            found[f"{name}.weight"] = scale * normal(*shape)
            found[f"{name}.beta"] = 0.3 * normal(shape[0])
            found[f"{name}.mean"] = 0.3 * normal(shape[0])
            found[f"{name}.var"] = 0.5 + normal(shape[0]).abs()
    return found


@pytest.fixture(scope="module")
def images():
    numbers = torch.Generator().manual_seed(1)
    shape = (2, 3, LEAST_SIDE, LEAST_SIDE)
    return 2 * torch.rand(shape, generator=numbers, dtype=torch.float64) - 1


@pytest.fixture(scope="module")
def expected(parameters, images):
    """The features of the net with BatchNorms, in float64."""
    net = InceptionNet()
    for name, part in list(net.named_modules()):
        if isinstance(part, Convolution):
            own = [parameters[f"{name}.{each}"] for each in ("weight", "beta", "mean", "var")]
            parent, _, child = name.rpartition(".")
            setattr(net.get_submodule(parent), child, Unfolded(part, *own))
    found = net(images)
    assert found.shape == (2, NUM_FEATURES)
    assert found.min() >= 0
    # It is no constant that any net would give.
    assert found[0].std() > 0.01
    assert (found[0] - found[1]).norm() > 0.01 * found[0].norm()
    return found


def distance(found, expected):
    """How far they are apart, relative to the length of what is expected."""
    return ((found.double() - expected).norm() / expected.norm()).item()


def test_folding_is_exact_but_for_rounding(parameters, images, expected):
    """In float64 the two differ by no more than sums of so many terms can, layer on layer."""
    net = InceptionNet().double()
    for name, part in net.named_modules():
        if isinstance(part, Convolution):
            own = (parameters[f"{name}.{each}"] for each in ("weight", "beta", "mean", "var"))
            with torch.no_grad():
                part.fold(*own)
    assert distance(net(images), expected) <= DEPTH * TERMS * 2**-53


def test_in_float32_it_rounds_as_chance_would_have_it(parameters, images, expected):
    """The error of a sum of n terms grows with the root of n (Higham and Mary 2019)."""
    found = folded(parameters)(images.float())
    assert found.dtype == torch.float32
    assert distance(found, expected) <= DEPTH * TERMS**0.5 * 2**-24


def test_channels_last_is_the_same_net(parameters, images, expected):
    net = folded(parameters).to(memory_format=torch.channels_last)
    found = net(images.float().contiguous(memory_format=torch.channels_last))
    assert distance(found, expected) <= DEPTH * TERMS**0.5 * 2**-24


def test_it_is_frozen_and_draws_no_random_numbers():
    before = torch.get_rng_state()
    net = InceptionNet()
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(weight.requires_grad for weight in net.parameters())


@pytest.mark.skipif(INCEPTION.locate() is None, reason="the Inception weights are not here")
def test_it_is_the_net_of_the_file():
    content = INCEPTION.locate().read_bytes()
    published = inception.as_published(content)
    ours = inception.load(content, torch.device("cpu"))
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8, generator=numbers)
    prepared = inception.prepare(images)
    with torch.inference_mode():
        expected = published(prepared)
        assert distance(ours(prepared), expected.double()) <= DEPTH * TERMS**0.5 * 2**-24
