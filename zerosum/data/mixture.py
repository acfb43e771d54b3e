"""Gaussians in the plane, the toys on which mode collapse can be seen and counted.

Says where they are, without torch: drawing points of them is `named`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

Centre = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Gaussians of equal shares, each as wide in every direction."""

    centres: tuple[Centre, ...]
    deviation: float  # standard deviation along either axis
    counts: Mapping[str, int]  # points in each split

    def names(self) -> tuple[str, ...]:
        """What the modes are called: the places of their centres."""
        # Adding 0.0 makes 0 of -0.
        return tuple(f"({round(x, 2) + 0.0:g},{round(y, 2) + 0.0:g})" for x, y in self.centres)


def ring(count: int, *, radius: float) -> tuple[Centre, ...]:
    """Centres at even angles on a circle around 0, counted from the right, against the clock."""
    angles = [2 * math.pi * index / count for index in range(count)]
    return tuple((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles)


def grid(side: int, *, spacing: float) -> tuple[Centre, ...]:
    """Centres of a square of `side` by `side` around 0, column after column from below."""
    ticks = [spacing * (index - (side - 1) / 2) for index in range(side)]
    return tuple(product(ticks, ticks))
