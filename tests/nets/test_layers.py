import copy

import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.nets import r3gan, resnet
from zerosum.nets.layers import (
    Options,
    SelfAttention,
    blocks_in,
    initialise_normal,
    with_spectral_norm,
)


def largest_singular_value(weight, first=0):
    return torch.linalg.matrix_norm(weight.detach().transpose(0, first).flatten(1), ord=2)


def attention_with_loops(layer, maps):
    """Equations 1 to 3 of the paper, pixel by pixel."""

    def project(convolution):
        return torch.einsum("oi,bihw->bohw", convolution.weight[:, :, 0, 0], maps)

    def pooled(values):
        height, width = maps.shape[2:]
        return [
            values[:, row : row + 2, column : column + 2].amax((1, 2))
            for row in range(0, height, 2)
            for column in range(0, width, 2)
        ]

    query, key, value = (project(c) for c in (layer.query, layer.key, layer.value))
    result = maps.clone()
    for image in range(len(maps)):
        keys, values = pooled(key[image]), pooled(value[image])
        for row in range(maps.shape[2]):
            for column in range(maps.shape[3]):
                scores = torch.stack([query[image, :, row, column] @ one for one in keys])
                shares = scores.exp() / scores.exp().sum()
                found = sum(share * one for share, one in zip(shares, values, strict=True))
                looked_up = layer.output.weight[:, :, 0, 0] @ found
                result[image, :, row, column] += layer.gamma * looked_up
    return result


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (1, 2)])
def test_attention_is_what_the_paper_writes(size):
    layer, maps = SelfAttention(16).double(), torch.randn(2, 16, *size, dtype=torch.double)
    layer.gamma.data.fill_(0.7)
    torch.testing.assert_close(layer(maps), attention_with_loops(layer, maps))


def test_attention_has_the_papers_channels():
    layer = SelfAttention(64)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert shapes == {
        "gamma": (),
        "query.weight": (8, 64, 1, 1),
        "key.weight": (8, 64, 1, 1),
        "value.weight": (32, 64, 1, 1),
        "output.weight": (64, 32, 1, 1),
    }


def test_attention_starts_as_the_identity_and_can_leave_it():
    layer, maps = SelfAttention(3), torch.randn(2, 3, 5, 4)
    assert torch.equal(layer(maps), maps)
    layer(maps).square().sum().backward()
    assert layer.gamma.grad != 0


def test_attention_can_be_differentiated_twice():
    layer = SelfAttention(8).double()
    layer.gamma.data.fill_(0.7)
    maps = torch.randn(1, 8, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, maps)
    assert torch.autograd.gradgradcheck(layer, maps)


def test_attention_under_autocast_stays_close():
    layer, maps = SelfAttention(16), torch.randn(2, 16, 6, 6)
    layer.gamma.data.fill_(1.0)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(maps)
    assert torch.isfinite(half).all()
    torch.testing.assert_close(half.float(), layer(maps), rtol=0.05, atol=0.05)


def net_of_all_kinds():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(6, 4, 4), nn.Flatten(), nn.Linear(4, 5)
    )


def test_spectral_norm_is_that_of_svd():
    net = net_of_all_kinds()
    originals = [net[i].weight.detach().clone() for i in (0, 1, 3)]
    assert with_spectral_norm(net) is net
    for _ in range(200):  # each forward pass is one step of the power iteration
        for i in (0, 1, 3):
            _ = net[i].weight
    for i, original in zip((0, 1, 3), originals, strict=True):
        output_axis = 1 if i == 1 else 0  # of a transposed convolution, the second
        norm = largest_singular_value(original, output_axis)
        torch.testing.assert_close(net[i].weight.detach(), original / norm, rtol=1e-4, atol=1e-5)


def test_spectral_norm_reaches_embeddings_and_nested_layers():
    net = nn.ModuleDict({"embedding": nn.Embedding(3, 4), "inner": nn.Sequential(nn.Linear(2, 2))})
    with_spectral_norm(net)
    trained = {name for name, _ in net.named_parameters()}
    assert "embedding.parametrizations.weight.original" in trained
    assert "inner.0.parametrizations.weight.original" in trained


def test_a_look_in_eval_mode_leaves_no_trace_and_one_in_training_does():
    net = with_spectral_norm(nn.Linear(20, 30))
    images = torch.randn(2, 20)
    before = copy.deepcopy(net.state_dict())
    net.eval()
    assert torch.equal(net(images), net(images))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.train()
    first, second = net(images), net(images)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, rtol=0.5, atol=0.1)


def test_a_copy_of_state_and_buffers_is_the_same_net():
    net, images = with_spectral_norm(net_of_all_kinds()), torch.randn(2, 3, 3, 3)
    net[:2](images)
    copied = with_spectral_norm(net_of_all_kinds())
    copied.load_state_dict(net.state_dict())
    assert torch.equal(net[:2].eval()(images), copied[:2].eval()(images))
    assert torch.equal(copy.deepcopy(net)[:2](images), copied[:2](images))


def test_zeros_have_no_spectral_norm():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    nn.init.zeros_(net[1].weight)
    with pytest.raises(UserError, match="'1': its weights are all 0"):
        with_spectral_norm(net)


def test_the_first_weights_are_dcgans():
    net = nn.Sequential(nn.Conv2d(64, 64, 3), nn.BatchNorm2d(4096), nn.Linear(100, 100))
    nn.init.ones_(net[1].bias)
    initialise_normal(net)
    for layer in (net[0], net[2]):
        assert layer.weight.mean().abs() < 1e-3
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()
    assert net[1].weight.mean().item() == pytest.approx(1, abs=1e-3)
    assert net[1].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not net[1].bias.any()
    initialise_normal(net, deviation=0.5)
    assert net[0].weight.std().item() == pytest.approx(0.5, rel=0.05)


def test_layers_without_weights_of_their_own_may_be_there():
    initialise_normal(
        nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Conv2d(1, 1, 1, bias=False))
    )


def test_conditioning_is_one_of_two():
    with pytest.raises(UserError, match="Did you mean 'projection'"):
        Options(width=8, conditioning="projecting")
    told = Options(width=8, condition_size=3)
    assert (told.concatenated, told.projected) == (3, 0)
    projected = Options(width=8, condition_size=3, conditioning="projection")
    assert (projected.concatenated, projected.projected) == (0, 3)


@pytest.mark.parametrize(
    ("size", "above", "expected"),
    [
        ((4, 4), None, 24),
        ((16, 16), None, 24),
        ((17, 40), None, 12),  # the shorter side counts, and an odd one is rounded up
        ((64, 64), None, 6),
        ((64, 64), 64, 24),
        ((64, 128), 7, 1),
        ((28, 28), 7, 6),
        ((14, 14), 7, 12),
        ((1024, 1024), 1, 1),  # there is always one
    ],
)
def test_channels_are_halved_for_each_doubling_beyond_a_resolution(size, above, expected):
    options = Options(width=24, full_width_up_to=above)
    assert options.channels(size, full_up_to=16) == expected


@pytest.mark.parametrize(("net", "full_up_to"), [(resnet, 64), (r3gan, 32)])
def test_where_they_taper_is_an_option_of_nets_that_do_not_all_the_way(net, full_up_to):
    def of_levels(**options):
        return [net.channels((side, side), Options(width=64, **options)) for side in (8, 28, 128)]

    own = of_levels()
    assert own == of_levels(full_width_up_to=full_up_to)
    assert own[0] == own[1] > own[2]
    assert of_levels(full_width_up_to=7) == [32, 16, *of_levels(full_width_up_to=7)[2:]]


@pytest.mark.parametrize("net", [resnet, r3gan])
def test_both_players_taper(net):
    def weights(**options):
        chosen = Options(width=16, **options)
        G = net.Generator((1, 28, 28), latent_size=4, options=chosen)
        D = net.Discriminator((1, 28, 28), options=chosen)
        z, images, none = torch.randn(2, 4), torch.randn(2, 1, 28, 28), torch.empty(2, 0)
        assert G(z, none).shape == images.shape
        assert D(images, none).shape == (2, 1)
        return [sum(p.numel() for p in player.parameters()) for player in (G, D)]

    full, tapering = weights(), weights(full_width_up_to=7)
    assert all(less < more for less, more in zip(tapering, full, strict=True))


def test_a_block_is_a_layer_with_weights_and_what_belongs_to_it():
    convolution, norm, attention, linear = (
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), SelfAttention(8), nn.Linear(8, 1),
    )  # fmt: skip
    beside = nn.Linear(1, 1)
    layers = [convolution, norm, nn.ReLU(), attention, nn.Flatten(), linear]
    assert blocks_in(layers, with_first=[beside]) == [
        [convolution, norm, attention, beside],
        [linear],
    ]
