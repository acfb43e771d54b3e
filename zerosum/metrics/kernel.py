"""The kernel distance between two sets of features, KID: the squared maximum mean discrepancy.

Unlike the Fréchet distance it is unbiased, so it may be compared between sets of different sizes
and is near 0, on either side, for two sets of one distribution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zerosum.metrics.registry import Spread, register

if TYPE_CHECKING:
    from zerosum.metrics.evaluate import Comparison

NUM_SUBSETS = 100
SUBSET_SIZE = 1000


def kernel_distance(first: Tensor, second: Tensor, *, seed: int) -> Spread:
    """Mean and spread of MMD² over random subsets, by torch-fidelity's protocol.

    Args:
        first: features (n, d), n at least 2.
        second: features (m, d), m at least 2.
        seed: decides the subsets, drawn in torch-fidelity's order from numpy's generator of the
            same name, so that the same seed gives its metric.

    Returns:
        Over 100 pairs of subsets of 1,000 features. Where neither set has more, of all features,
        once, and without a spread.

    Source: Bińkowski et al. 2018, arXiv 1801.01401, section 4; torch-fidelity 0.4.0.
    """
    subsets = drawn_subsets(len(first), len(second), seed=seed)
    return mean_discrepancy((first[one], second[other]) for one, other in subsets)


def drawn_subsets(first: int, second: int, *, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw the pairs of subsets, as rows of sets of so many features; the memory of one pair."""
    numbers = np.random.RandomState(seed)
    size = min(SUBSET_SIZE, first, second)
    for _ in range(NUM_SUBSETS if size < max(first, second) else 1):
        # Copies: what numpy gives are a few numbers of an order of all, which it would keep.
        one, other = (
            torch.from_numpy(numbers.choice(count, size, replace=False).copy())
            for count in (first, second)
        )
        yield one, other


def rows_in_subsets(first: int, second: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """The rows of either set that are in any subset, ascending."""
    sides = zip(*drawn_subsets(first, second, seed=seed), strict=True)
    one, other = (torch.unique(torch.cat(rows)) for rows in sides)
    return one, other


def mean_discrepancy(subsets: Iterable[tuple[Tensor, Tensor]]) -> Spread:
    """The mean and spread of MMD² of pairs of subsets, features (k, d) twice."""
    found = [squared_discrepancy(one.double(), other.double()) for one, other in subsets]
    return Spread(float(np.mean(found)), float(np.std(found)) if len(found) > 1 else None)


def kernel_distance_of(pair: Comparison) -> Spread:
    """The distance between samples and reference, of whose features these may be all that is kept.

    As `kernel_distance` of all features, to the last bit.
    """
    subsets = drawn_subsets(len(pair.fake), len(pair.real), seed=pair.seed)
    return mean_discrepancy(
        (
            pair.fake.kept_features[pair.fake.places(one)],
            pair.real.kept_features[pair.real.places(other)],
        )
        for one, other in subsets
    )


def squared_discrepancy(first: Tensor, second: Tensor) -> float:
    """The unbiased estimate of MMD² under the kernel (x·y / d + 1)³.

    Args:
        first: float64 features (n, d), n at least 2.
        second: float64 features (m, d), m at least 2.

    Source: Gretton et al. 2012, JMLR 13, equation 3. A feature is not paired with itself, which
    is what removes the bias.
    """
    within = sum(
        (kernel.sum() - kernel.trace()) / (len(kernel) * (len(kernel) - 1))
        for kernel in (cubic_kernel(first, first), cubic_kernel(second, second))
    )
    return float(within - 2 * cubic_kernel(first, second).mean())


def cubic_kernel(first: Tensor, second: Tensor) -> Tensor:
    """(x·y / d + 1)³ for all pairs of (n, d) and (m, d): (n, m)."""
    return (first @ second.T).div_(first.shape[1]).add_(1).pow_(3)


def only_one_subset(*, count: int, **_: int) -> str | None:
    """Doubt a distance of few images."""
    if count >= SUBSET_SIZE:
        return None
    return (
        f"it is meant as the mean over subsets of {SUBSET_SIZE:,} images, and {count:,} make "
        "only one, a smaller one."
    )


register(
    "kid",
    kernel_distance_of,
    better="lower",
    rows=rows_in_subsets,
    doubt=only_one_subset,
)
