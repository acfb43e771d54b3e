"""Random crops and mirrors of training images: what is drawn, and what stays together."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from zerosum.game.jitter import crop_at_random, jitter

SIZE = HEIGHT, WIDTH = 5, 6
ENLARGE = 1.5  # to 8×9, Python rounding 7.5 to the even number
OFFSETS = 4 * 4
# Chances of a test to fail by chance are below 1e-6: five standard deviations.


@pytest.fixture
def image():
    return torch.rand(1, 2, *SIZE, generator=torch.Generator().manual_seed(0))


def windows(image):
    """Every window of the enlarged image (1, c, h, w), by its offset."""
    enlarged = F.interpolate(image, (8, 9), mode="bilinear", align_corners=False)
    return {
        (top, left): enlarged[0, :, top : top + HEIGHT, left : left + WIDTH]
        for top in range(4)
        for left in range(4)
    }


@given(st.integers(0, 2**32), st.floats(1, 2), st.booleans(), st.integers(1, 3))
def test_what_is_stacked_stays_together(seed, enlarge, flips, channels):
    torch.manual_seed(seed)
    half = torch.rand(3, channels, 7, 8)
    stacked = jitter(torch.cat([half, half], dim=1), enlarge=enlarge, flips=flips)
    assert stacked.shape == (3, 2 * channels, 7, 8)
    assert torch.equal(stacked[:, :channels], stacked[:, channels:])


@pytest.mark.parametrize("enlarge", [1.0, 1.08])  # 6.48 pixels are 6
def test_nothing_enlarged_and_nothing_mirrored_is_nothing_changed_or_drawn(image, enlarge):
    before = torch.get_rng_state()
    assert torch.equal(jitter(image, enlarge=enlarge, flips=False), image)
    assert torch.equal(torch.get_rng_state(), before)


def test_crops_are_windows_of_the_enlarged_image_each_as_likely_as_any_other(image):
    torch.manual_seed(0)
    count = 1600
    crops = jitter(image.expand(count, -1, -1, -1), enlarge=ENLARGE, flips=False)
    seen = {
        offset: int((crops == window).all(dim=(1, 2, 3)).sum())
        for offset, window in windows(image).items()
    }
    assert sum(seen.values()) == count
    assert len(seen) == OFFSETS
    deviation = (count * 1 / OFFSETS * (1 - 1 / OFFSETS)) ** 0.5
    assert all(abs(often - count / OFFSETS) < 5 * deviation for often in seen.values())


def test_the_papers_jitter_is_of_286_to_256_pixels():
    torch.manual_seed(0)
    ramp = torch.arange(256.0).expand(400, 1, 4, 256)
    crops = jitter(ramp, enlarge=286 / 256, flips=False)
    enlarged = F.interpolate(ramp[:1], (4, 286), mode="bilinear", align_corners=False)[0, 0, 0]
    starts = (crops[:, 0, 0, :1] - enlarged).abs().argmin(dim=1)
    assert (starts.min(), starts.max()) == (0, 30)


def test_one_side_alone_may_grow():
    torch.manual_seed(0)
    images = torch.rand(4, 1, 2, 10)
    assert jitter(images, enlarge=1.2, flips=False).shape == images.shape  # to 2×12


def test_about_half_are_mirrored_and_none_are_changed_otherwise(image):
    torch.manual_seed(0)
    shown = jitter(image.expand(1000, -1, -1, -1), enlarge=1, flips=True)
    mirrored = (shown == image.flip(3)).all(dim=(1, 2, 3))
    assert ((shown == image).all(dim=(1, 2, 3)) ^ mirrored).all()
    assert abs(int(mirrored.sum()) - 500) < 5 * 250**0.5


def test_crop_and_mirror_of_an_image_are_drawn_apart(image):
    torch.manual_seed(0)
    shown = jitter(image.expand(1000, -1, -1, -1), enlarge=ENLARGE, flips=True)
    kinds = [
        bool((shown == view).all(dim=(1, 2, 3)).any())
        for window in windows(image).values()
        for view in (window, window.flip(2))
    ]
    assert all(kinds)
    assert len(kinds) == 2 * OFFSETS


def test_the_numbers_come_from_the_default_generator(image):
    images = image.expand(20, -1, -1, -1)

    def drawn(seed):
        torch.manual_seed(seed)
        return jitter(images, enlarge=ENLARGE, flips=True)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_gradients_reach_the_images(image):
    leaf = image.clone().requires_grad_()
    jitter(leaf, enlarge=ENLARGE, flips=True).sum().backward()
    assert leaf.grad.abs().sum() > 0


def test_a_window_of_the_whole_image_is_the_image(image):
    assert torch.equal(crop_at_random(image, SIZE), image)
