import pytest
import torch
from torch import nn

from zerosum.nets.mlp import Discriminator, Generator, perceptron, with_condition

MNIST = (1, 28, 28)
NOTHING = torch.empty(5, 0)


def sizes(net):
    return [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]


def kinds(net):
    return [type(layer).__name__ for layer in net.layers]


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.fixture(name="G")
def generator():
    return Generator(MNIST, latent_size=100, hidden=(256, 512))


@pytest.fixture(name="D")
def discriminator():
    return Discriminator(MNIST, hidden=(512, 256))


def test_the_generator_is_the_one_of_the_recipe(G):
    assert sizes(G) == [(100, 256), (256, 512), (512, 784)]
    assert kinds(G) == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Tanh"]
    assert num_parameters(G) == 101 * 256 + 257 * 512 + 513 * 784 == 559_632


def test_so_is_the_discriminator(D):
    assert sizes(D) == [(784, 512), (512, 256), (256, 1)]
    assert kinds(D) == ["Linear", "LeakyReLU", "Linear", "LeakyReLU", "Linear"]
    assert {m.negative_slope for m in D.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert num_parameters(D) == 785 * 512 + 513 * 256 + 257 == 533_505


def test_images_are_between_minus_one_and_one(G):
    images = G(1000 * torch.randn(5, 100), NOTHING)
    assert images.shape == (5, *MNIST)
    assert images.min() >= -1
    assert images.max() <= 1
    assert images.abs().max() > 0.99


def test_logits_are_any_numbers(D):
    logits = D(1000 * torch.randn(5, *MNIST), NOTHING)
    assert logits.shape == (5, 1)
    assert logits.abs().max() > 1


def test_they_compute_what_is_written_by_hand(G, D):
    z = torch.randn(5, 100)
    first, second, third = (m for m in G.modules() if isinstance(m, nn.Linear))
    by_hand = torch.tanh(third(torch.relu(second(torch.relu(first(z))))))
    images = G(z, NOTHING)
    assert torch.equal(images, by_hand.view(5, 1, 28, 28))

    leaky = nn.functional.leaky_relu
    first, second, third = (m for m in D.modules() if isinstance(m, nn.Linear))
    by_hand = third(leaky(second(leaky(first(images.flatten(1)), 0.2)), 0.2))
    assert torch.equal(D(images, NOTHING), by_hand)


@pytest.mark.parametrize("shape", [(3, 8, 6), (4, 1, 1), (1, 5, 9)])
def test_images_may_have_any_shape(shape):
    G, D = Generator(shape, latent_size=2, hidden=(3,)), Discriminator(shape, hidden=(3,))
    images = G(torch.randn(5, 2), NOTHING)
    assert images.shape == (5, *shape)
    assert D(images, NOTHING).shape == (5, 1)


def test_without_hidden_layers_they_are_linear():
    assert sizes(perceptron([4, 2], nn.ReLU())) == [(4, 2)]


def test_a_condition_is_columns_beside_the_input():
    G = Generator((1, 2, 2), latent_size=3, hidden=(5,), condition_size=2)
    D = Discriminator((1, 2, 2), hidden=(5,), condition_size=2)
    assert (sizes(G)[0], sizes(D)[0]) == ((5, 5), (6, 5))
    z, one_hot = torch.randn(5, 3), torch.eye(2)[torch.tensor([0, 1, 0, 1, 1])]
    images = G(z, one_hot)
    assert torch.equal(images, G.layers(torch.cat([z, one_hot], 1)).view(5, 1, 2, 2))
    assert not torch.equal(images, G(z, 1 - one_hot))
    assert not torch.equal(D(images, one_hot), D(images, 1 - one_hot))


def test_an_empty_condition_costs_no_copy():
    inputs = torch.randn(5, 3)
    assert with_condition(inputs, NOTHING) is inputs


def test_a_pack_and_its_conditions_are_judged_as_one():
    D = Discriminator((1, 2, 2), hidden=(5,), condition_size=3, pack=2)
    assert sizes(D)[0] == (14, 5)
    assert D(torch.randn(4, 2, 2, 2), torch.randn(4, 6)).shape == (4, 1)


def test_an_auxiliary_classifier_has_columns_of_its_own():
    assert Discriminator(MNIST, hidden=(3,), outputs=11)(torch.randn(5, *MNIST), NOTHING).shape == (
        5,
        11,
    )


def test_spectral_norm_leaves_no_layer_out():
    G = Generator(MNIST, latent_size=4, hidden=(6,), spectral_norm=True)
    D = Discriminator(MNIST, hidden=(6,), spectral_norm=True)
    assert D(G(torch.randn(5, 4), NOTHING), NOTHING).shape == (5, 1)
    for net in (G, D):
        for layer in (m for m in net.modules() if isinstance(m, nn.Linear)):
            for _ in range(50):  # each look is one step of the power iteration
                weight = layer.weight
            assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(1, abs=1e-2)


def test_options_draw_no_random_numbers_unless_asked():
    """So that the vanilla recipe's weights stay what they were."""
    states = []
    for options in ({}, {"outputs": 1, "pack": 1, "spectral_norm": False}):
        torch.manual_seed(0)
        net = Discriminator(MNIST, hidden=(6,), **options)
        states.append([*net.state_dict().values(), torch.rand(1)])
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
