import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zerosum.errors import UserError
from zerosum.nets.padding import Reflection, cropped, padded, shorter_side

SIDES = st.integers(1, 40)


@given(SIDES, SIDES, st.integers(1, 32))
def test_any_size_reaches_the_next_multiple_and_comes_back(height, width, multiple):
    images = torch.randn(2, 1, height, width)
    larger = padded(images, multiple)
    for side, own in zip(larger.shape[2:], (height, width), strict=True):
        assert side % multiple == 0
        assert own <= side < own + multiple
    assert torch.equal(cropped(larger, (height, width)), images)


def test_what_fits_is_not_touched():
    images = torch.randn(1, 3, 8, 12)
    assert padded(images, 4) is images
    assert padded(images, 4, least=8) is images


def test_the_least_side_is_kept_to():
    assert padded(torch.zeros(1, 1, 3, 9), 4, least=8).shape == (1, 1, 8, 12)


def test_the_padding_is_the_mirror_image_again_and_again():
    images = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])[None, None]
    rows = [1, 2, 2, 1, 1, 2, 2, 1]
    expected = torch.tensor([rows, [row + 2 for row in rows], [row + 4 for row in rows]])
    larger = padded(images, 8)[0, 0]
    assert torch.equal(larger[:3], expected.float())
    assert torch.equal(larger[3:6], larger[:3].flip(0))
    assert torch.equal(larger[6:], larger[:2])


def test_a_single_pixel_can_be_padded():
    assert torch.equal(padded(torch.full((1, 1, 1, 1), 0.5), 4), torch.full((1, 1, 4, 4), 0.5))


@pytest.mark.parametrize(("border", "size"), [(1, (2, 2)), (3, (4, 7)), (3, (8, 9))])
def test_reflection_is_that_of_torch_and_so_is_its_gradient(border, size):
    maps = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    ours, reference = Reflection(border)(maps), nn.ReflectionPad2d(border)(maps)
    assert torch.equal(ours, reference)
    weights = torch.randn_like(ours)
    gradients = [torch.autograd.grad((made * weights).sum(), maps)[0] for made in (ours, reference)]
    torch.testing.assert_close(*gradients)


def test_nets_are_made_for_sizes_from_8_to_1024():
    assert shorter_side((8, 512)) == 8
    assert shorter_side((300, 200)) == 200
    for size in ((7, 64), (64, 1025), (1, 1)):
        with pytest.raises(UserError, match=f"{size[0]}×{size[1]}: expected sides from 8 to 1024"):
            shorter_side(size)
