import numpy as np

from zerosum.plots.pictures import Form


def test_a_picture_of_images_is_a_grid():
    samples = np.zeros((4, 84, 84, 1), np.uint8)
    assert Form().picture(samples, data="mnist").size == (174, 174)
