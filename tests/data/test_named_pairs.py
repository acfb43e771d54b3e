"""The named data sets to translate between."""

import numpy as np
import pytest

from zerosum import data
from zerosum.cli.main import run
from zerosum.data.domains import has_validation
from zerosum.data.named_pairs import BLUE, RED, outlines, tinted
from zerosum.data.pairs import load_pairs
from zerosum.errors import UserError


def load(name, split="test", *, direction="AtoB", matched=True, **wanted):
    wanted = {"size": None, "channels": None} | wanted
    return load_pairs(name, split=split, direction=direction, matched=matched, **wanted)


class TestEdges:
    def test_an_outline_is_around_the_ink(self):
        digit = np.zeros((1, 4, 4), np.uint8)
        digit[0, 1:3, 1:3] = 200
        expected = [[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]]
        assert (outlines(digit)[0] == np.array(expected) * 255).all()

    def test_a_pair_is_the_edges_and_the_digit(self):
        pairs = load("mnist-edges")
        assert (pairs.images.shape, pairs.source_channels) == ((1000, 2, 28, 28), 1)
        digits = data.load("mnist", split="test").images[:1000, 0]
        assert pairs.images[:, 1].equal(digits)
        assert set(pairs.images[:, 0].unique().tolist()) == {0, 255}

    def test_the_other_way_round_in_another_size_and_in_colour(self):
        pairs = load("mnist-edges", direction="BtoA", size=(32, 32), channels=3)
        assert (pairs.images.shape, pairs.source_channels) == ((1000, 6, 32, 32), 3)
        assert pairs.images[:, 3:].double().mean() < pairs.images[:, :3].double().mean() * 1.5
        assert len(pairs.images[0, 0].unique()) > 2

    def test_the_test_split_is_held_out(self):
        assert has_validation("mnist-edges")
        assert load("mnist-edges", "val").fingerprint() == load("mnist-edges").fingerprint()
        train = load("mnist-edges", "train")
        assert len(train) == 10_000
        assert not train.images[:1000].equal(load("mnist-edges").images)


class TestColors:
    def test_hues(self):
        white = np.full((200, 1, 1), 255, np.uint8)
        red, blue = tinted(white, RED)[:, 0, 0], tinted(white, BLUE)[:, 0, 0]
        assert (red[:, 0] == 255).all()
        assert (red[:, 2] == 0).all()
        assert red[:, 1].max() > 100
        assert (blue[:, 2] == 255).all()
        assert (blue[:, 0] == 0).all()

    def test_the_domains_share_no_digit(self):
        sets = load("mnist-colors", matched=False)
        assert (sets.images.shape, sets.source_channels) == ((1000, 6, 28, 28), 3)
        assert not sets.matched
        digits = data.load("mnist", split="test").images[:2000, 0]
        assert sets.images[:, 0].equal(digits[::2])  # red, full; so blue is in the others
        assert sets.images[:, 5].equal(digits[1::2])

    def test_they_are_no_pairs(self):
        with pytest.raises(UserError, match="Train cyclegan on it, or pix2pix on mnist-edges"):
            load("mnist-colors")


@pytest.mark.parametrize("name", ["mnist-edges", "mnist-colors"])
def test_nothing_is_made_of_noise_from_them(name):
    with pytest.raises(UserError, match=f"'{name}' holds images to translate between"):
        data.load(name)


def test_mnist_has_no_pairs_and_the_answer_names_those_there_are(capsys):
    assert run(["train", "pix2pix", "mnist"]) == 2
    assert "--data mnist-edges" in capsys.readouterr().err


FINGERPRINTS = {
    "mnist-edges": "ad23e9846245fd2d62af24bb4f4ba1088d8789e538ad2c9a10ca9cef18f4ed43",
    "mnist-colors": "def5e877970daf68d5bc80b997b3155be1eb343aca1f5e003aab3065eb527822",
}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_they_never_change(name):
    """A run is resumed only on the same pixels, whatever versions are installed by then."""
    assert load(name, matched=name == "mnist-edges").fingerprint() == FINGERPRINTS[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "name"), [("pix2pix", "mnist-edges"), ("cyclegan", "mnist-colors")]
)
def test_they_train_at_default_flags(recipe, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zerosum.tasks.translation.EXAMINED", 10)
    assert run(["train", recipe, name, "--images", "32"]) == 0
    assert "val/" not in capsys.readouterr().out  # nothing is said to be trained on
    assert (tmp_path / f"runs/{recipe}-{name}/curve.svg").exists()
