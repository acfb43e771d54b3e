"""The task of making points in the plane of noise: the toys on which modes can be counted."""

from __future__ import annotations

from PIL import Image

from zerosum.data.arrays import Samples
from zerosum.data.catalog import mixture_of
from zerosum.data.images import ImageSet
from zerosum.plots.charts import scatter
from zerosum.plots.grids import Presentation
from zerosum.tasks.generation import Generation


class PointPresentation(Presentation):
    """Samples that are points."""

    array = "points"
    no_images = "Points in the plane are no images"

    def picture(self, samples: Samples, *, data: str, columns: int | None = None) -> Image.Image:
        """Draw points, float32 (n, 2), over the modes of the data where they are known.

        All are in one chart, whatever the columns.
        """
        return scatter(samples, mixture_of(data))


class Points(Generation):
    """See `zerosum.tasks.Task`; all but what is looked at is as with images."""

    presentation = PointPresentation()
    pictured = 2500
    """As many as PacGAN shows and counts (arXiv 1712.04086, section 4.1)."""

    def describe(self, images: ImageSet) -> str:
        """Points have no size and no colours."""
        return "points in the plane"

    def next_steps(self, path: str) -> list[str]:
        """Sample as many as were counted; a film shows how they move with z."""
        return [
            f"zerosum sample {path} -n {self.pictured} --out samples.png",
            f"zerosum sample {path} -n {self.pictured} --out walk.gif",
            f"zerosum play {path} --open",
        ]
