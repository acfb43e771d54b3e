"""The kernel distance against its definition, its expectation, and torch-fidelity's metric."""

from itertools import permutations

import numpy as np
import pytest
import torch

from zerosum.metrics.embedding import Embedding
from zerosum.metrics.evaluate import Comparison
from zerosum.metrics.frechet import Moments
from zerosum.metrics.kernel import (
    drawn_subsets,
    kernel_distance,
    kernel_distance_of,
    rows_in_subsets,
    squared_discrepancy,
)


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


def test_the_features_in_subsets_are_all_that_it_takes():
    first, second = normal(1500, 3, seed=0).float(), normal(1200, 3, seed=1).float()
    rows = rows_in_subsets(1500, 1200, seed=5)
    assert [len(each) for each in rows] == [1500, 1200]  # of few, all are in some subset
    sparse = rows_in_subsets(300_000, 1200, seed=5)[0]
    assert len(sparse) < 100 * 1000
    assert torch.equal(sparse, sparse.unique())
    drawn = set()
    for one, _ in drawn_subsets(300_000, 1200, seed=5):
        drawn |= set(one.tolist())
    assert drawn == set(sparse.tolist())

    def kept(features, rows):
        moments = Moments.of(features)
        return Embedding(moments=moments, features=features[rows], logits=None, rows=rows)

    pair = Comparison(kept(first, rows[0]), kept(second, rows[1]), net=None, seed=5)
    assert kernel_distance_of(pair) == kernel_distance(first, second, seed=5)
