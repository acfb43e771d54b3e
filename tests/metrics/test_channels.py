"""Gray, RGB and RGBA, against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.metrics.channels import with_channels


def test_gray_from_rgb_is_pillows():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    expected = torch.from_numpy(np.asarray(Image.fromarray(pixels).convert("L")).copy())
    gray = with_channels(torch.from_numpy(pixels).permute(2, 0, 1)[None], 1)
    # Pillow computes in fixed point and cuts off.
    assert (gray[0, 0].int() - expected.int()).abs().max() <= 1


def test_gray_is_tiled_to_rgb():
    gray = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    assert torch.equal(with_channels(gray, 3), gray.repeat(1, 3, 1, 1))


@pytest.mark.parametrize(("opacity", "expected"), [(0, 255), (255, 100), (51, 224)])
def test_opacity_is_composed_on_white(opacity, expected):
    # 51 of 255 is a fifth: 100 / 5 + 255 * 4 / 5 = 224.
    image = torch.tensor([100, 100, 100, opacity], dtype=torch.uint8).view(1, 4, 1, 1)
    assert with_channels(image, 3).flatten().tolist() == [expected] * 3


def test_what_fits_is_left_alone():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert with_channels(images, 3) is images
