import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zerosum.errors import UserError
from zerosum.game.core import Play, has_batch_norm
from zerosum.game.losses import OBJECTIVES
from zerosum.game.penalties import gradient_penalty, r1
from zerosum.nets.patchgan import Discriminator, least_side

every_norm = pytest.mark.parametrize("norm", ["batch", "instance", "none"])


def patchgan(size=(24, 24), *, channels=1, **changes):
    return Discriminator(size, channels=channels, **({"width": 2} | changes))


def nothing(images):
    return images[:, :0]


def play_of(D, real, fake, **settings):
    def critic(images):
        return D(images, nothing(images))

    return Play(critic=critic, real=real, fake=fake, condition=nothing(real), seen=0, **settings)


def convolutions(D):
    return [layer for layer in D.layers if isinstance(layer, nn.Conv2d)]


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_it_has_the_published_weights():
    """2.769 M in the authors' PyTorch program, with BatchNorm: ours to the last."""
    D = patchgan((256, 256), channels=6, width=64, norm="batch")
    assert num_parameters(D) == 2_768_705


def test_its_layers_are_those_of_the_paper():
    D = patchgan((256, 256), channels=6, width=64, norm="batch")
    kinds = [type(layer).__name__ for layer in D.layers]
    stage = ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds == ["Conv2d", "LeakyReLU", *stage * 3, "Conv2d"]
    layers = convolutions(D)
    assert [layer.out_channels for layer in layers] == [64, 128, 256, 512, 1]
    assert [layer.stride[0] for layer in layers] == [2, 2, 2, 1, 1]
    assert {layer.kernel_size for layer in layers} == {(4, 4)}
    assert [layer.bias is not None for layer in layers] == [True, False, False, False, True]
    assert {layer.negative_slope for layer in D.layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_channels_double_up_to_eight_times():
    D = patchgan((256, 256), layers=5)
    assert [layer.out_channels for layer in convolutions(D)] == [2, 4, 8, 16, 16, 16, 1]


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_a_patch_of_the_papers_size(layers, field):
    side = 4 * field
    D = patchgan((side, side), layers=layers, norm="none").double()
    images = torch.randn(1, 1, side, side, dtype=torch.double, requires_grad=True)
    logits = D(images, nothing(images))
    patches = side // 2**layers - 2
    middle = patches // 2 * patches + patches // 2
    (gradient,) = torch.autograd.grad(logits[0, middle], images)
    for seen in (gradient[0, 0].any(0), gradient[0, 0].any(1)):
        assert seen.sum() == field
        assert seen.nonzero().diff(dim=0).eq(1).all()
    assert field == 9 * 2**layers - 2


@every_norm
@pytest.mark.parametrize("size", [(24, 24), (25, 39), (64, 48), (31, 127)])
def test_there_is_a_row_for_each_image_and_a_column_for_each_patch(norm, size):
    D = patchgan(size, channels=5, norm=norm)
    images, condition = torch.randn(3, 3, *size), torch.randn(3, 2, *size)
    patches = (size[0] // 8 - 2) * (size[1] // 8 - 2)
    assert D(images, condition).shape == (3, patches)


def test_columns_are_the_patches_row_by_row():
    D = patchgan((40, 48), norm="none")
    images = torch.randn(2, 1, 40, 48)
    logits = D(images, nothing(images)).view(2, 3, 4)
    assert torch.equal(logits[:, None], D.layers(images))


@every_norm
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_one_patch_needs_the_least_side(norm, layers):
    least = least_side(layers)
    images = torch.randn(2, 1, least, least)
    D = patchgan((least, least), layers=layers, norm=norm)
    assert D(images, nothing(images)).shape == (2, 1)
    expected = f"{layers} strided layers .* {least}×{least - 1}: .* at least {least} pixels"
    with pytest.raises(UserError, match=expected):
        patchgan((least, least - 1), layers=layers, norm=norm)


def test_other_sizes_pass_through_the_same_net():
    D = patchgan((24, 24))
    images = torch.randn(2, 1, 50, 33)
    assert D(images, nothing(images)).shape == (2, 4 * 2)


def test_other_norms_are_refused():
    with pytest.raises(UserError, match=r"norm of D 'instances'\. Did you mean 'instance'"):
        patchgan(norm="instances")


def test_the_condition_is_seen():
    D = patchgan(channels=2)
    images, condition = torch.randn(2, 1, 24, 24), torch.randn(2, 1, 24, 24)
    assert not torch.equal(D(images, condition), D(images, -condition))
    joined = torch.cat([images, condition], dim=1)
    assert torch.equal(D(images, condition), D(joined, nothing(joined)))


@every_norm
def test_the_weights_start_as_dcgans(norm):
    D = patchgan((64, 64), channels=6, width=16, norm=norm)
    for layer in convolutions(D):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
        assert layer.bias is None or not layer.bias.any()
    norms = [m for m in D.layers if isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d)]
    assert len(norms) == (0 if norm == "none" else 3)
    if norms:
        gains = torch.cat([layer.weight for layer in norms])
        assert gains.std().item() == pytest.approx(0.02, rel=0.15)


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_without_batch_norm_each_image_is_judged_alone(norm):
    D = patchgan(norm=norm)
    images = torch.randn(3, 1, 24, 24, requires_grad=True)
    logits = D(images, nothing(images))
    torch.testing.assert_close(D(images[1:2], nothing(images[1:2])), logits[1:2])
    (gradient,) = torch.autograd.grad(logits[1].sum(), images)
    assert gradient[1].any()
    assert not gradient[[0, 2]].any()


@pytest.mark.parametrize(("norm", "couples"), [("batch", True), ("instance", False)])
def test_a_game_sees_what_couples_the_batch(norm, couples):
    assert has_batch_norm(patchgan(norm=norm)) == couples


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("player", ["D", "G"])
def test_every_loss_is_the_mean_over_the_patches(name, player):
    """Of the losses that a D of one patch alone would pay, for that patch."""
    D, (real, fake) = patchgan((40, 32)), torch.randn(2, 3, 1, 40, 32)
    (term,) = getattr(OBJECTIVES[name], player).values()
    whole = term(play_of(D, real, fake))
    alone = [
        term(play_of(lambda i, c, patch=patch: D(i, c)[:, patch : patch + 1], real, fake))
        for patch in range(3 * 2)
    ]
    torch.testing.assert_close(whole, torch.stack(alone).mean())


def test_real_and_fake_can_be_judged_in_one_pass():
    D, (real, fake) = patchgan((40, 32)), torch.randn(2, 3, 1, 40, 32)
    together, apart = play_of(D, real, fake, in_one_pass=True), play_of(D, real, fake)
    torch.testing.assert_close(together.real_logits, apart.real_logits)
    torch.testing.assert_close(together.fake_logits, apart.fake_logits)


def linear(D):
    """Make D a linear function of the image: leaky ReLU without a leak, and no norm."""
    for layer in D.layers:
        if isinstance(layer, nn.LeakyReLU):
            layer.negative_slope = 1.0
    return D


def test_r1_charges_the_gradient_of_the_sum_over_patches():
    """D is linear and picks, for patch (i, j), the pixel (4i, 4j) times 3, so that the sum over the
    patches has the gradient 3 at as many pixels as there are patches."""
    D = linear(patchgan((20, 28), layers=2, width=1, norm="none")).double()
    for layer in convolutions(D):
        layer.weight.data.zero_()
        # With padding 1, tap 1 is the pixel itself: at stride 1 of (i, j), at stride 2 of 2(i, j).
        layer.weight.data[0, 0, 1, 1] = 1.0
    convolutions(D)[0].weight.data *= 3
    images = torch.randn(4, 1, 20, 28, dtype=torch.double)
    play = play_of(D, images, images)
    patches = (20 // 4 - 2) * (28 // 4 - 2)
    expected = 3 * images[:, 0, ::4, ::4][:, :3, :5]
    torch.testing.assert_close(D(images, nothing(images)), expected.flatten(1))
    assert r1(2.0)(play).item() == pytest.approx(9 * patches)
    expected = (3 * patches**0.5 - 1) ** 2
    assert gradient_penalty(1.0)(play).item() == pytest.approx(expected)


def test_the_gradient_of_a_linear_patchgan_is_its_transpose():
    D = linear(patchgan((24, 33), channels=2, norm="none")).double()
    maps = torch.ones(1, 1, 1, 2, dtype=torch.double)  # 1×2 patches
    sizes = [(24, 33), (12, 16), (6, 8), (3, 4), (2, 3)]
    for layer, size in zip(convolutions(D)[::-1], sizes[::-1], strict=True):
        odd = (0, 1) if size == (24, 33) else 0  # the last column of an odd side is seen too
        maps = F.conv_transpose2d(maps, layer.weight, None, layer.stride, 1, odd)
        assert maps.shape[2:] == size
    images = torch.randn(3, 2, 24, 33, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(D(images, nothing(images)).sum(), images)
    torch.testing.assert_close(gradient, maps.expand(3, -1, -1, -1))
    play = play_of(D, images.detach(), images.detach())
    torch.testing.assert_close(r1(2.0)(play), maps.square().sum())


def steepness(D, images, condition):
    """What R1 charges: a function of the first derivative, so its gradient needs the second."""
    (gradient,) = torch.autograd.grad(D(images, condition).sum(), images, create_graph=True)
    return gradient.square().sum()


@every_norm
def test_penalties_have_the_gradient_of_finite_differences(norm):
    D = patchgan((12, 13), channels=2, layers=2, width=3, norm=norm).double()
    for parameter in D.parameters():
        nn.init.normal_(parameter, 0.0, 0.3)  # 0.02 to the fourth is too little to measure
    images = torch.randn(3, 1, 12, 13, dtype=torch.double, requires_grad=True)
    condition = torch.randn(3, 1, 12, 13, dtype=torch.double)
    weights = list(D.parameters())
    gradients = torch.autograd.grad(steepness(D, images, condition), weights, allow_unused=True)
    directions = [torch.randn_like(weight) for weight in weights]
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)
    values = []
    for step in (1e-6, -2e-6):
        for weight, direction in zip(weights, directions, strict=True):
            weight.data += step * direction
        values.append(steepness(D, images, condition).detach())
    assert slope.abs() > 1e-6
    torch.testing.assert_close(slope, (values[0] - values[1]) / 2e-6, rtol=1e-4, atol=1e-6)


@every_norm
def test_every_weight_learns(norm):
    D = patchgan((32, 32), norm=norm)
    images = torch.randn(3, 1, 32, 32)
    D(images, nothing(images)).sub(0.5).square().sum().backward()
    for name, parameter in D.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
