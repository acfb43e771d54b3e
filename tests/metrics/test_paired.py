"""L1, PSNR and SSIM against closed forms and straight references."""

import math

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter
from torch.nn import functional
from torchmetrics.functional import image

from zerosum import data
from zerosum.data.images import to_float
from zerosum.errors import UserError
from zerosum.metrics.evaluate import ImageCollection
from zerosum.metrics.paired import judge_pairs, l1, load_pair_metrics, psnr, ssim


@pytest.fixture(scope="module")
def photo():
    """A smooth colour image of 40×52, uint8 (3, h, w)."""
    numbers = np.random.RandomState(0)
    smooth = gaussian_filter(numbers.randn(3, 40, 52), (0, 3, 3))
    pixels = 255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return torch.from_numpy(pixels.round().astype(np.uint8))


def noisy(image, strength, seed=1):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (image + strength * noise).round().clamp(0, 255).to(torch.uint8)


def blurred(image, sigma):
    return torch.from_numpy(gaussian_filter(image.numpy(), (0, sigma, sigma)))


class TestL1:
    def test_is_of_pixels_in_minus_1_to_1(self):
        low, high = (torch.full((1, 2, 2), level, dtype=torch.uint8) for level in (0, 255))
        assert l1(low, high) == l1(high, low) == 2
        assert l1(low, low) == 0

    def test_is_what_G_learns_to_lessen(self, photo):
        other = noisy(photo, 20)
        error = functional.l1_loss(to_float(photo), to_float(other)).item()
        assert l1(photo, other) == pytest.approx(error, rel=1e-6)


class TestPsnr:
    @pytest.mark.parametrize("offset", [1, 10, 255])
    def test_a_constant_offset_has_a_closed_form(self, offset):
        dark = torch.zeros(3, 5, 7, dtype=torch.uint8)
        assert psnr(dark, dark + offset) == pytest.approx(20 * math.log10(255 / offset), abs=1e-12)

    def test_one_pixel_of_many(self):
        image = torch.full((1, 10, 10), 100, dtype=torch.uint8)
        other = image.clone()
        other[0, 3, 4] -= 50
        assert psnr(image, other) == pytest.approx(10 * math.log10(255**2 * 100 / 50**2))

    def test_differences_do_not_wrap_around(self):
        low, high = (torch.full((1, 2, 2), v, dtype=torch.uint8) for v in (0, 255))
        assert psnr(low, high) == psnr(high, low) == 0

    def test_identical_images_are_infinitely_good(self, photo):
        assert psnr(photo, photo) == math.inf

    @pytest.mark.parametrize("damage", [noisy, blurred])
    def test_it_falls_with_the_damage(self, photo, damage):
        found = [psnr(photo, damage(photo, strength)) for strength in (2, 4, 8)]
        assert found == sorted(found, reverse=True)


def reference_ssim(first, second):
    """Wang's equation 13 with his window of 11×11 weights, wherever it fits."""
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(weights, weights) / weights.sum() ** 2

    def mean(plane):
        return (sliding_window_view(plane, (11, 11)) * window).sum(axis=(-2, -1))

    planes = []
    for one, other in zip(first.numpy().astype(float), second.numpy().astype(float), strict=True):
        mu1, mu2 = mean(one), mean(other)
        var1, var2 = mean((one - one.mean()) ** 2), mean((other - other.mean()) ** 2)
        var1 -= (mu1 - one.mean()) ** 2
        var2 -= (mu2 - other.mean()) ** 2
        both = mean((one - one.mean()) * (other - other.mean()))
        both -= (mu1 - one.mean()) * (mu2 - other.mean())
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        top = (2 * mu1 * mu2 + c1) * (2 * both + c2)
        planes.append((top / ((mu1**2 + mu2**2 + c1) * (var1 + var2 + c2))).mean())
    return np.mean(planes)


class TestSsim:
    @pytest.mark.parametrize("strength", [1, 20, 100])
    def test_it_is_wangs(self, photo, strength):
        other = noisy(photo, strength)
        assert ssim(photo, other) == pytest.approx(reference_ssim(photo, other), abs=1e-10)

    def test_its_map_is_torchmetrics(self, photo):
        """Theirs goes on over borders that are made up by reflection; ours stops where they do."""
        other = noisy(photo, 30)
        pair = (photo[None].double(), other[None].double())
        _, everywhere = image.structural_similarity_index_measure(
            *pair, data_range=255.0, return_full_image=True
        )
        expected = everywhere[..., 5:-5, 5:-5].mean().item()
        assert ssim(photo, other) == pytest.approx(expected, abs=1e-9)
        ratio = image.peak_signal_noise_ratio(*pair, data_range=255.0).item()
        assert psnr(photo, other) == pytest.approx(ratio, abs=1e-5)

    def test_two_flat_images_have_a_closed_form(self):
        low, high = (torch.full((1, 16, 16), v, dtype=torch.uint8) for v in (50, 150))
        c1 = (0.01 * 255) ** 2
        expected = (2 * 50 * 150 + c1) / (50**2 + 150**2 + c1)
        assert ssim(low, high) == pytest.approx(expected, abs=1e-9)

    def test_identical_images_have_1(self, photo):
        assert ssim(photo, photo) == pytest.approx(1, abs=1e-12)

    def test_a_negative_has_less_than_none(self, photo):
        """Structure that is turned around counts against."""
        around = photo.double() - photo.double().mean()
        flipped = (128 - around).round().clamp(0, 255).to(torch.uint8)
        assert ssim(photo, flipped) < 0

    @pytest.mark.parametrize("damage", [noisy, blurred])
    def test_it_falls_with_the_damage_both_ways_alike(self, photo, damage):
        others = [damage(photo, strength) for strength in (1, 2, 4)]
        found = [ssim(photo, other) for other in others]
        assert found == sorted(found, reverse=True)
        assert found == pytest.approx([ssim(other, photo) for other in others], abs=1e-12)

    def test_the_window_may_fill_the_image_but_not_more(self):
        digit = data.load("mnist").images[0]
        assert -1 <= ssim(digit[:, :11, :11], digit[:, 1:12, :11]) <= 1
        with pytest.raises(UserError, match="window of 11×11 pixels, and images of 10×28"):
            ssim(digit[:, :10], digit[:, :10])


class TestSets:
    def judged(self, fake, real):
        subjects = (
            ImageCollection(name=name, split=None, images=i)
            for name, i in (("a", fake), ("b", real))
        )
        pair_metrics = load_pair_metrics(["psnr"], torch.device("cpu"))
        return judge_pairs(*subjects, pair_metrics=pair_metrics, seed=5)["psnr"]

    def test_images_at_the_same_places_are_compared(self):
        fake = torch.full((3, 1, 4, 4), 100, dtype=torch.uint8)
        real = fake + torch.tensor([10, 20, 50], dtype=torch.uint8).view(3, 1, 1, 1)
        each = [20 * math.log10(255 / gap) for gap in (10, 20, 50)]
        found = self.judged(fake, real)
        assert found.value == pytest.approx(np.mean(each))
        card = found.card
        assert card["spread"] == pytest.approx(np.std(each))
        assert (card["better"], card["features"], card["paired"]) == ("higher", "pixels", True)
        assert (card["evaluated"]["name"], card["reference"]["n"], card["seed"]) == ("a", 3, 5)
        assert card["floor"] is card["warning"] is None

    def test_identical_ones_are_left_out_of_the_mean_and_counted(self):
        fake = torch.full((2, 1, 4, 4), 100, dtype=torch.uint8)
        real = fake + torch.tensor([0, 10], dtype=torch.uint8).view(2, 1, 1, 1)
        found = self.judged(fake, real)
        assert found.value == pytest.approx(20 * math.log10(25.5))
        assert found.card["warning"].startswith("1 of 2 pairs are identical")

    def test_one_pair_has_no_deviation(self):
        fake = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
        found = self.judged(fake, fake + 10)
        assert found.value == pytest.approx(20 * math.log10(25.5))
        assert found.card["spread"] is None
