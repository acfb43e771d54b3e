"""Images translated whole and in tiles."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from zerosum.data.images import to_array, to_float, to_uint8
from zerosum.errors import UserError
from zerosum.game.cycle import GeneratorPair
from zerosum.inference.tiles import Tiling, Translator, one_way, spans
from zerosum.nets import translator, unet

CPU = torch.device("cpu")
SMALL_TILES = Tiling(most_pixels=0, side=64, overlap=16)


class Local(nn.Module):
    """A convolution, whose output depends on nothing further than `radius` pixels."""

    def __init__(self, radius):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 1, 2 * radius + 1, padding=radius)

    def forward(self, images):
        return self.layer(images).tanh()


class Halving(nn.Module):
    """The mean of blocks of 2×2 pixels: what comes out depends on where the first block begins."""

    multiple = 2

    def forward(self, images):
        height, width = images.shape[2:]
        means = F.avg_pool2d(images[:, :1], 2, ceil_mode=True)
        return F.interpolate(means, scale_factor=2)[:, :, :height, :width]


class Tone(nn.Module):
    """The mean of all there is, as a net does that normalises an image by itself."""

    def forward(self, images):
        return images[:, :1].mean(dim=(2, 3), keepdim=True).expand(-1, -1, *images.shape[2:])


class Noise(nn.Module):
    """Nothing but noise."""

    def forward(self, images):
        return torch.rand_like(images[:, :1]) * 2 - 1


def picture(height, width, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def translated(net, image, *, tiling=None, seed=0):
    tiling = tiling or Tiling()
    work = Translator(
        net=net, source_channels=3, target_channels=1, device=CPU, seed=seed, tiling=tiling
    )
    return work.translate(image)


@torch.no_grad()
def whole(net, image):
    return to_array(to_uint8(net(to_float(torch.tensor(image).permute(2, 0, 1)[None]))))[0]


def apart(one, other):
    """The largest difference, in levels."""
    return np.abs(one.astype(int) - other.astype(int)).max()


@st.composite
def cuts(draw):
    step = 2 ** draw(st.integers(0, 4))
    stride = step * draw(st.integers(1, 8))
    side = stride + step * draw(st.integers(0, stride // step))  # at most half is shared
    return draw(st.integers(1, 700)), side, side - stride, step


class TestSpans:
    @given(cuts())
    def test_they_cover_everything_with_shares_that_add_up_to_one(self, cut):
        length, side, overlap, step = cut
        total = torch.zeros(length)
        for span in spans(length, side=side, overlap=overlap, step=step):
            assert span.shares.min() >= 0
            total[span.slice] += span.shares
        assert torch.allclose(total, torch.ones(length), atol=1e-6)

    @given(cuts())
    def test_they_are_of_one_length_and_share_enough(self, cut):
        length, side, overlap, step = cut
        found = spans(length, side=side, overlap=overlap, step=step)
        assert (found[0].start, found[-1].stop) == (0, length)
        assert all(span.start % step == 0 for span in found)
        assert all(span.stop - span.start == min(side, length) for span in found[:-1])
        assert found[-1].stop - found[-1].start > min(side, length) - step
        for span, following in pairwise(found):
            assert span.start < following.start <= span.stop - overlap

    @given(st.integers(65, 700))
    def test_what_lies_next_to_an_inner_edge_is_not_used(self, length):
        found = spans(length, side=64, overlap=16)
        for span, following in pairwise(found):
            assert span.shares[-4:].tolist() == [0] * 4
            assert following.shares[:4].tolist() == [0] * 4

    def test_by_hand(self):
        first, second = spans(12, side=8, overlap=4)
        # They share pixels 4 to 7 and are blended over 5 and 6, with 1/4 and 3/4.
        assert (first.start, first.stop, second.start, second.stop) == (0, 8, 4, 12)
        assert first.shares.tolist() == [1, 1, 1, 1, 1, 0.75, 0.25, 0]
        assert second.shares.tolist() == [0, 0.25, 0.75, 1, 1, 1, 1, 1]

    def test_a_short_side_is_one_span(self):
        (only,) = spans(5, side=8, overlap=4, step=4)
        assert (only.start, only.stop) == (0, 5)
        assert only.shares.tolist() == [1] * 5


class TestTiles:
    @given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 4))
    def test_no_seam_shows_where_a_net_looks_no_further_than_the_overlap(
        self, height, width, radius
    ):
        net, image = Local(radius), picture(height, width)
        assert apart(translated(net, image, tiling=SMALL_TILES), whole(net, image)) <= 1

    @given(st.integers(1, 75), st.integers(1, 75))
    def test_a_net_that_halves_its_maps_halves_the_same_pixels(self, half_height, half_width):
        image = picture(2 * half_height, 2 * half_width)
        net = Halving()
        assert apart(translated(net, image, tiling=SMALL_TILES), whole(net, image)) <= 1

    def test_a_difference_in_tone_is_faded(self):
        image = np.zeros((40, 200, 3), np.uint8)
        image[:, 100:] = 255
        result = translated(Tone(), image, tiling=SMALL_TILES)[..., 0].astype(int)
        assert result[0, 0] == 0  # there are tiles of different tones
        assert result[0, -1] == 255
        assert (
            np.abs(np.diff(result, axis=1)).max() <= 255 / 8 + 1
        )  # over half of the 16 they share

    def test_only_large_images_are_cut(self):
        image = np.zeros((64, 128, 3), np.uint8)
        image[:, :64] = 255
        enough = Tiling(most_pixels=64 * 128, side=64, overlap=16)
        too_few = Tiling(most_pixels=64 * 128 - 1, side=64, overlap=16)
        assert len(np.unique(translated(Tone(), image, tiling=enough))) == 1
        assert len(np.unique(translated(Tone(), image, tiling=too_few))) > 1

    def test_each_tile_has_noise_of_its_own(self):
        image = picture(64, 112)
        noise = translated(Noise(), image, tiling=SMALL_TILES)
        left, right = noise[:, :48], noise[:, 64:]  # each of one tile only
        assert np.abs(np.corrcoef(left[:, :32].ravel(), right[:, -32:].ravel())[0, 1]) < 0.1
        assert apart(noise[:, :48], translated(Noise(), image[:, :64])[:, :48]) == 0

    @pytest.mark.parametrize("size", [(1, 1), (40, 70)])
    @pytest.mark.parametrize("kind", [unet.Generator, translator.Generator])
    def test_our_nets_take_any_size(self, kind, size):
        torch.manual_seed(0)
        net = kind((32, 32), source_channels=3, target_channels=1, width=2).eval()
        assert translated(net, picture(*size)).shape == (*size, 1)
        assert translated(net, picture(*size), tiling=SMALL_TILES).shape == (*size, 1)

    @pytest.mark.parametrize("multiple", [1, 4, 256])
    def test_the_usual_tiles_suit_our_nets(self, multiple):
        net = Halving()
        net.multiple = multiple
        net.forward = lambda images: images[:, :1]
        image = picture(1100, 1000)
        assert np.array_equal(translated(net, image), image[..., :1])


class TestTranslator:
    def test_the_same_seed_gives_the_same_noise(self):
        image = picture(8, 8)
        one, again, other = (translated(Noise(), image, seed=seed) for seed in (3, 3, 4))
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)

    def test_an_images_output_does_not_depend_on_the_others(self):
        images = np.stack([picture(8, 8, seed=seed) for seed in range(3)])
        work = Translator(net=Noise(), source_channels=3, target_channels=1, device=CPU)
        together = work.translate_all(images)
        for image, output in zip(images, together, strict=True):
            assert np.array_equal(work.translate(image), output)

    def test_the_callers_random_numbers_are_left_alone(self):
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        translated(Noise(), picture(8, 8))
        assert torch.equal(torch.rand(3), expected)

    def test_it_takes_views_and_arrays_that_cannot_be_written(self):
        image = picture(8, 8)
        expected = translated(Local(1), np.ascontiguousarray(image[::-1, ::2]))
        image.flags.writeable = False
        assert np.array_equal(translated(Local(1), image[::-1, ::2]), expected)

    @pytest.mark.parametrize(
        "images",
        [
            np.zeros((8, 8, 3), np.uint8),
            np.zeros((1, 8, 8, 1), np.uint8),
            np.zeros((1, 0, 8, 3), np.uint8),
            np.zeros((1, 8, 8, 3), np.float32),
        ],
    )
    def test_it_refuses_other_arrays(self, images):
        work = Translator(net=Noise(), source_channels=3, target_channels=1, device=CPU)
        with pytest.raises(UserError, match=r"expected an array uint8 \(n, height, width, 3\)"):
            work.translate_all(images)


class TestOneWay:
    def test_of_two(self):
        ways = GeneratorPair(AB=Local(0), BA=Local(1))
        assert one_way(ways, reverse=False, run="The run") is ways.AB
        assert one_way(ways, reverse=True, run="The run") is ways.BA

    def test_of_one(self):
        net = Local(0)
        assert one_way(net, reverse=False, run="The run") is net
        with pytest.raises(UserError, match=r"The run translates one way only.*--reverse"):
            one_way(net, reverse=True, run="The run")


@pytest.mark.parametrize("tiling", [Tiling(), SMALL_TILES])
def test_floats_round_to_the_very_pixels(tiling):
    image = picture(100, 90)
    work = Translator(net=Local(2), source_channels=3, target_channels=1, device=CPU, tiling=tiling)
    floats = work.translate_exactly(image)
    assert (floats.dtype, floats.shape) == (np.float32, (100, 90, 1))
    assert np.abs(floats).max() <= 1
    rounded = to_array(to_uint8(torch.tensor(floats).permute(2, 0, 1)[None]))[0]
    assert np.array_equal(rounded, work.translate(image))
