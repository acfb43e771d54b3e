"""The kernel distance between two sets of features, KID: the squared maximum mean discrepancy.

Unlike the Fréchet distance it is unbiased, so it may be compared between sets of different sizes
and is near 0, on either side, for two sets of one distribution.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zerosum.metrics.registry import Spread, register

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
    numbers = np.random.RandomState(seed)
    size = min(SUBSET_SIZE, len(first), len(second))
    exact = first.double(), second.double()
    distances = []
    differ = size < max(len(first), len(second))
    for _ in range(NUM_SUBSETS if differ else 1):
        chosen = (
            features[torch.from_numpy(numbers.choice(len(features), size, replace=False))]
            for features in exact
        )
        distances.append(squared_discrepancy(*chosen))
    return Spread(float(np.mean(distances)), float(np.std(distances)) if differ else None)


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
    lambda pair: kernel_distance(*pair.features, seed=pair.seed),
    better="lower",
    doubt=only_one_subset,
)
