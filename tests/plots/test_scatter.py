"""The picture of points in the plane."""

import numpy as np
import pytest

from zerosum.data.catalog import mixture_of
from zerosum.plots.pictures import picture
from zerosum.plots.scatter import BRINK, CAPTION, EDGE, SIDE, scatter, to_pixels

RING = mixture_of("ring")


def pixels(points, mixture=None):
    """The plane without its frame and caption, int (h, w, 3)."""
    drawn = scatter(np.array(points, np.float32), mixture)
    assert drawn.size == (SIDE, SIDE + CAPTION)
    return np.asarray(drawn).astype(int)[:SIDE][2:-2, 2:-2]


def blue(plane):
    """Where samples are drawn: (row, column) of bluish pixels."""
    return np.argwhere(plane[..., 2] - plane[..., 0] > 60)


def orange(plane):
    """Where modes are drawn."""
    return np.argwhere(plane[..., 0] - plane[..., 2] > 60)


def test_a_point_is_drawn_where_it_is_and_up_is_up():
    row, column = blue(pixels([[0.5, 0.8]])).mean(axis=0) + 2
    assert column == pytest.approx((0.5 / EDGE + 1) * SIDE / 2, abs=1)
    assert row == pytest.approx((1 - 0.8 / EDGE) * SIDE / 2, abs=1)


def test_corners_are_corners():
    brink = (1 - BRINK / EDGE) * 50
    found = np.array(to_pixels(np.array([[-BRINK, BRINK], [BRINK, -BRINK], [0, 0]]), 100))
    assert found == pytest.approx(np.array([[brink] * 2, [100 - brink] * 2, [50, 50]]))


def test_a_point_outside_is_drawn_at_the_edge():
    found = blue(pixels([[7, 0]]))
    assert len(found)
    assert found[:, 1].min() > SIDE - 10


def test_many_points_are_darker_than_one():
    one, many = pixels([[0, 0]]), pixels(np.zeros((20, 2)))
    assert many.sum() < one.sum()
    assert blue(many).mean(axis=0) == pytest.approx(blue(one).mean(axis=0), abs=0.5)


def test_every_mode_has_a_circle_around_it_even_without_points():
    plane = pixels([[0, 0]], RING)
    found = orange(plane) + 2
    places = np.array(to_pixels(np.array(RING.centres), SIDE))[:, ::-1]
    distances = np.linalg.norm(found[:, None] - places[None], axis=2)
    assert distances.min(axis=1).max() < 12  # nothing is anywhere else
    assert set(distances.argmin(axis=1)) == set(range(8))  # none has been left out
    assert not len(orange(pixels([[0, 0]])))


def test_the_background_is_white():
    plane = pixels([[0, 0]], RING)
    assert (plane.min(axis=2) == 255).mean() > 0.9


@pytest.mark.parametrize(
    ("centres", "covered"), [(RING.centres, 8), (RING.centres[:3], 3), (((0, 0),), 0)]
)
def test_the_caption_counts(centres, covered, monkeypatch):
    written = []
    monkeypatch.setattr(
        "PIL.ImageDraw.ImageDraw.text",
        lambda self, place, text, *rest, **more: written.append(text),
    )
    scatter(np.array(centres, np.float32), RING)
    assert written[0].startswith(f"{covered} of 8 modes (circles) are found by {len(centres)} poi")
    assert f"{100 if covered else 0:.1f}% of which" in written[0]


def test_a_picture_is_a_scatter_plot_of_points_and_a_grid_of_images():
    points = np.zeros((4, 2), np.float32)
    assert picture(points, data="ring").tobytes() == scatter(points, RING).tobytes()
    assert picture(points, data="mine.npz").tobytes() == scatter(points).tobytes()
    assert picture(np.zeros((4, 84, 84, 1), np.uint8), data="mnist").size == (174, 174)
