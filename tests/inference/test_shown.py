"""Samples that show themselves, and are arrays like any other in all else."""

import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
from zerosum.errors import UserError
from zerosum.inference.shown import MOST_PIXELS, ShownSamples, facts_html, shown
from zerosum.plots.grids import comfortable_scale, grid


@pytest.fixture
def images():
    return shown(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8))


def picture_of(array):
    content = array._repr_png_()
    return None if content is None else Image.open(io.BytesIO(content))


class TestPicture:
    def test_images_are_laid_out_as_sample_does(self, images):
        expected = grid(np.asarray(images), scale=comfortable_scale(8, 8))
        assert picture_of(images).tobytes() == expected.tobytes()

    def test_a_slice_shows_itself_too_and_one_image_alone_does_not(self, images):
        expected = grid(np.asarray(images)[:2], scale=comfortable_scale(8, 8))
        assert picture_of(images[:2]).tobytes() == expected.tobytes()
        for other in (images[0], images[0, 0, 0, 0:1], images[:0], images.reshape(5, 64)):
            assert not isinstance(other, ShownSamples) or picture_of(other) is None

    def test_many_and_large_images_make_no_huge_picture(self):
        many = shown(np.zeros((100_000, 4, 4, 3), np.uint8))
        large = shown(np.zeros((9, 900, 700, 3), np.uint8))
        assert max(picture_of(many).size) <= MOST_PIXELS
        assert max(picture_of(large).size) == MOST_PIXELS

    def test_points_are_scattered(self):
        points = shown(np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32))
        assert np.asarray(picture_of(points)).std() > 0
        assert picture_of(shown(np.zeros((4, 3), np.float32))) is None


class TestArray:
    def test_what_is_computed_is_plain(self, images):
        computed = [
            images / 255,
            255 - images,
            images.astype(np.float32),
            np.concatenate([images, images]),
            np.stack([images]),
            np.split(images, 5)[0],
            images.mean(axis=0),
            images == images,
            pickle.loads(pickle.dumps(images)),
        ]
        for array in computed:
            assert type(array) is np.ndarray
        assert np.array_equal(computed[0], np.asarray(images) / 255)
        assert isinstance(images.max(), np.uint8)

    def test_it_can_be_changed_in_place_and_written_into(self, images):
        before = np.array(images)
        images //= 2
        assert type(images) is ShownSamples
        assert np.array_equal(images, before // 2)
        np.add(before, 1, out=images)
        assert np.array_equal(images, before + 1)

    def test_torch_pillow_and_files_take_it(self, images, tmp_path):
        assert torch.equal(torch.from_numpy(images), torch.tensor(np.asarray(images)))
        assert Image.fromarray(images[0, ..., 0]).size == (8, 8)
        np.save(tmp_path / "a.npy", images)
        assert type(np.load(tmp_path / "a.npy")) is np.ndarray
        assert repr(images) == repr(np.asarray(images))


class TestRun:
    def test_samples_show_themselves(self, run):
        assert picture_of(run.sample(4)) is not None
        assert picture_of(run.sample_with_inputs(4).samples) is not None
        assert run.sample(4).dtype == np.uint8

    def test_a_run_shows_what_came_of_it(self, run):
        html = run._repr_html_()
        best = min(record["metrics"]["frechet_random"] for record in run.log())
        for text in (
            "120 images (3 epochs)",
            f"frechet_random {best:.4g}",
            "data:image/png;base64",
        ):
            assert text in html

    def test_a_run_that_has_not_begun_has_little_to_show(self, make_run):
        directory = make_run("<img src=x onerror=alert(1)>", metrics=None)
        for path in [directory.log_path, *directory.pictures()]:
            path.unlink()
        html = zerosum.load(directory.path)._repr_html_()
        assert "0 images" in html
        assert "<img" not in html
        assert "&lt;img src=x onerror" in html

    def test_nothing_in_facts_is_markup(self):
        html = facts_html("<b>", [("<i>", '"<script>')], None)
        assert "<b>" not in html
        assert "<script" not in html

    def test_the_log_as_a_frame(self, run):
        pytest.importorskip("pandas", reason="needs pandas")
        frame, records = run.log_frame(), run.log()
        assert list(frame["seen"]) == [40, 80, 120]
        assert frame["seen"].dtype.kind == "i"
        assert list(frame["loss_D"]) == [record["loss_D"] for record in records]
        metrics = [record["metrics"]["frechet_random"] for record in records]
        assert list(frame["metrics/frechet_random"]) == metrics
        assert list(frame["health"]) == [record["health"]["verdict"] for record in records]

    def test_the_log_of_a_run_that_has_not_begun_is_an_empty_frame(self, make_run):
        pytest.importorskip("pandas", reason="needs pandas")
        directory = make_run("new")
        directory.log_path.unlink()
        assert len(zerosum.load(directory.path).log_frame()) == 0

    def test_without_pandas_the_frame_says_what_to_do(self, run, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "pandas", None)
        with pytest.raises(UserError, match="pip install pandas"):
            run.log_frame()
