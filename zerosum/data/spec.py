"""What a net must know of a data set to be built for it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

POINT = (2, 1, 1)
"""The shape (c, h, w) of a point in the plane; no image has two channels and one pixel."""


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The form of a data set.

    Attributes:
        shape: (c, h, w) of one image.
        classes: their names, () where there are no labels.
        source_channels: of data to translate between, how many of the c channels, the first ones,
            are the source's; else 0.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...] = ()
    source_channels: int = 0

    @property
    def num_classes(self) -> int:
        """How many classes there are, 0 where there are no labels."""
        return len(self.classes)

    @property
    def target_channels(self) -> int:
        """Of data to translate between, the channels of the target."""
        return self.shape[0] - self.source_channels

    @property
    def are_points(self) -> bool:
        """Whether these are points in the plane and no images."""
        return self.shape == POINT
