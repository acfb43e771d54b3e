import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from zerosum.errors import UserError
from zerosum.nets.pyramid import double, double_smoothly, find_level, halve, kernel, sizes

SIDES = st.integers(8, 256)


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        ((28, 28), [(28, 28), (14, 14), (7, 7), (4, 4)]),
        ((64, 64), [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]),
        ((33, 47), [(33, 47), (17, 24), (9, 12), (5, 6)]),
        ((48, 64), [(48, 64), (24, 32), (12, 16), (6, 8)]),
        ((8, 256), [(8, 256), (4, 128)]),
    ],
)
def test_levels_halve_and_round_up(size, levels):
    assert sizes(*size) == levels


def test_the_least_side_can_be_chosen():
    assert sizes(28, 28, least=7)[-1] == (7, 7)
    assert sizes(28, 28, least=28) == [(28, 28)]


@given(SIDES, SIDES)
def test_any_size_ends_at_a_few_pixels(height, width):
    levels = sizes(height, width)
    assert len(levels) > 1
    assert 4 <= min(levels[-1]) <= 7


@pytest.mark.parametrize("size", [(7, 28), (28, 1025), (1, 1)])
def test_other_sizes_are_refused_with_what_can_be_made(size):
    with pytest.raises(UserError, match=f"{size[0]}×{size[1]}.* from 8 to 1024"):
        sizes(*size)


def test_a_resolution_is_the_shorter_side():
    levels = sizes(48, 64)
    assert find_level(levels, 12) == (12, 16)
    assert find_level(levels, None) is None
    for missing in (16, 0):
        with pytest.raises(UserError, match=f"resolution {missing} .* one of 48, 24, 12, 6"):
            find_level(levels, missing)


@given(st.integers(2, 40), st.integers(2, 40))
def test_all_ways_between_two_levels_meet_exactly(height, width):
    size, half = (height, width), ((height + 1) // 2, (width + 1) // 2)
    fine, coarse = torch.zeros(1, 1, *size), torch.zeros(1, 1, *half)
    settings = {"kernel_size": kernel(size), "stride": 2, "padding": 1}
    assert nn.Conv2d(1, 1, **settings)(fine).shape[2:] == half
    assert nn.ConvTranspose2d(1, 1, **settings)(coarse).shape[2:] == size
    assert halve(fine).shape[2:] == half
    assert double(coarse, size).shape[2:] == double_smoothly(coarse, size).shape[2:] == size


@given(st.integers(2, 20), st.integers(2, 20))
def test_smooth_doubling_is_bilinear_interpolation(height, width):
    maps = torch.randn(2, 3, (height + 1) // 2, (width + 1) // 2)
    expected = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(
        double_smoothly(maps, (height, width)), expected[..., :height, :width]
    )


def test_halving_is_bilinear_interpolation_too():
    maps = torch.randn(2, 3, 8, 6)
    torch.testing.assert_close(halve(maps), F.interpolate(maps, scale_factor=0.5, mode="bilinear"))


def test_halving_undoes_repeating():
    maps = torch.randn(2, 3, 4, 5)
    for size in ((8, 10), (7, 9), (7, 10)):
        torch.testing.assert_close(halve(double(maps, size)), maps)


def test_an_odd_row_stands_alone():
    maps = torch.tensor([[1.0, 3.0, 5.0], [1.0, 3.0, 7.0], [2.0, 4.0, 8.0]])
    assert torch.equal(halve(maps[None, None])[0, 0], torch.tensor([[2.0, 6.0], [3.0, 8.0]]))
