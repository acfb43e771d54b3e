"""Images whose channels are images of another set."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from zerosum import data
from zerosum.data import catalog
from zerosum.data.images import ImageSet
from zerosum.data.stacked import stacked
from zerosum.errors import UserError

NAME = "stacked-mnist"
FINGERPRINT = "b93ef1ccf7d8187f5e73440470388369a8ff306f3cfe7b0578470849ccd85911"
FROZEN = [[5, 0, 3], [11, 3, 7], [9, 3, 5], [2, 4, 7], [6, 8, 8]]


@pytest.fixture
def base():
    """Twelve images of 2×2 in three classes, each in a level of its own."""
    levels = torch.arange(12, dtype=torch.uint8)
    return ImageSet(
        images=levels[:, None, None, None].expand(12, 1, 2, 2).contiguous(),
        labels=torch.arange(12) % 3,
        classes=("a", "b", "c"),
        name="base",
    )


class TestStacked:
    def test_channels_are_images_of_the_base_and_the_label_reads_theirs(self, base):
        made = stacked(base, channels=3, count=500, seed=0)
        assert made.images.shape == (500, 3, 2, 2)
        assert made.images.dtype == torch.uint8
        assert (made.images == made.images[:, :, :1, :1]).all()  # pixels of one image stay together
        drawn = made.images[:, :, 0, 0].long()
        classes = drawn % 3
        assert (made.labels == 9 * classes[:, 0] + 3 * classes[:, 1] + classes[:, 2]).all()
        assert len(made.classes) == 27
        for label, row in zip(made.labels.tolist(), classes.tolist(), strict=True):
            assert made.classes[label] == "".join("abc"[index] for index in row)

    def test_every_image_is_as_likely_in_every_channel_whatever_the_others(self, base):
        made = stacked(base, channels=2, count=14_400, seed=1)
        pairs = made.images[:, 0, 0, 0].long() * 12 + made.images[:, 1, 0, 0]
        counts = pairs.bincount(minlength=144).double()
        # 143 degrees of freedom: beyond 200 by chance once in a thousand seeds.
        assert ((counts - 100).square() / 100).sum() < 200

    def test_the_seed_alone_decides(self, base):
        first, again, other = (stacked(base, channels=2, count=50, seed=s) for s in (5, 5, 6))
        assert first.fingerprint() == again.fingerprint() != other.fingerprint()
        torch.manual_seed(1)
        np.random.seed(1)
        assert stacked(base, channels=2, count=50, seed=5).fingerprint() == first.fingerprint()

    def test_what_is_drawn_is_frozen(self, base):
        made = stacked(base, channels=3, count=5, seed=0)
        assert made.images[:, :, 0, 0].tolist() == FROZEN

    def test_more_than_the_memory_is_refused_before_it_is_taken(self, base, monkeypatch):
        monkeypatch.setattr("zerosum.data.stacked.memory_bytes", lambda: 1000)
        stacked(base, channels=2, count=125, seed=0)
        with pytest.raises(UserError, match="126 images of 2×2 pixels would take"):
            stacked(base, channels=2, count=126, seed=0)


@pytest.fixture(scope="module")
def made():
    return data.load(NAME, split="test")


class TestStackedMnist:
    def test_is_known_before_it_is_made(self):
        about = data.DATASETS[NAME]
        assert about.stack.counts == {"train": 128_000, "test": 26_000}
        assert (about.classes[0], about.classes[42], about.classes[-1]) == ("000", "042", "999")
        assert catalog.locate(NAME) == catalog.locate("mnist")

    def test_is_where_what_it_is_made_of_is(self, monkeypatch):
        lacking = replace(data.DATASETS["mnist"], files=("nowhere",))
        monkeypatch.setitem(data.DATASETS, "mnist", lacking)
        assert catalog.locate(NAME) is None
        with pytest.raises(UserError, match="'mnist' is not on this machine"):
            data.load(NAME)

    def test_every_mode_occurs_about_as_often(self, made):
        assert made.images.shape == (26_000, 3, 28, 28)
        assert (made.name, len(made.classes)) == (NAME, 1000)
        counts = made.labels.bincount(minlength=1000)
        assert len(counts) == 1000
        assert 5 < counts.min() < counts.max() < 60

    def test_never_changes(self, made):
        """A run is resumed only on the same pixels, whatever versions are installed by then."""
        assert made.fingerprint() == FINGERPRINT

    def test_digits_come_from_the_same_split_of_mnist(self, made):
        mnist = data.load("mnist", split="test")
        known = {
            hashlib.sha256(image.numpy().tobytes()).digest(): label
            for image, label in zip(mnist.images[:, 0], mnist.labels.tolist(), strict=True)
        }
        for image, label in zip(made.images[:50], made.labels.tolist(), strict=False):
            metrics = [
                known[hashlib.sha256(channel.numpy().tobytes()).digest()] for channel in image
            ]
            assert int("".join(map(str, metrics))) == label

    @pytest.fixture
    def few(self, monkeypatch):
        """The same data set with 30 and 20 images."""
        about = data.DATASETS[NAME]
        stack = replace(about.stack, counts={"train": 30, "test": 20})
        monkeypatch.setitem(data.DATASETS, NAME, replace(about, stack=stack))

    def test_the_splits_are_drawn_apart(self, few):
        train, test = (data.load(NAME, split=split) for split in ("train", "test"))
        assert (len(train), len(test)) == (30, 20)
        assert not (train.labels[:20] == test.labels).all()

    def test_other_sizes_are_made_of_resized_digits(self, few):
        made = data.load(NAME, split="test", size=(14, 10), channels=3)
        digits = data.load("mnist", split="test", size=(14, 10)).images
        assert made.images.shape == (20, 3, 14, 10)
        assert (digits[:, 0] == made.images[0, 1]).flatten(1).all(dim=1).any()

    @pytest.mark.parametrize("channels", [1, 4])
    def test_other_channels_are_refused(self, channels):
        with pytest.raises(UserError, match=f"cannot be brought to {channels}. Leave --channels"):
            data.load(NAME, channels=channels)
