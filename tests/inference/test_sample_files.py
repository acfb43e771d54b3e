"""A run's samples as files of each kind."""

import numpy as np
import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.inference.sample_files import WALK_STEPS, write_samples
from zerosum.plots.grids import Presentation
from zerosum.tasks.points import PointPresentation


def test_each_kind_holds_the_samples_that_python_gives(run, tmp_path):
    samples = run.sample(3, seed=5)
    write_samples(run, tmp_path / "deep/er/three.npz", presentation=Presentation(), count=3, seed=5)
    with np.load(tmp_path / "deep/er/three.npz") as arrays:
        assert np.array_equal(arrays["images"], samples)
    write_samples(run, tmp_path / "three", presentation=Presentation(), count=3, seed=5)
    assert sorted(path.name for path in (tmp_path / "three").iterdir()) == [
        "000000.png",
        "000001.png",
        "000002.png",
    ]
    with Image.open(tmp_path / "three/000002.png") as image:
        assert np.array_equal(np.asarray(image), samples[2, :, :, 0])


def test_a_walk_takes_all_its_steps(run, tmp_path):
    write_samples(run, tmp_path / "walk.GIF", presentation=Presentation(), count=1)
    with Image.open(tmp_path / "walk.GIF") as film:
        assert film.n_frames <= WALK_STEPS  # Pillow joins frames that are alike
        assert film.n_frames > WALK_STEPS / 2


class Made:
    """A run that makes images of two classes, if it tells them."""

    def __init__(self, *, labels):
        self.told = labels

    def sample(self, count, **_):
        return np.zeros((count, 4, 4, 1), np.uint8)

    def labels(self, count, **_):
        return np.arange(count) % 2 if self.told else None


@pytest.mark.parametrize(
    ("labels", "presentation", "names"),
    [
        (True, Presentation(), {"images", "labels"}),
        (False, Presentation(), {"images"}),
        (False, PointPresentation(), {"points"}),
    ],
)
def test_arrays_are_called_what_they_are(tmp_path, labels, presentation, names):
    write_samples(Made(labels=labels), tmp_path / "made.npz", presentation=presentation, count=2)
    with np.load(tmp_path / "made.npz") as arrays:
        assert set(arrays.files) == names


class TestRefusals:
    """They come before anything is made: there is no run to make it."""

    def test_another_suffix(self, tmp_path):
        with pytest.raises(UserError, match=r"cannot be written as 'some\.jpg'"):
            write_samples(None, tmp_path / "some.jpg", presentation=Presentation(), count=1)

    def test_a_folder_in_which_something_is(self, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match="is not empty"):
            write_samples(None, tmp_path, presentation=Presentation(), count=1)

    def test_points_as_a_folder(self, tmp_path):
        with pytest.raises(UserError, match="make no folder of images"):
            write_samples(None, tmp_path / "out", presentation=PointPresentation(), count=1)
        assert not (tmp_path / "out").exists()

    def test_a_place_that_cannot_be_written(self, run, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=r"file/grid\.png"):
            write_samples(run, tmp_path / "file/grid.png", presentation=Presentation(), count=1)
