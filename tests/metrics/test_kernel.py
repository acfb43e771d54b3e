"""The kernel distance against its definition, its expectation, and torch-fidelity's metric."""

from itertools import permutations

import numpy as np
import pytest
import torch

from zerosum.metrics.kernel import kernel_distance, squared_discrepancy


def normal(count, size, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=generator, dtype=torch.float64) + shift


def test_the_definition_written_out():
    first, second = normal(5, 3, seed=0), normal(4, 3, seed=1)

    def kernel(x, y):
        return (float(x @ y) / 3 + 1) ** 3

    within_first = np.mean([kernel(x, y) for x, y in permutations(first, 2)])
    within_second = np.mean([kernel(x, y) for x, y in permutations(second, 2)])
    across = np.mean([kernel(x, y) for x in first for y in second])
    expected = within_first + within_second - 2 * across
    assert squared_discrepancy(first, second) == pytest.approx(expected)


def test_it_is_unbiased_for_the_smallest_sets():
    """The mean over many small sets of one distribution is 0, where a biased estimate is not."""
    distances = [
        squared_discrepancy(normal(3, 4, seed=2 * i), normal(3, 4, seed=2 * i + 1))
        for i in range(2000)
    ]
    error = np.std(distances) / np.sqrt(len(distances))
    assert abs(np.mean(distances)) < 3 * error
    assert error < 0.1


def test_it_agrees_with_torch_fidelity(two_sets):
    found = kernel_distance(*two_sets, seed=2020)
    assert found.mean == pytest.approx(0.0431879807, rel=1e-5)
    assert found.deviation == pytest.approx(0.0046664155, rel=1e-5)


def test_sets_smaller_than_a_subset_are_taken_whole():
    found = kernel_distance(normal(20, 4, seed=0), normal(20, 4, seed=1, shift=1), seed=0)
    whole = squared_discrepancy(normal(20, 4, seed=0), normal(20, 4, seed=1, shift=1))
    assert found.mean == pytest.approx(whole)
    assert found.deviation is None
