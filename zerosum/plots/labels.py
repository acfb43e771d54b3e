"""Where a label fits beside a line.

A chart that is text cannot measure its letters: they are guessed, rather too wide than too narrow.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

Place = tuple[float, float]
"""Pixels from the left and from the top."""

LETTER, WIDE_LETTER = 8.2, 13.0  # in pixels, of a font of 12
ASCENT, DESCENT = 9, 3
ABOVE, BELOW = -12, 18  # from a mark to the base of its label


def text_width(content: str) -> float:
    """The room for a text of 12 pixels, in pixels; for Chinese signs more."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in content)
    return WIDE_LETTER * wide + LETTER * (len(content) - wide)


def label_base(places: Sequence[Place], mark: Place, *, left: float, right: float) -> float:
    """Put a label above or below a mark, where the line is farther off.

    Args:
        places: the line's points, at least one, from left to right.
        mark: the point that is labelled.
        left: where the label begins.
        right: where it ends.

    Returns:
        The base of the text, in pixels from the top.
    """
    inside = clipped(places, left, right)

    def clearance(base: float) -> float:
        top, bottom = base - ASCENT, base + DESCENT
        pairs = zip(inside, inside[1:] or inside, strict=False)
        return min(
            (max(top - max(a[1], b[1]), min(a[1], b[1]) - bottom) for a, b in pairs),
            default=0.0,
        )

    return max((mark[1] + ABOVE, mark[1] + BELOW), key=clearance)


def clipped(places: Sequence[Place], left: float, right: float) -> list[Place]:
    """The part of a line between two places across."""
    found = [place for place in places if left <= place[0] <= right]
    for (x, y), (next_x, next_y) in pairwise(places):
        found += [
            (edge, y + (next_y - y) * (edge - x) / (next_x - x))
            for edge in (left, right)
            if x < edge < next_x
        ]
    return sorted(found, key=lambda place: place[0])
