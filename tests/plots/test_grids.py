import numpy as np
import pytest

from zerosum.plots.grids import GAP, Presentation, comfortable_scale, grid, to_picture


def flat(count, height=2, width=3, channels=1):
    """Images in one value each: the first all 0, the second all 1 and so on."""
    values = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(values, (count, height, width, channels)).copy()


def test_every_pixel_is_where_it_belongs():
    expected = np.full((2 + 2 * (2 + GAP), 2 + 2 * (3 + GAP)), 255)
    expected[2:4, 2:5] = 0
    expected[2:4, 7:10] = 1
    expected[6:8, 2:5] = 2  # and the fourth place stays empty
    assert np.array_equal(np.asarray(grid(flat(3))), expected)


def test_an_image_is_neither_turned_nor_mirrored():
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    assert np.array_equal(np.asarray(grid(image))[GAP:-GAP, GAP:-GAP], image[0, ..., 0])


@pytest.mark.parametrize(
    ("count", "columns", "shape"),
    [(16, None, (4, 4)), (1, None, (1, 1)), (5, None, (2, 3)), (7, 7, (1, 7)), (7, 2, (4, 2))],
)
def test_images_fill_rows_as_square_as_it_gets_or_as_told(count, columns, shape):
    rows, across = shape
    picture = grid(flat(count), columns=columns)
    assert picture.size == (GAP + across * (3 + GAP), GAP + rows * (2 + GAP))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_gray_rgb_and_rgba_stay_what_they_are(channels, mode):
    image = np.random.default_rng(0).integers(0, 256, (1, 4, 5, channels), np.uint8)
    picture = grid(image)
    assert picture.mode == to_picture(image[0]).mode == mode
    pixels = np.asarray(picture).reshape(picture.height, picture.width, channels)
    assert np.array_equal(pixels[GAP:-GAP, GAP:-GAP], image[0])
    assert (pixels[:GAP] == 255).all()


def test_enlarging_repeats_pixels():
    small, large = np.asarray(grid(flat(3))), np.asarray(grid(flat(3), scale=3))
    assert np.array_equal(large, small.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize(
    ("height", "scale"), [(8, 10), (28, 3), (64, 1), (84, 1), (512, 1), (1, 84)]
)
def test_small_images_are_enlarged_to_a_comfortable_size(height, scale):
    assert comfortable_scale(height) == scale


def test_a_picture_of_images_is_a_grid():
    samples = np.zeros((4, 84, 84, 1), np.uint8)
    assert Presentation().picture(samples, data="mnist").size == (174, 174)
