import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import BCELoss

from zerosum.game import Play
from zerosum.losses import discriminator_cross_entropy, generator_cross_entropy

LOGITS = st.lists(st.floats(-20, 20), min_size=1, max_size=8)


def play_of(real, fake):
    """A Play whose images are the logits themselves: D is the identity."""
    as_images = [torch.as_tensor(values).reshape(-1, 1) for values in (real, fake)]
    return Play(
        critic=lambda images: images,
        real=as_images[0],
        fake=as_images[1],
        condition=torch.empty(len(real), 0),
        seen=0,
    )


def textbook(logits, label):
    """Binary cross entropy of a sigmoid's output, as in every tutorial, in float64."""
    return BCELoss()(torch.sigmoid(logits), torch.full_like(logits, label))


def with_gradients(loss, *inputs):
    leaves = [torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in inputs]
    value = loss(*leaves)
    return [value, *torch.autograd.grad(value, leaves, materialize_grads=True)]


@given(LOGITS, LOGITS)
def test_d_minimises_the_two_cross_entropies_of_the_textbook(real, fake):
    ours = with_gradients(lambda r, f: discriminator_cross_entropy(play_of(r, f)), real, fake)
    theirs = with_gradients(lambda r, f: textbook(r, 1) + textbook(f, 0), real, fake)
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.double(), expected, rtol=1e-5, atol=1e-6)


@given(LOGITS)
def test_g_minimises_the_cross_entropy_of_its_fakes_being_called_real(fake):
    ours = with_gradients(lambda f: generator_cross_entropy(play_of(f, f)), fake)
    theirs = with_gradients(lambda f: textbook(f, 1), fake)
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_d_that_cannot_tell_costs_two_and_one_log_2():
    play = play_of(torch.zeros(7), torch.zeros(7))
    assert discriminator_cross_entropy(play).item() == pytest.approx(2 * math.log(2))
    assert generator_cross_entropy(play).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("real", [-1000.0, 1000.0])
@pytest.mark.parametrize("fake", [-1000.0, 1000.0])
def test_extreme_logits_cost_what_they_are_wrong_by(real, fake):
    play = play_of(torch.tensor([real]), torch.tensor([fake]))
    assert discriminator_cross_entropy(play).item() == max(0, -real) + max(0, fake)
    assert generator_cross_entropy(play).item() == max(0, -fake)


def test_gs_gradient_does_not_vanish_when_d_is_sure():
    _, gradient = with_gradients(lambda f: generator_cross_entropy(play_of(f, f)), [-30.0, -1000.0])
    torch.testing.assert_close(gradient, torch.full((2,), -0.5, dtype=torch.float64))
    # The saturating form, log(1 - D(G(z))), would have left G nothing to learn from.
    _, saturating = with_gradients(lambda f: (1 - f.sigmoid()).log().mean(), [-30.0])
    assert saturating.abs().max() < 1e-12
