import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zerosum.errors import UserError
from zerosum.nets.padding import Reflection, padded
from zerosum.nets.translator import Block, Generator


def translator(size=(16, 16), *, source=1, target=1, **changes):
    settings = {"width": 2, "blocks": 1} | changes
    return Generator(size, source_channels=source, target_channels=target, **settings)


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def layers(net, *kinds):
    return [module for module in net.modules() if isinstance(module, kinds)]


@pytest.mark.parametrize(("side", "published"), [(256, 11_378_179), (128, 7_837_699)])
def test_it_has_the_published_weights(side, published):
    """11.378 M and 7.838 M in the authors' PyTorch program, which has biases before instance norm,
    where they are subtracted again; ours has none there."""
    with torch.device("meta"):
        G = translator((side, side), source=3, target=3, width=64, blocks=None)
    unneeded = sum(layer.num_features for layer in layers(G, nn.InstanceNorm2d))
    assert num_parameters(G) == published - unneeded


def test_its_layers_are_those_of_the_paper():
    with torch.device("meta"):
        G = translator((64, 64), source=3, target=3, width=64)
    shapes = [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        for layer in layers(G, nn.Conv2d, nn.ConvTranspose2d)
    ]
    assert shapes == [
        (3, 64, 7, 1),
        (64, 128, 3, 2),
        (128, 256, 3, 2),
        (256, 256, 3, 1),
        (256, 256, 3, 1),
        (256, 128, 3, 2),
        (128, 64, 3, 2),
        (64, 3, 7, 1),
    ]


@pytest.mark.parametrize(
    ("size", "blocks"), [((64, 64), 6), ((128, 512), 6), ((129, 256), 9), ((256, 256), 9)]
)
def test_larger_images_get_more_blocks(size, blocks):
    assert len(layers(translator(size, blocks=None), Block)) == blocks
    assert len(layers(translator(size, blocks=2), Block)) == 2


@settings(max_examples=25)
@given(height=st.integers(8, 40), width=st.integers(8, 40))
def test_any_size_can_be_made(height, width):
    G = translator((height, width), source=2, target=3)
    images = G(torch.rand(1, 2, height, width) * 2 - 1)
    assert images.shape == (1, 3, height, width)
    assert images.isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (8, 8), (16, 20), (33, 70), (130, 257)])
def test_other_sizes_pass_through_the_same_net(size):
    G = translator((16, 16))
    images = torch.randn(2, 1, *size)
    made = G(images)
    assert made.shape == images.shape
    larger = padded(images, G.multiple, least=8)
    assert torch.equal(made, G.layers(larger)[..., : size[0], : size[1]])


@pytest.mark.parametrize("size", [(7, 64), (64, 1025)])
def test_sizes_that_it_is_not_made_for_are_refused(size):
    with pytest.raises(UserError, match="expected sides from 8 to 1024"):
        translator(size)


def test_it_is_the_authors_net():
    """Theirs written out, with torch's own reflection."""
    G = translator((16, 16), source=3, target=2)
    first, half, quarter, one, two, up, full, last = layers(G, nn.Conv2d, nn.ConvTranspose2d)
    norm = nn.functional.instance_norm
    images = torch.randn(2, 3, 16, 12)
    maps = norm(first(nn.ReflectionPad2d(3)(images))).relu()
    maps = norm(half(maps)).relu()
    maps = norm(quarter(maps)).relu()
    assert maps.shape[2:] == (4, 3)
    branch = norm(one(nn.ReflectionPad2d(1)(maps))).relu()
    maps = maps + norm(two(nn.ReflectionPad2d(1)(branch)))
    maps = norm(up(maps)).relu()
    maps = norm(full(maps)).relu()
    torch.testing.assert_close(G(images), last(nn.ReflectionPad2d(3)(maps)).tanh())
    assert len(layers(G, Reflection)) == 4


def test_images_are_between_minus_one_and_one():
    G = translator(target=3)
    for parameter in G.parameters():
        parameter.data *= 100
    images = G(torch.randn(2, 1, 16, 16))
    assert images.abs().max() <= 1
    assert images.abs().max() > 0.9


def test_only_the_last_layer_has_a_bias():
    biases = [layer.bias for layer in layers(translator(), nn.Conv2d, nn.ConvTranspose2d)]
    assert [bias is not None for bias in biases] == [False] * 7 + [True]


def test_the_weights_start_at_two_hundredths():
    for layer in layers(translator(width=16), nn.Conv2d, nn.ConvTranspose2d):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_it_draws_nothing_and_is_the_same_in_every_mode():
    G = translator()
    images = torch.randn(2, 1, 16, 16)
    before = torch.get_rng_state()
    assert torch.equal(G(images), G.eval()(images))
    assert torch.equal(torch.get_rng_state(), before)


def test_each_image_is_translated_alone():
    G = translator()
    images = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(G(images)[1:2], G(images[1:2]))


def test_every_weight_learns():
    G = translator(width=4)
    G(torch.randn(2, 1, 16, 16)).sub(0.5).square().sum().backward()
    for name, parameter in G.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
