"""What stands for a feature net where the data are points in the plane: their own coordinates."""

from __future__ import annotations

import hashlib
from functools import partial

import torch
from torch import Tensor

from zerosum.data.catalog import DATASETS
from zerosum.data.mixture import Mixture
from zerosum.errors import UserError
from zerosum.metrics.features import FeatureNet, register


def look_at_points(points: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """See which Gaussian each point belongs to.

    Args:
        points: float (b, 2, 1, 1).
        mixture: k Gaussians.

    Returns:
        Features (b, 2), the coordinates. And logits (b, k) of the Gaussians, of which
        `deviations` gives the distances back: but for a constant log-likelihoods, so that the
        most likely Gaussian is the nearest.

    Raises:
        UserError: these are images.
    """
    if points.dtype == torch.uint8:
        raise UserError(
            f"Images of the shape {tuple(points.shape[1:])} were to be compared as points in the "
            "plane, by their coordinates. Choose --features, and a --reference, of images."
        )
    places = points.flatten(1).double()
    centres = torch.tensor(mixture.centres, dtype=torch.float64, device=points.device)
    distances = (places[:, None] - centres).square().sum(dim=2)
    return places, -distances / (2 * mixture.deviation**2)


def deviations(logits: Tensor) -> Tensor:
    """The distances of points from centres, in standard deviations: logits (b, k) -> (b, k)."""
    return (-2 * logits.double()).sqrt()


def plane_net(device: torch.device, name: str, mixture: Mixture) -> FeatureNet:
    """Make what looks at points of Gaussians in the plane, those of a data set."""
    # Centres and deviation stand for the weights.
    known = repr((mixture.centres, mixture.deviation)).encode()
    return FeatureNet(
        name=name,
        sha256=hashlib.sha256(known).hexdigest(),
        resize="coordinates as they are",
        classes=DATASETS[name].classes,
        look=lambda points: look_at_points(points.to(device), mixture),
        even_classes=True,
        gaussians=True,
    )


for _name, _about in DATASETS.items():
    if _about.mixture:
        register(_name, partial(plane_net, name=_name, mixture=_about.mixture), data=[_name])
