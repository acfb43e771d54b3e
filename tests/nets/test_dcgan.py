import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.nets.dcgan import Discriminator, Generator
from zerosum.nets.layers import Options

NOTHING = torch.empty(2, 0)


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def kinds(net):
    return [type(layer).__name__ for layer in net.layers]


def test_at_64_pixels_they_have_the_published_weights():
    """Those of PyTorch's DCGAN example, whose first and last layers are convolutions of a 4×4
    map, and so linear."""
    options = Options(width=64)
    assert num_parameters(Generator((3, 64, 64), latent_size=100, options=options)) == 3_576_704
    assert num_parameters(Discriminator((3, 64, 64), options=options)) == 2_765_568


def test_they_are_its_layers():
    G = Generator((1, 28, 28), latent_size=7, options=Options(width=4))
    stage = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    first = ["Linear", "Unflatten", "BatchNorm2d", "ReLU"]
    assert kinds(G) == [*first, *stage, *stage, "ConvTranspose2d", "Tanh"]
    D = Discriminator((1, 28, 28), options=Options(width=4))
    stage = ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds(D) == ["Conv2d", "LeakyReLU", *stage, *stage]
    bare = Discriminator((1, 28, 28), options=Options(width=4), norm="none")
    assert kinds(bare) == ["Conv2d", "LeakyReLU"] * 3


def test_without_batch_norm_the_convolutions_have_biases():
    for norm, expected in (("batch", False), ("none", True)):
        D = Discriminator((1, 28, 28), options=Options(width=4), norm=norm)
        layers = [m for m in D.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert {m.bias is not None for m in layers} == {expected}


def test_channels_double_up_to_eight_times():
    D = Discriminator((1, 256, 256), options=Options(width=2))
    outputs = [m.out_channels for m in D.modules() if isinstance(m, nn.Conv2d)]
    assert outputs == [2, 4, 8, 16, 16, 16]
    G = Generator((1, 256, 256), latent_size=3, options=Options(width=2))
    inputs = [m.in_channels for m in G.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert inputs == outputs[::-1]


def test_the_first_and_last_layers_are_convolutions_of_the_whole_map():
    G = Generator((3, 64, 64), latent_size=5, options=Options(width=4)).eval()
    weight = G.layers[0].weight.T.reshape(5, 32, 4, 4)
    z = torch.randn(2, 5)
    maps = nn.functional.conv_transpose2d(z[:, :, None, None], weight)
    torch.testing.assert_close(G(z, NOTHING), G.layers[2:](maps))

    D = Discriminator((3, 64, 64), options=Options(width=4)).eval()
    images = torch.randn(2, 3, 64, 64)
    logits = nn.functional.conv2d(D.layers(images), D.head.linear.weight.view(1, 32, 4, 4))
    torch.testing.assert_close(D(images, NOTHING), logits.flatten(1))


def test_the_weights_start_at_two_hundredths():
    G = Generator((3, 64, 64), latent_size=100, options=Options(width=16))
    for layer in (m for m in G.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d)):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_other_norms_are_refused():
    with pytest.raises(UserError, match=r"norm of D 'batchnorm'\. Did you mean 'batch'"):
        Discriminator((1, 28, 28), options=Options(width=4), norm="batchnorm")


def test_with_batch_norm_each_image_feels_the_others():
    D = Discriminator((1, 28, 28), options=Options(width=4))
    images = torch.randn(3, 1, 28, 28, requires_grad=True)
    (gradient,) = torch.autograd.grad(D(images, torch.empty(3, 0))[1, 0], images)
    assert gradient[[0, 2]].any()
