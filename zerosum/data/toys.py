"""Points drawn from Gaussians in the plane: data sets that train in seconds and show every mode.

To all that deals with images a point is an image of two channels and one pixel. It is kept as
floats, since 256 levels would be coarser than the Gaussians are.
"""

from __future__ import annotations

import numpy as np
import torch

from zerosum.data.images import ImageSet, to_tensor
from zerosum.data.mixture import Mixture


def draw_points(mixture: Mixture, *, count: int, seed: int, name: str) -> ImageSet:
    """Draw points from Gaussians, each point from one that is as likely as the others.

    Args:
        mixture: the Gaussians.
        count: points to draw.
        seed: decides them, the same on every machine and for ever.
        name: of the data set.

    Returns:
        Points, float32 (count, 2, 1, 1); as labels the Gaussian that each was drawn from.
    """
    # RandomState, because its numbers never change from one version of numpy to the next: a run
    # is resumed only on the same points.
    numbers = np.random.RandomState(seed % 2**32)
    labels = numbers.randint(len(mixture.centres), size=count, dtype=np.int64)
    noise = numbers.standard_normal((count, 2))
    points = np.array(mixture.centres)[labels] + mixture.deviation * noise
    return ImageSet(
        images=to_tensor(points.astype(np.float32)),
        labels=torch.from_numpy(labels),
        classes=mixture.names(),
        name=name,
    )
