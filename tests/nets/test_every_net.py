"""What every convolutional G and D keeps to, whichever it is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zerosum.errors import UserError
from zerosum.nets import dcgan, r3gan, resnet
from zerosum.nets.layers import Options, SelfAttention

KINDS = [dcgan, resnet, r3gan]
LATENTS = 6
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__[13:])
both_ways = pytest.mark.parametrize("conditioning", ["concat", "projection"])
IMAGES = st.tuples(st.sampled_from([1, 3, 4]), st.integers(28, 80), st.integers(28, 80))


def options(**changes):
    return Options(**({"width": 4} | changes))


def generator(kind, shape=(1, 8, 8), **changes):
    return kind.Generator(shape, latent_size=LATENTS, options=options(**changes))


def discriminator(kind, shape=(1, 8, 8), *, outputs=1, pack=1, norm="none", **changes):
    extra = {"norm": norm} if kind is dcgan else {}
    return kind.Discriminator(
        shape, options=options(**changes), outputs=outputs, pack=pack, **extra
    )


def nothing(count):
    return torch.empty(count, 0)


def one_hot(classes, size=3):
    return nn.functional.one_hot(torch.tensor(classes), size).float()


def unsettle(net):
    """Move the weights away from the zeros that some of them start with."""
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0.0, 0.3)
    return net


def check_shapes(kind, shape):
    images = generator(kind, shape)(torch.randn(2, LATENTS), nothing(2))
    assert images.shape == (2, *shape)
    assert discriminator(kind, shape)(images, nothing(2)).shape == (2, 1)


@every_kind
@settings(max_examples=10)
@given(shape=IMAGES)
def test_any_size_can_be_made_and_judged(kind, shape):
    check_shapes(kind, shape)


@every_kind
@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 48, 64), (1, 33, 47), (4, 256, 28), (3, 129, 256), (1, 8, 8)]
)
def test_so_can_these(kind, shape):
    check_shapes(kind, shape)


@every_kind
def test_sizes_that_cannot_be_made_are_refused(kind):
    for make in (generator, discriminator):
        with pytest.raises(UserError, match="expected sides from 8 to 1024"):
            make(kind, (1, 28, 1100))


@pytest.mark.parametrize("kind", [dcgan, resnet])
def test_images_are_between_minus_one_and_one(kind):
    G = generator(kind, (3, 28, 28))
    for parameter in G.parameters():
        parameter.data *= 10
    images = G(torch.randn(4, LATENTS), nothing(4))
    assert images.abs().max() <= 1
    assert images.abs().max() > 0.9


@every_kind
@both_ways
def test_packs_are_judged_together_in_as_many_columns_as_asked(kind, conditioning):
    D = discriminator(kind, outputs=5, pack=2, condition_size=3, conditioning=conditioning)
    packs, conditions = torch.randn(2, 2, 8, 8), one_hot([0, 1, 2, 2]).view(2, 6)
    assert D(packs, conditions).shape == (2, 5)


@every_kind
@both_ways
def test_a_condition_changes_what_is_made_and_judged(kind, conditioning):
    told = {"condition_size": 3, "conditioning": conditioning}
    G, D = unsettle(generator(kind, **told)).eval(), discriminator(kind, **told)
    z, images = torch.randn(2, LATENTS), torch.randn(2, 1, 8, 8)
    for net, inputs in ((G, z), (D, images)):
        one, other = net(inputs, one_hot([0, 1])), net(inputs, one_hot([0, 2]))
        assert torch.equal(one[0], other[0])
        assert not torch.equal(one[1], other[1])


@every_kind
def test_many_classes_do_not_need_as_many_planes(kind):
    D = discriminator(kind, condition_size=1000)
    assert D(torch.randn(2, 1, 8, 8), one_hot([3, 999], 1000)).shape == (2, 1)
    assert D.planes.planes == 1


@every_kind
@pytest.mark.parametrize("resolution", [14, 7])
def test_attention_goes_where_it_is_asked_and_at_first_changes_nothing(kind, resolution):
    for make, inputs in (
        (generator, torch.randn(2, LATENTS)),
        (discriminator, torch.randn(2, 1, 28, 28)),
    ):
        net = make(kind, (1, 28, 28), attention=resolution).eval()
        (layer,) = (m for m in net.modules() if isinstance(m, SelfAttention))
        seen = []
        hook = layer.register_forward_hook(lambda _, maps, __, seen=seen: seen.append(maps[0]))
        output = net(inputs, nothing(2))
        hook.remove()
        assert seen[0].shape[2:] == (resolution, resolution)

        layer.gamma.data.fill_(1.0)
        assert not torch.equal(net(inputs, nothing(2)), output)
        layer.forward = lambda maps: maps
        assert torch.equal(net(inputs, nothing(2)), output)


@every_kind
def test_attention_elsewhere_is_refused_with_the_resolutions_there_are(kind):
    for make in (generator, discriminator):
        with pytest.raises(UserError, match=r"no feature map of resolution 13 .* one of .*14.*7"):
            make(kind, (1, 28, 28), attention=13)


@every_kind
def test_each_image_is_judged_alone(kind):
    D = discriminator(kind, (1, 12, 9), attention=None)
    images = torch.randn(3, 1, 12, 9, requires_grad=True)
    logits = D(images, nothing(3))
    torch.testing.assert_close(D(images[1:2], nothing(1)), logits[1:2])
    (gradient,) = torch.autograd.grad(logits[1, 0], images)
    assert gradient[1].any()
    assert not gradient[[0, 2]].any()


def steepness(D, images, condition):
    """What R1 charges: a function of the first derivative, so its gradient needs the second."""
    logits = D(images, condition)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum()


@pytest.mark.parametrize(
    ("kind", "spectral_norm"),
    # R3GAN's D refuses spectral norm.
    [(dcgan, False), (dcgan, True), (resnet, False), (resnet, True), (r3gan, False)],
)
@both_ways
@pytest.mark.parametrize("attention", [None, 4])
def test_penalties_have_the_gradient_of_finite_differences(
    kind, conditioning, attention, spectral_norm
):
    torch.manual_seed(0)
    D = discriminator(
        kind,
        (1, 8, 9),
        condition_size=3,
        conditioning=conditioning,
        attention=attention,
        spectral_norm=spectral_norm,
    )
    # eval: another step of spectral norm's power iteration would make it another function.
    D = unsettle(D).double().eval()
    images = torch.randn(3, 1, 8, 9, dtype=torch.double, requires_grad=True)
    condition = one_hot([0, 1, 2]).double()
    weights = list(D.parameters())
    gradients = torch.autograd.grad(steepness(D, images, condition), weights, allow_unused=True)
    directions = [torch.randn_like(weight) for weight in weights]
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)
    values = []
    for step in (1e-6, -2e-6):
        for weight, direction in zip(weights, directions, strict=True):
            weight.data += step * direction
        values.append(steepness(D, images, condition).detach())
    assert slope.isfinite()
    assert slope.abs() > 1e-6
    torch.testing.assert_close(slope, (values[0] - values[1]) / 2e-6, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [dcgan, resnet])
@both_ways
def test_spectral_norm_bounds_every_layer(kind, conditioning):
    told = {"condition_size": 3, "conditioning": conditioning, "spectral_norm": True}
    shape = (1, 28, 28)
    G = generator(kind, shape, attention=14, **told)
    D = discriminator(kind, shape, attention=14, **told)
    D(G(torch.randn(2, LATENTS), one_hot([0, 1])), one_hot([0, 1])).sum().backward()
    for net in (G, D):
        layers = [m for m in net.modules() if nn.utils.parametrize.is_parametrized(m)]
        kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
        assert len(layers) == sum(isinstance(m, kinds) for m in net.modules())
        for layer in layers:
            weight = layer.weight.detach()
            weight = weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
            norm = torch.linalg.matrix_norm(weight.flatten(1), ord=2)
            assert norm.item() == pytest.approx(1, abs=0.1)


@every_kind
def test_the_same_stream_makes_the_same_net(kind):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append((generator(kind).state_dict(), discriminator(kind).state_dict()))
    for first, second in zip(*states, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)


@every_kind
def test_every_weight_learns(kind):
    G = unsettle(generator(kind, (1, 28, 28), condition_size=3, attention=7))
    D = unsettle(discriminator(kind, (1, 28, 28), condition_size=3, attention=7))
    condition = one_hot([0, 1, 2])
    D(G(torch.randn(3, LATENTS), condition), condition).square().sum().backward()
    for net in (G, D):
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
