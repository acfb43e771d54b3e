"""The named data sets that are made here: drawn, or composed of another."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from zerosum import data
from zerosum.data import catalog
from zerosum.data.catalog import is_here, locate, mixture_of
from zerosum.data.images import ImageSet
from zerosum.data.mixture import Mixture, ring
from zerosum.data.named import draw_points, stacked
from zerosum.errors import UserError
from zerosum.metrics.modes import count_gaussian_modes

# Name: modes, and PacGAN's length and deviation (its synthetic_data_experiments/*/config.py).
PACGAN = {"ring": (8, 1, 0.01), "grid": (25, 4, 0.05)}
FINGERPRINTS = {
    "ring": "fb5700413fde1201f30c9c2de6f563f4d2911d6a6df84274f9e858d8ba88b180",
    "grid": "9a9ed1e40f27dc0be99483bce14abd9e25061fc5ca2a3d0cf9653d01e0ae17b7",
}
TRIANGLE = Mixture(centres=ring(3, radius=0.5), deviation=0.1, counts={})


class TestDrawPoints:
    def test_what_comes_is_as_an_image_set_has_it(self):
        made = draw_points(TRIANGLE, count=50, seed=0, name="triangle")
        assert (made.images.shape, made.images.dtype) == ((50, 2, 1, 1), torch.float32)
        assert (made.labels.shape, made.labels.dtype) == ((50,), torch.int64)
        assert made.classes == ("(0.5,0)", "(-0.25,0.43)", "(-0.25,-0.43)")
        assert made.name == "triangle"

    def test_every_mode_is_as_likely(self):
        labels = draw_points(TRIANGLE, count=30_000, seed=0, name="").labels
        counts = labels.bincount(minlength=3).double()
        # Two degrees of freedom: beyond 13.8 by chance once in a thousand seeds.
        assert ((counts - 10_000).square() / 10_000).sum() < 13.8

    def test_the_moments_are_the_gaussians(self):
        made = draw_points(TRIANGLE, count=30_000, seed=1, name="")
        noise = made.images.flatten(1).double() - torch.tensor(TRIANGLE.centres)[made.labels]
        covariance = noise.T @ noise / len(noise)
        # A mean moves by 0.1 / sqrt(30,000) = 0.0006, a variance by 0.01 sqrt(2 / 30,000) = 0.0001.
        assert noise.mean(dim=0).tolist() == pytest.approx([0, 0], abs=0.0025)
        assert covariance.flatten().tolist() == pytest.approx([0.01, 0, 0, 0.01], abs=0.0004)

    def test_the_seed_alone_decides(self):
        first, again, other = (
            draw_points(TRIANGLE, count=50, seed=seed, name="").fingerprint() for seed in (5, 5, 6)
        )
        assert first == again != other
        np.random.seed(1)
        torch.manual_seed(1)
        assert draw_points(TRIANGLE, count=50, seed=5, name="").fingerprint() == first


@pytest.mark.parametrize("name", PACGAN)
class TestToys:
    @pytest.fixture
    def test_split(self, name):
        return data.load(name, split="test")

    def test_are_pacgans_in_another_unit(self, name):
        mixture = mixture_of(name)
        modes, length, deviation = PACGAN[name]
        places = np.array(mixture.centres)
        assert places.shape == (modes, 2)
        assert np.abs(places).max() / mixture.deviation == pytest.approx(length / deviation)
        assert mixture.counts == {"train": 100_000, "test": 2500}

    def test_all_points_are_where_a_tanh_reaches(self, name):
        points = data.load(name).images
        assert len(points) == 100_000
        assert 0.8 < points.abs().max() < 0.9

    def test_the_moments_are_known(self, name):
        """Of the mixture: mean 0; variance, on either axis, of the centres and of the noise."""
        mixture = mixture_of(name)
        points = data.load(name).images.flatten(1).double()
        variance = np.square(np.array(mixture.centres)[:, 0]).mean() + mixture.deviation**2
        assert variance == pytest.approx({"ring": 0.32, "grid": 0.32}[name], abs=0.001)
        assert points.mean(dim=0).tolist() == pytest.approx([0, 0], abs=0.008)
        covariance = (points.T @ points / len(points)).flatten().tolist()
        assert covariance == pytest.approx([variance, 0, 0, variance], abs=0.005)

    def test_the_test_split_covers_every_mode_with_the_quality_of_real_points(
        self, name, test_split
    ):
        """In two dimensions a share of exp(-9/2) lies beyond three deviations."""
        mixture = mixture_of(name)
        points = test_split.images.flatten(1)
        found = count_gaussian_modes(
            points, torch.tensor(mixture.centres), deviation=mixture.deviation
        )
        assert found.covered == len(mixture.centres)
        assert found.good == pytest.approx(1 - math.exp(-4.5), abs=0.007)
        assert found.divergence < 0.01

    def test_labels_are_the_modes(self, name, test_split):
        centres = torch.tensor(mixture_of(name).centres)
        nearest = torch.cdist(test_split.images.flatten(1), centres).argmin(dim=1)
        assert torch.equal(nearest, test_split.labels)
        assert len(set(test_split.classes)) == len(centres)
        assert data.DATASETS[name].classes == test_split.classes

    def test_never_change(self, name, test_split):
        """A run is resumed only on the same points, whatever versions are installed by then."""
        assert test_split.fingerprint() == FINGERPRINTS[name]

    def test_the_splits_are_drawn_apart(self, name, test_split):
        assert not torch.equal(data.load(name).labels[:2500], test_split.labels)

    @pytest.mark.parametrize("wanted", [{"size": (8, 8)}, {"channels": 1}])
    def test_have_no_pixels(self, name, wanted):
        with pytest.raises(UserError, match=f"'{name}' is of points in the plane.* Leave --size"):
            data.load(name, **wanted)

    def test_are_always_here(self, name):
        assert is_here(name)
        assert locate(name) is None
        assert data.has_splits(name)


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
        monkeypatch.setattr("zerosum.data.named.memory_bytes", lambda: 1000)
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
