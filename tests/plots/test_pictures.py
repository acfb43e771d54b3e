import numpy as np

from zerosum.data.catalog import mixture_of
from zerosum.plots.charts import scatter
from zerosum.plots.pictures import picture


def test_a_picture_is_a_scatter_plot_of_points_and_a_grid_of_images():
    points = np.zeros((4, 2), np.float32)
    assert picture(points, data="ring").tobytes() == scatter(points, mixture_of("ring")).tobytes()
    assert picture(points, data="mine.npz").tobytes() == scatter(points).tobytes()
    assert picture(np.zeros((4, 84, 84, 1), np.uint8), data="mnist").size == (174, 174)
