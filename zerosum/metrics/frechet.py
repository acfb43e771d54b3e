"""The Fréchet distance between two sets of features, taken as Gaussians: FID's formula."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|mu1 - mu2|² + tr(S1 + S2 - 2 (S1 S2)^½), in float64.

    Args:
        first: features (n, d), n at least 2.
        second: features (m, d), m at least 2.

    Returns:
        The squared distance, 0 for equal means and covariances. It depends on n and m: compare
        only figures with the same.

    Source: Heusel et al. 2017, arXiv 1706.08500, equation 6; Dowson and Landau 1982.
    """
    (mean1, cov1), (mean2, cov2) = (moments(features.double()) for features in (first, second))
    # tr (S1 S2)^½ = tr (S1^½ S2 S1^½)^½, which is symmetric and has no complex roots.
    root = symmetric_root(cov1)
    cross: Tensor = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * cross
    return max(0.0, float(distance))


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and unbiased covariance (d, d)."""
    return features.mean(dim=0), torch.cov(features.T)


def symmetric_root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
