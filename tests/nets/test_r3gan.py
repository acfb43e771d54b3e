import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.nets.layers import Options
from zerosum.nets.r3gan import Block, Discriminator, Generator, Transition, channels

NOTHING = torch.empty(16, 0)


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def make(shape, width=32):
    options = Options(width=width)
    return (
        Generator(shape, latent_size=64, options=options),
        Discriminator(shape, options=options),
    )


@pytest.mark.parametrize(
    ("side", "published"), [(32, 20_000_000), (256, 25_000_000)], ids=["CIFAR-10", "FFHQ-256"]
)
def test_at_width_768_they_are_about_as_large_as_published(side, published):
    """40 M together for CIFAR-10 (section 4.5), about 25 M each at 256 pixels (section 3)."""
    with torch.device("meta"):
        G, D = make((3, side, side), width=768)
    for net in (G, D):
        assert num_parameters(net) == pytest.approx(published, rel=0.1)
    assert num_parameters(G) == pytest.approx(num_parameters(D), rel=0.01)


def test_widths_follow_the_resolution_in_groups_of_16():
    sides = (4, 7, 32, 64, 128, 256)
    assert [channels((side, 999), Options(width=768)) for side in sides] == [
        768,
        768,
        768,
        384,
        192,
        96,
    ]
    assert [channels((side, side), Options(width=10)) for side in sides] == [16, 16, 16, 8, 8, 8]
    G, _ = make((1, 28, 28), width=24)
    grouped = [m for m in G.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert {(m.in_channels, m.in_channels // m.groups) for m in grouped} == {(48, 16)}


def test_two_blocks_at_every_resolution():
    G, D = make((1, 28, 28))
    for net in (G, D):
        assert [sum(isinstance(m, Block) for m in stage) for stage in net.stages] == [2, 2, 2, 2]
        assert sum(isinstance(m, Transition) for m in net.modules()) == 3


def test_there_is_no_normalisation_and_no_tanh():
    layers = {type(m).__name__ for net in make((1, 28, 28)) for m in net.modules()}
    assert not {name for name in layers if "Norm" in name or "Tanh" in name}


def test_blocks_start_as_the_identity():
    for net in make((1, 28, 28)):
        for block in (m for m in net.modules() if isinstance(m, Block)):
            width = block.branch[0].in_channels
            maps = torch.randn(2, width, 5, 5)
            assert torch.equal(block(maps), maps)
            assert block.branch[-1].bias is None


def test_first_weights_shrink_with_the_fourth_root_of_depth():
    torch.manual_seed(0)
    for shape, blocks in (((1, 8, 8), 4), ((1, 28, 28), 8), ((1, 64, 64), 10)):
        G, _ = make(shape, width=64)
        first, _, grouped, _, _ = next(m for m in G.modules() if isinstance(m, Block)).branch
        gain = (2 / (1 + 0.2**2)) ** 0.5 * blocks**-0.25
        assert first.weight.std().item() == pytest.approx(gain / 64**0.5, rel=0.05)
        assert grouped.weight.std().item() == pytest.approx(gain / (16 * 9) ** 0.5, rel=0.05)


@pytest.mark.parametrize("side", [8, 28, 64, 128])
def test_activations_neither_explode_nor_vanish_with_depth(side):
    torch.manual_seed(0)
    G, D = make((3, side, side), width=16)
    images = G(torch.randn(16, 64), NOTHING)
    assert 0.2 < images.std() < 2
    # Smooth images, since averaging white noise makes it vanish whatever the net.
    smooth = torch.randn(16, 3, 1, 1).expand(-1, -1, side, side)
    assert 0.1 < D(smooth, NOTHING).std() < 4


def test_one_step_changes_the_output_as_much_in_a_deep_net_as_in_a_shallow_one():
    """What Fix-up is for: at 256 pixels there are 14 blocks, at 8 there are 4."""
    changes = []
    for side in (8, 256):
        torch.manual_seed(0)
        G, _ = make((1, side, side), width=16)
        z = torch.randn(4, 64)
        before = G(z, torch.empty(4, 0))
        before.square().mean().backward()
        for parameter in G.parameters():
            parameter.data -= 0.01 * parameter.grad
        changes.append((G(z, torch.empty(4, 0)) - before).square().mean().sqrt().item())
    assert 0.2 < changes[1] / changes[0] < 5


def test_the_smallest_map_is_the_basis_scaled_by_z():
    G, _ = make((1, 28, 28))
    z = torch.randn(3, 64)
    maps = G.basis(z)
    assert maps.shape == (3, 32, 4, 4)
    scales = z @ G.basis.linear.weight.T
    torch.testing.assert_close(maps[1, 5], G.basis.maps[5] * scales[1, 5])


def test_ds_reduction_is_a_depthwise_convolution_of_the_whole_map():
    _, D = make((1, 28, 28))
    images = torch.randn(16, 1, 28, 28)
    maps = D.stages(D.input(images))
    features = nn.functional.conv2d(maps, D.reduction[:, None], groups=32).flatten(1)
    torch.testing.assert_close(D(images, NOTHING), D.head.linear(features))


def test_spectral_norm_cannot_divide_the_zeros_they_start_with():
    options = Options(width=8, spectral_norm=True)
    for make_net in (
        lambda: Generator((1, 8, 8), latent_size=3, options=options),
        lambda: Discriminator((1, 8, 8), options=options),
    ):
        with pytest.raises(UserError, match="R3GAN's residual branches"):
            make_net()
