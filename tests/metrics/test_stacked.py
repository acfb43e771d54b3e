"""The digits net asked about each channel, and the modes of Stacked MNIST that it counts."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from zerosum import data
from zerosum.cli.main import run
from zerosum.metrics.embedding import embed_reference
from zerosum.metrics.evaluate import ImageCollection, evaluate
from zerosum.metrics.features import cheap_net, feature_net, look_at_channels, net_for_data

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def net():
    return feature_net("stacked-digits", device=CPU)


@pytest.fixture(scope="module")
def digits():
    """Thirty real images of three digits each, and their numbers."""
    test = data.load("mnist", split="test")
    numbers = (test.labels[:90].view(30, 3) * torch.tensor([100, 10, 1])).sum(dim=1)
    return test.images[:90].view(30, 3, 28, 28), numbers


def look(images):
    """A net of three classes that tells an image by its first pixel; its feature is that pixel."""
    first = images[:, 0, 0, 0].float()
    logits = torch.stack([first, 0 * first, 1 - first], dim=1)
    return first[:, None], logits


class TestChannels:
    def test_features_lie_side_by_side(self):
        images = torch.arange(6, dtype=torch.uint8).view(2, 3, 1, 1)
        features, _ = look_at_channels(look, images)
        assert features.tolist() == [[0, 1, 2], [3, 4, 5]]

    def test_a_combination_is_as_likely_as_its_parts_are_together(self):
        images = torch.tensor([[4, 0], [1, 2]], dtype=torch.uint8).view(2, 2, 1, 1)
        _, joint = look_at_channels(look, images)
        assert joint.shape == (2, 9)
        assert joint.exp().sum(dim=1).tolist() == pytest.approx([1, 1])
        parts = look(images.view(4, 1, 1, 1))[1].softmax(dim=1).view(2, 2, 3)
        for image in range(2):
            outer = parts[image, 0][:, None] * parts[image, 1]
            torch.testing.assert_close(joint[image].exp(), outer.flatten())


class TestNet:
    def test_belongs_to_its_data(self, net):
        assert net_for_data("stacked-mnist") == cheap_net("stacked-mnist") == net.name
        assert net.classes == data.DATASETS["stacked-mnist"].classes
        assert net.even_classes

    def test_is_not_taken_for_the_net_that_it_asks(self, net):
        """What was computed is remembered by weights and resizing."""
        asked = feature_net("digits", device=CPU)
        assert net.sha256 == asked.sha256
        assert net.resize != asked.resize

    def test_reads_the_numbers(self, net, digits):
        images, numbers = digits
        features, logits = net.look(images)
        assert features.shape == (30, 3 * 128)
        assert (logits.argmax(dim=1) == numbers).double().mean() >= 29 / 30

    def test_takes_gray_for_three_times_the_same_and_composes_opacity(self, net, digits):
        image = digits[0][:1]
        gray = net.look(image[:, :1])[1]
        assert int(gray.argmax()) % 111 == 0
        opaque = torch.cat([image, torch.full_like(image[:, :1], 255)], dim=1)
        torch.testing.assert_close(net.look(opaque)[1], net.look(image)[1])


def test_a_thousand_logits_an_image_need_not_be_kept(net, digits):
    whole = embed_reference(net, digits[0], keep_features=True)
    for _ in range(2):  # the second time from the cache, where it is not taken for the whole
        lean = embed_reference(net, digits[0], keep_features=True, keep_logits=False)
        assert lean.logits is None
        torch.testing.assert_close(lean.features, whole.features)
    assert whole.logits.shape == (30, 1000)


class TestFigures:
    @pytest.fixture
    def found(self, net, digits):
        """Metrics by name of images against thirty others."""

        def evaluated(images, *names, net=net):
            fake, real = (
                ImageCollection(name="made", split=None, images=i) for i in (images, digits[0])
            )
            return evaluate(fake, real, net=net, names=names, seed=0)

        return evaluated

    def test_modes_are_held_against_equal_shares(self, net, digits, found):
        images, _ = digits
        read = net.look(images)[1].argmax(dim=1)
        results = found(images, "modes", "mode_kl")
        assert results["modes"].value == len(read.unique())
        entropy = -sum(p * math.log(p) for p in (read.bincount() / 30).tolist() if p)
        assert results["mode_kl"].value == pytest.approx(math.log(1000) - entropy)
        one = found(images[:1].repeat(40, 1, 1, 1), "modes", "mode_kl")
        assert one["modes"].value == 1
        assert one["mode_kl"].value == pytest.approx(math.log(1000))

    def test_the_card_says_so_and_how_many_images_there_should_be(self, digits, found):
        card = found(digits[0], "modes")["modes"].card
        assert card["basis"] == "1,000 modes of equal shares, as the data is made"
        assert "take 26,000 with -n" in card["warning"]
        assert (card["evaluated"]["n"], card["better"]) == (30, "higher")
        assert found(digits[0], "kid")["kid"].card["basis"] is None

    def test_other_classifiers_hold_them_against_the_reference(self, net, digits, found):
        by_reference = replace(net, even_classes=False)
        results = found(digits[0], "modes", "mode_kl", net=by_reference)
        assert results["mode_kl"].value == pytest.approx(0, abs=1e-9)
        assert "that the net finds in the reference" in results["modes"].card["basis"]

    def test_a_class_that_the_reference_lacks_makes_no_infinity(self, digits, found):
        """It counts as half an image of thirty, so KL is log 60 with all samples in it."""

        def dark_or_bright(images):
            dark = (images.flatten(1).amax(dim=1) == 0).float()
            return torch.rand(len(images), 4), torch.stack([dark, 1 - dark], dim=1)

        asked = feature_net("digits", device=CPU)
        made_up = replace(asked, sha256=None, classes=("dark", "bright"), look=dark_or_bright)
        black = torch.zeros(30, 3, 28, 28, dtype=torch.uint8)
        results = found(black, "modes", "mode_kl", net=made_up)
        assert results["mode_kl"].value == pytest.approx(math.log(60))
        assert results["modes"].value == 1


@pytest.mark.slow
def test_train_sample_and_evaluate(tmp_path, monkeypatch, capsys):
    """Through the real commands, with 160 and 60 images instead of 128,000 and 26,000."""
    monkeypatch.chdir(tmp_path)
    about = data.DATASETS["stacked-mnist"]
    few = replace(about.stack, counts={"train": 160, "test": 60})
    monkeypatch.setitem(data.DATASETS, "stacked-mnist", replace(about, stack=few))
    budget = ["--epochs", "1", "--batch-size", "40", "--hidden", "16", "24", "--device", "cpu"]
    assert run(["train", "--data", "stacked-mnist", *budget]) == 0
    assert run(["sample", "runs/vanilla-stacked-mnist", "-n", "5", "--out", "five.npz"]) == 0
    assert np.load("five.npz")["images"].shape == (5, 28, 28, 3)
    capsys.readouterr()

    assert run(["evaluate", "runs/vanilla-stacked-mnist", "--json"]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)["metrics"]
    assert {"frechet_stacked-digits", "kid", "precision", "modes", "mode_kl"} <= found.keys()
    assert 1 <= found["modes"]["value"] < found["modes"]["card"]["floor"] <= 60
    assert found["mode_kl"]["value"] > found["mode_kl"]["card"]["floor"] > np.log(1000 / 60) - 0.1
    assert len(found["classes"]["value"]) == 1000
    card = found["modes"]["card"]
    assert card["features"] == "stacked-digits"
    assert card["evaluated"]["n"] == 60
    assert (card["reference"]["split"], card["floor_of"]["split"]) == ("test", "train")
    assert "Do not rely on modes: 60 images are few for 1,000 modes" in output.err
