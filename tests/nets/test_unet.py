import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from zerosum.errors import UserError
from zerosum.nets.padding import padded
from zerosum.nets.unet import Dropout, Generator

both_norms = pytest.mark.parametrize("norm", ["instance", "batch"])


def unet(size=(16, 16), *, source=1, target=1, **changes):
    settings = {"width": 2, "dropout": 0.0} | changes
    return Generator(size, source_channels=source, target_channels=target, **settings)


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def layers(net, *kinds):
    return [module for module in net.modules() if isinstance(module, kinds)]


@both_norms
def test_at_256_pixels_it_has_the_published_weights(norm):
    """54.414 M in the authors' PyTorch program with BatchNorm, whose first and innermost layers
    have no bias as long as the others have BatchNorm; of ours, those without a norm have one."""
    with torch.device("meta"):
        G = unet((256, 256), source=3, target=3, width=64, norm=norm)
    assert num_parameters(G) == 54_413_955 + 64 + 512


def test_its_layers_are_those_of_the_paper():
    with torch.device("meta"):
        G = unet((256, 256), source=3, target=3, width=64, dropout=0.5)
    down, up = layers(G, nn.Conv2d), layers(G, nn.ConvTranspose2d)
    assert [layer.out_channels for layer in down] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [layer.in_channels for layer in up] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert [layer.out_channels for layer in up] == [512, 512, 512, 512, 256, 128, 64, 3]
    assert [len(layers(level, Dropout)) for level in G.up] == [1, 1, 1, 0, 0, 0, 0, 0]
    assert [len(layers(level, nn.InstanceNorm2d)) for level in G.down] == [0, *[1] * 6, 0]
    assert [len(layers(level, nn.InstanceNorm2d)) for level in G.up] == [*[1] * 7, 0]
    for layer in (*down, *up):
        assert (layer.kernel_size, layer.stride) == ((4, 4), (2, 2))


@pytest.mark.parametrize(
    ("size", "depth"),
    [((8, 8), 3), ((15, 40), 3), ((64, 48), 5), ((255, 300), 7), ((256, 256), 8), ((512, 512), 8)],
)
def test_the_shorter_side_is_halved_as_often_as_it_can(size, depth):
    G = unet(size)
    assert len(G.down) == len(G.up) == depth
    assert G.multiple == 2**depth


def test_at_a_power_of_two_the_innermost_map_is_one_pixel():
    seen = []
    G = unet((32, 64))
    G.down[-1].register_forward_hook(lambda _, __, maps: seen.append(maps.shape))
    G(torch.randn(1, 1, 32, 64))
    assert seen == [(1, 16, 1, 2)]


@both_norms
@settings(max_examples=25)
@given(height=st.integers(8, 40), width=st.integers(8, 40))
def test_any_size_can_be_made(norm, height, width):
    G = unet((height, width), source=2, target=3, norm=norm)
    images = G(torch.rand(1, 2, height, width) * 2 - 1)
    assert images.shape == (1, 3, height, width)
    assert images.isfinite().all()


@both_norms
@pytest.mark.parametrize("size", [(8, 8), (9, 8), (48, 64), (129, 67), (512, 8)])
def test_so_can_these(norm, size):
    assert unet(size, norm=norm)(torch.randn(1, 1, *size)).shape == (1, 1, *size)


@pytest.mark.parametrize("size", [(1, 1), (5, 30), (16, 16), (33, 70)])
def test_other_sizes_pass_through_the_same_net(size):
    G = unet((16, 16))
    images = torch.randn(2, 1, *size)
    made = G(images)
    assert made.shape == images.shape
    assert torch.equal(made, G(padded(images, 16))[..., : size[0], : size[1]])


def test_it_is_the_net_that_the_paper_draws():
    """Written out for three levels, at a size that needs no padding."""
    G = unet((8, 8), source=3, target=2)
    images = torch.randn(2, 3, 8, 8)
    (first, second, innermost), (low, middle, last) = (
        layers(G, nn.Conv2d),
        layers(G, nn.ConvTranspose2d),
    )
    norms = layers(G, nn.InstanceNorm2d)
    one = first(images)
    two = norms[0](second(F.leaky_relu(one, 0.2)))
    three = innermost(F.leaky_relu(two, 0.2))
    maps = norms[1](low(three.relu()))
    maps = norms[2](middle(torch.cat([two, maps], 1).relu()))
    expected = last(torch.cat([one, maps], 1).relu()).tanh()
    torch.testing.assert_close(G(images), expected)


@pytest.mark.parametrize("size", [(7, 64), (64, 1025)])
def test_sizes_that_it_is_not_made_for_are_refused(size):
    with pytest.raises(UserError, match="expected sides from 8 to 1024"):
        unet(size)


def test_other_norms_are_refused():
    with pytest.raises(UserError, match=r"norm of G 'none'\. .*Valid names: batch, instance"):
        unet(norm="none")


def test_images_are_between_minus_one_and_one():
    G = unet(target=3)
    for parameter in G.parameters():
        parameter.data *= 10
    images = G(torch.randn(2, 1, 16, 16))
    assert images.abs().max() <= 1
    assert images.abs().max() > 0.9


def test_the_way_around_the_bottleneck_is_open():
    G = unet()
    images = torch.randn(1, 1, 16, 16, requires_grad=True)
    G.up[0].register_forward_hook(lambda _, __, maps: torch.zeros_like(maps))
    (gradient,) = torch.autograd.grad(G(images).square().sum(), images)
    assert gradient.count_nonzero() > images.numel() / 2
    assert not any(parameter.grad is not None for parameter in G.down[-1].parameters())


def test_each_level_hands_its_map_across():
    """With all ways down cut after a level, the output still feels the levels before it."""
    for level in range(4):
        G = unet()
        images = torch.randn(1, 1, 16, 16, requires_grad=True)
        activation = G.down[level + 1][0] if level < 3 else G.up[0][0]
        activation.register_forward_hook(lambda _, __, maps: torch.zeros_like(maps))
        made = G(images)
        gradients = torch.autograd.grad(
            made.square().sum(), [*G.down[level].parameters()], allow_unused=True
        )
        felt = any(gradient is not None and gradient.any() for gradient in gradients)
        assert felt == (level < 3)


@pytest.mark.parametrize("mode", [True, False])
def test_the_noise_is_on_in_every_mode_and_follows_the_stream(mode):
    G = unet(dropout=0.5, width=8).train(mode)
    images = torch.randn(1, 1, 16, 16)
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(G(images))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_as_much_is_dropped_as_asked():
    maps = torch.ones(1, 8, 50, 50)
    dropped = Dropout(0.2).eval()(maps)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert dropped.unique().tolist() == pytest.approx([0, 1.25])


def test_without_dropout_nothing_is_drawn():
    G = unet(dropout=0.0)
    images = torch.randn(1, 1, 16, 16)
    before = torch.get_rng_state()
    assert torch.equal(G(images), G(images))
    assert torch.equal(torch.get_rng_state(), before)
    assert not layers(G, Dropout)


@pytest.mark.parametrize(("side", "noisy"), [(8, 2), (16, 3), (32, 3)])
def test_noise_is_innermost_and_never_in_the_output(side, noisy):
    G = unet((side, side), dropout=0.5)
    counts = [len(layers(level, Dropout)) for level in G.up]
    assert counts == [1] * noisy + [0] * (len(G.up) - noisy)


@both_norms
def test_the_weights_start_as_dcgans(norm):
    G = unet((64, 64), source=3, target=3, width=16, norm=norm)
    for layer in layers(G, nn.Conv2d, nn.ConvTranspose2d):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert layer.bias is None or not layer.bias.any()
    gains = torch.cat([m.weight for m in layers(G, nn.InstanceNorm2d, nn.BatchNorm2d)])
    assert gains.mean().item() == pytest.approx(1, abs=0.005)
    assert gains.std().item() == pytest.approx(0.02, rel=0.1)


@both_norms
def test_a_layer_has_a_norm_or_a_bias(norm):
    G = unet((32, 32), norm=norm)
    for level in (*G.down, *G.up):
        (convolution,) = layers(level, nn.Conv2d, nn.ConvTranspose2d)
        assert (convolution.bias is None) == bool(layers(level, nn.InstanceNorm2d, nn.BatchNorm2d))


@both_norms
def test_every_weight_learns(norm):
    G = unet((16, 16), norm=norm, width=4)
    G(torch.randn(3, 1, 16, 16)).sub(0.5).square().sum().backward()
    for name, parameter in G.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_with_instance_norm_each_image_is_translated_alone():
    G = unet()
    images = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(G(images)[1:2], G(images[1:2]))


def test_the_same_stream_makes_the_same_net():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(unet().state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
