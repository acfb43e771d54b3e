import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zerosum.nets.layers import Options
from zerosum.nets.resnet import Discriminator, DownBlock, Generator, PlainBlock, UpBlock

NOTHING = torch.empty(2, 0)


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def convolution(inputs, outputs, side):
    return inputs * outputs * side**2 + outputs


def test_at_32_pixels_they_are_sngans():
    """Table 4 of the paper: three doublings of 256 channels, and four blocks of 128."""
    G = Generator((3, 32, 32), latent_size=128, options=Options(width=256))
    up = 2 * convolution(256, 256, 3) + convolution(256, 256, 1) + 2 * 512
    linear = 129 * 4 * 4 * 256
    assert num_parameters(G) == linear + 3 * up + 512 + convolution(256, 3, 3) == 4_276_739

    D = Discriminator((3, 32, 32), options=Options(width=128))
    first = convolution(3, 128, 3) + convolution(128, 128, 3) + convolution(3, 128, 1)
    down = 2 * convolution(128, 128, 3) + convolution(128, 128, 1)
    plain = 2 * convolution(128, 128, 3)
    assert num_parameters(D) == first + down + 2 * plain + 129 == 1_053_825


@pytest.mark.parametrize(("side", "smallest", "halvings"), [(8, 4, 1), (28, 7, 2), (64, 8, 3)])
def test_d_goes_down_to_eight_pixels(side, smallest, halvings):
    D = Discriminator((1, side, side), options=Options(width=2))
    assert sum(isinstance(m, DownBlock) for m in D.modules()) == halvings
    assert sum(isinstance(m, PlainBlock) for m in D.modules()) == 2
    maps = D.blocks(torch.randn(2, 1, side, side))
    assert maps.shape == (2, 2, smallest, smallest)


def test_channels_halve_above_64_pixels():
    G = Generator((1, 256, 256), latent_size=3, options=Options(width=8))
    widths = [m.shortcut.out_channels for m in G.modules() if isinstance(m, UpBlock)]
    assert widths == [8, 8, 8, 8, 4, 2]


def test_features_are_summed_over_pixels():
    D = Discriminator((1, 28, 28), options=Options(width=4))
    images = torch.randn(2, 1, 28, 28)
    by_hand = D.head.linear(D.blocks(images).flatten(2).sum(2))
    torch.testing.assert_close(D(images, NOTHING), by_hand)


def test_shortcuts_commute_with_resampling():
    """So they may be done on the smaller map."""
    up = UpBlock(3, 4, size=(7, 8), condition_size=0).eval()
    maps = torch.randn(2, 3, 4, 4)

    def repeated(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :7, :8]

    branch = up.second_norm(up.first(repeated(F.relu(up.first_norm(maps, NOTHING)))), NOTHING)
    expected = up.shortcut(repeated(maps)) + up.second(F.relu(branch))
    torch.testing.assert_close(up(maps, NOTHING), expected)

    down, maps = DownBlock(3, 4, first=False), torch.randn(2, 3, 8, 6)
    expected = F.avg_pool2d(down.shortcut(maps) + down.branch(maps), 2)
    torch.testing.assert_close(down(maps), expected)


def test_projection_goes_into_gs_batch_norm():
    options = Options(width=4, condition_size=3, conditioning="projection")
    G = Generator((1, 28, 28), latent_size=5, options=options)
    assert G.linear[0].in_features == 5
    assert G.norm.gains.shape == (3, 4)
    plain = Generator((1, 28, 28), latent_size=5, options=Options(width=4, condition_size=3))
    assert plain.linear[0].in_features == 8
    assert isinstance(plain.norm.norm, nn.BatchNorm2d)
    assert plain.norm.norm.affine


def test_the_first_weights_are_glorots():
    net = Discriminator((1, 28, 28), options=Options(width=32))
    wide = net.blocks[1].branch[1].weight
    bound = (2 * 6 / (2 * 32 * 9)) ** 0.5
    assert 0.99 * bound < wide.abs().max() <= bound
    narrow = net.blocks[1].shortcut.weight
    assert 0.95 * (6 / 64) ** 0.5 < narrow.abs().max() <= (6 / 64) ** 0.5
