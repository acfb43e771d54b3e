"""Modes counted where the answer is known."""

import math

import pytest
import torch

from zerosum import data
from zerosum.metrics.features import feature_net
from zerosum.metrics.modes import count_modes, stacked_labels

UNIFORM = torch.full((10,), 0.1)


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


def test_three_digits_make_a_number():
    test = data.load("mnist", split="test")
    stacked = torch.cat([test.images[:90:3], test.images[1:90:3], test.images[2:90:3]], dim=1)
    numbers = 100 * test.labels[:90:3] + 10 * test.labels[1:90:3] + test.labels[2:90:3]
    net = feature_net("digits", device=torch.device("cpu"))
    assert (stacked_labels(net, stacked) == numbers).double().mean() >= 29 / 30
