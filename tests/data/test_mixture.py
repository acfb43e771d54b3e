"""Where the Gaussians of the toys are."""

import math

import numpy as np
import pytest

from zerosum.data.mixture import grid, ring


def test_a_ring_lies_at_even_angles():
    places = np.array(ring(8, radius=2))
    assert np.hypot(*places.T) == pytest.approx(np.full(8, 2))
    assert places[[0, 2]] == pytest.approx(np.array([[2, 0], [0, 2]]))
    assert places[1] == pytest.approx(np.full(2, math.sqrt(2)))
    neighbours = np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1)
    assert neighbours == pytest.approx(np.full(8, 4 * math.sin(math.pi / 8)))


def test_a_grid_is_a_square_around_zero():
    ticks = (-4, -2, 0, 2, 4)
    assert grid(5, spacing=2) == tuple((x, y) for x in ticks for y in ticks)
    assert grid(2, spacing=1) == ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))
