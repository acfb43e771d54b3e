"""The sliced Wasserstein distance between two sets of images, in pixels.

It needs no feature net, works for images of any shape and takes milliseconds, so a training can
afford it at every checkpoint to tell a better G from a worse one of the same run. It is no judge
between runs or papers.
"""

from __future__ import annotations

import torch
from torch import Tensor

PROJECTIONS = 256


def sliced_wasserstein(first: Tensor, second: Tensor, *, directions: Tensor) -> float:
    """Mean over directions of the 1-Wasserstein distance of the projected sets.

    Args:
        first: float (n, ...), any shape per item.
        second: float (n, ...), as many items of the same shape.
        directions: float (d, PROJECTIONS) unit columns, d the entries of one item.

    Returns:
        The distance, in units of a pixel's value times sqrt(d); 0 for equal sets.

    Source: Rabin et al. 2011; used for GANs by Karras et al. 2018, arXiv 1710.10196, section 5.
    On a line the optimal transport pairs the sorted values.
    """
    if first.shape != second.shape:
        raise ValueError(f"The sets have shapes {first.shape} and {second.shape}: expected equal.")
    projected = [(images.flatten(1) @ directions).sort(dim=0).values for images in (first, second)]
    return (projected[0] - projected[1]).abs().mean().item()


def random_directions(entries: int, *, device: torch.device) -> Tensor:
    """Draw unit vectors, uniform on the sphere, as the columns of (entries, PROJECTIONS)."""
    normal = torch.randn(entries, PROJECTIONS, device=device)
    return torch.nn.functional.normalize(normal, dim=0)
