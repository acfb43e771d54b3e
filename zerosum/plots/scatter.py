"""Points in the plane as a picture: samples, and where the modes of the data are."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from zerosum.data.arrays import Points
from zerosum.data.mixture import Mixture
from zerosum.metrics.modes import GOOD_DEVIATIONS, count_gaussian_modes
from zerosum.plots.charts import COLOURS

SIDE, CAPTION = 480, 46
EDGE, BRINK = 1.05, 1.03
"""The picture shows the plane from -EDGE to EDGE, a little more than a Tanh reaches. What lies
outside is drawn at the brink."""
DOT, ROOM = 1.3, 3
"""Radius of a dot, and how much wider than its Gaussian a circle is, in pixels."""
SMOOTH = 3
"""Pixels are drawn so many times as small, and averaged."""
WHITE, INK = "#ffffff", "#444444"
SAMPLE, MODE = COLOURS[:2]  # blue and vermillion, which everybody tells apart
OPACITY = "80"  # of a dot, in hexadecimal, so that many in one place are darker than few


def scatter(points: Points, mixture: Mixture | None = None) -> Image.Image:
    """Draw points as blue dots, inside circles where 99 % of the data's points are.

    Args:
        points: float (n, 2), n at least 1. One outside of the picture is drawn at its brink.
        mixture: the data's Gaussians, if they are known: a circle around each.

    Returns:
        A picture of the plane, and below it what was found, in words.
    """
    side = SIDE * SMOOTH
    plane = Image.new("RGB", (side, side), WHITE)
    draw = ImageDraw.Draw(plane, "RGBA")
    places = to_pixels(points, side)
    if mixture is not None:
        radius = GOOD_DEVIATIONS * mixture.deviation * side / (2 * EDGE)
        for centre in to_pixels(np.array(mixture.centres), side):
            draw.circle(tuple(centre), radius + ROOM * SMOOTH, outline=MODE, width=SMOOTH)
    for place in places:
        draw.circle(tuple(place), DOT * SMOOTH, fill=SAMPLE + OPACITY)
    picture = Image.new("RGB", (SIDE, SIDE + CAPTION), WHITE)
    picture.paste(plane.reduce(SMOOTH))
    below = ImageDraw.Draw(picture)
    below.rectangle((0, 0, SIDE - 1, SIDE - 1), outline="#cccccc")
    text = caption(points, mixture)
    below.text((8, SIDE + 6), text, INK, ImageFont.load_default(14), spacing=3)
    return picture


def to_pixels(points: np.ndarray, side: int) -> list[list[float]]:
    """Where points (n, 2) lie in a picture of so many pixels a side, up being up."""
    inside = np.clip(points, -BRINK, BRINK) * (1, -1)
    places: list[list[float]] = ((inside / EDGE + 1) * side / 2).tolist()
    return places


def caption(points: Points, mixture: Mixture | None) -> str:
    """Say how many points there are, and which modes they cover."""
    if mixture is None:
        return f"{len(points):,} points between {-EDGE} and {EDGE}"
    centres = torch.tensor(mixture.centres)
    found = count_gaussian_modes(torch.from_numpy(points), centres, deviation=mixture.deviation)
    return (
        f"{found.covered} of {len(centres)} modes (circles) are found by {len(points):,} points,\n"
        f"{found.good:.1%} of which lie within {GOOD_DEVIATIONS} standard deviations of one"
    )
