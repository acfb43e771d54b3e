"""Samples as one picture: images in a grid, points in the plane over the modes of the data."""

from __future__ import annotations

from PIL import Image

from zerosum.data.arrays import Samples
from zerosum.data.catalog import mixture_of
from zerosum.plots.charts import scatter
from zerosum.plots.grids import comfortable_scale, grid


def picture(samples: Samples, *, data: str) -> Image.Image:
    """Draw samples: images in a grid, points in the plane over the modes of the data.

    Args:
        samples: uint8 (n, h, w, c), or float32 (n, 2).
        data: what the generator was trained on, a data set's name or a path.
    """
    if samples.ndim == 2:
        return scatter(samples, mixture_of(data))
    return grid(samples, scale=comfortable_scale(*samples.shape[1:3]))
