"""A run's samples as files of each kind."""

import numpy as np
import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.inference.sample_files import WALK_STEPS, write_arrays, write_folder, write_samples


def test_each_kind_holds_the_samples_that_python_gives(run, tmp_path):
    samples = run.sample(3, seed=5)
    write_samples(run, tmp_path / "deep/er/three.npz", count=3, seed=5)
    with np.load(tmp_path / "deep/er/three.npz") as arrays:
        assert np.array_equal(arrays["images"], samples)
    write_samples(run, tmp_path / "three", count=3, seed=5)
    assert sorted(path.name for path in (tmp_path / "three").iterdir()) == [
        "000000.png",
        "000001.png",
        "000002.png",
    ]
    with Image.open(tmp_path / "three/000002.png") as image:
        assert np.array_equal(np.asarray(image), samples[2, :, :, 0])


def test_a_walk_takes_all_its_steps(run, tmp_path):
    write_samples(run, tmp_path / "walk.GIF", count=1)
    with Image.open(tmp_path / "walk.GIF") as film:
        assert film.n_frames <= WALK_STEPS  # Pillow joins frames that are alike
        assert film.n_frames > WALK_STEPS / 2


def test_labels_lie_beside_the_images_where_there_are_any(tmp_path):
    images = np.zeros((2, 4, 4, 1), np.uint8)
    write_arrays(images, tmp_path / "with.npz", labels=np.array([1, 0]))
    write_arrays(images, tmp_path / "without.npz", labels=None)
    write_arrays(np.ones((2, 2), np.float32), tmp_path / "points.npz", labels=None)
    kept = {path.stem: set(np.load(path).files) for path in tmp_path.glob("*.npz")}
    assert kept == {"with": {"images", "labels"}, "without": {"images"}, "points": {"points"}}


def test_points_make_no_folder(tmp_path):
    with pytest.raises(UserError, match="make no folder of images"):
        write_folder(np.zeros((2, 2), np.float32), tmp_path / "out")
    assert not (tmp_path / "out").exists()


class TestRefusals:
    """They come before anything is made: there is no run to make it."""

    def test_another_suffix(self, tmp_path):
        with pytest.raises(UserError, match=r"cannot be written as 'some\.jpg'"):
            write_samples(None, tmp_path / "some.jpg", count=1)

    def test_a_folder_in_which_something_is(self, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match="is not empty"):
            write_samples(None, tmp_path, count=1)

    def test_a_place_that_cannot_be_written(self, run, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=r"file/grid\.png"):
            write_samples(run, tmp_path / "file/grid.png", count=1)
