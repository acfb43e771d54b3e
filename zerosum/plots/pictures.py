"""What samples look like outside of the nets, where it depends on what the data is."""

from __future__ import annotations

from PIL import Image

from zerosum.data.arrays import Samples
from zerosum.plots.grids import comfortable_scale, grid


class Form:
    """Samples that are images; a task whose samples are none has a form of its own.

    Attributes:
        array: what an .npz file calls them.
        no_images: says that they are no images, where they are not.
    """

    array = "images"
    no_images = ""

    def picture(self, samples: Samples, *, data: str) -> Image.Image:
        """Draw samples: uint8 (n, h, w, c) in a grid, whatever data G was trained on."""
        return grid(samples, scale=comfortable_scale(*samples.shape[1:3]))
