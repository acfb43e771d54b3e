"""Values that change while a run goes on: a penalty's weight, a learning rate, Adam's beta.

A schedule is a function of the real images seen, never of steps, so that it means the same for
every batch size and order of turns. It has no state: a resumed run is where it was.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerosum.game.core import Schedule


def cosine(start: float, end: float, *, images: int) -> Schedule:
    """From `start` along half a wave of the cosine to `end`, there at `images` seen; then constant.

    Flat at both ends and steepest in the middle. R3GAN (Huang et al. 2025, arXiv 2501.05441)
    anneals its learning rate, penalties, Adam's second beta and the average's half-life so.
    """

    def value(seen: int) -> float:
        if seen >= images:
            return end
        return start + (end - start) * (1 - math.cos(math.pi * seen / images)) / 2

    return value


def linear(start: float, end: float, *, images: int, begin: int = 0) -> Schedule:
    """`start` until `begin`, then straight to `end`, there at `images` seen in all; then constant.

    With an end of 0 and `begin` half way it is the learning rate of pix2pix (Isola et al. 2017,
    arXiv 1611.07004).
    """

    def value(seen: int) -> float:
        if seen >= images:
            return end
        if seen <= begin:
            return start
        return start + (end - start) * (seen - begin) / (images - begin)

    return value
