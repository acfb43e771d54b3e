"""`zerosum evaluate --neighbours`: copies of training images are told from other images."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum import data
from zerosum.cli.main import run
from zerosum.errors import UserError
from zerosum.evaluation.neighbours import MOST_SAMPLES, save_sheet, thinned
from zerosum.metrics.evaluate import ImageCollection


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory and a cache of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    return tmp_path


class TestNeighbours:
    """A data set of its own: 300 training and 300 test digits, in a folder of IDX files."""

    @pytest.fixture
    def idx(self, here):
        folder = here / "idx"
        folder.mkdir()
        for split, prefix in (("train", "train"), ("test", "t10k")):
            pixels = data.load("mnist", split=split).images[:300, 0].numpy()
            header = np.array([0x803, *pixels.shape], ">u4").tobytes()
            (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())

    def judged(self, capsys, images):
        np.savez("samples.npz", images=images.numpy())
        asked = ("--reference", "idx", "--features", "digits", "--metrics", "fid")
        flags = ("--neighbours", "out/pairs.png", "--json")
        assert run(["evaluate", "samples.npz", *asked, *flags]) == 0
        found = json.loads(capsys.readouterr().out)["metrics"]
        return found["memorization_pixels"], found["memorization_features"]

    def test_copies_are_told_and_shown(self, idx, capsys):
        for found in self.judged(capsys, data.load("mnist").images[:100]):
            assert found["value"]["near"] == 1
            assert found["value"]["ratio"] < 0.01
            assert found["card"]["reference"]["split"] == "train"
            assert found["card"]["floor_of"]["split"] == "test"
        with Image.open("out/pairs.png") as sheet:
            pixels = np.asarray(sheet)
        # 24 pairs, four a row, three times enlarged; each sample equals the image on its right.
        assert pixels.shape == (3 * (6 * 30 + 2), 3 * (8 * 30 + 2))
        cells = pixels[6:, 6:][: 3 * 28, : 3 * 58]
        assert np.array_equal(cells[:, :84], cells[:, 90:])

    def test_other_digits_are_no_copies(self, idx, capsys):
        for found in self.judged(capsys, data.load("mnist").images[1000:1300]):
            assert found["value"]["near"] < 0.05
            assert found["value"]["ratio"] == pytest.approx(1, abs=0.15)


def collection(images):
    return ImageCollection(name="", split=None, images=images)


def test_of_many_samples_some_are_taken_from_all_over():
    images = torch.arange(2 * MOST_SAMPLES).view(-1, 1, 1, 1)
    few = thinned(collection(images)).images.flatten()
    assert len(few) == MOST_SAMPLES
    assert (few[0], few[-1]) == (0, 2 * MOST_SAMPLES - 1)
    assert set(few.diff().tolist()) <= {1, 2, 3}
    assert len(thinned(collection(images[:7])).images) == 7


def test_a_place_that_cannot_be_written_is_said(here):
    (here / "file").write_text("")
    with pytest.raises(UserError, match="Choose another place with --neighbours"):
        save_sheet(Image.new("L", (2, 2)), here / "file" / "pairs.png")
