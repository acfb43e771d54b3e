from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zerosum import recipes
from zerosum.data.spec import DataSpec
from zerosum.training.ema import EMA
from zerosum.training.round import play_round
from zerosum.training.state import State

LONG_AGO = 10**9
"""Images after which the warm-up is over."""


def net_of(value):
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, value)
    return net


def average_of(start, target, *, half_life):
    """An average that stands at `start` and follows a net that stands at `target` and stays."""
    net = net_of(start)
    average = EMA(net, half_life=half_life)
    nn.init.constant_(net.weight, target)
    return average


@given(batch=st.sampled_from([1, 10, 128, 1000]), half_lives=st.integers(1, 4))
def test_after_a_half_life_of_images_half_the_distance_is_gone(batch, half_lives):
    average = average_of(0.0, 8.0, half_life=1000)
    remaining = 1000 * half_lives
    while remaining > 0:
        images = min(batch, remaining)
        average.update(images=images, seen=LONG_AGO)
        remaining -= images
    assert average.net.weight.item() == pytest.approx(8 - 8 * 0.5**half_lives, rel=1e-3)


@given(half_life=st.integers(1, 10**5), seen=st.integers(1, 10**6), images=st.integers(1, 1000))
def test_the_half_life_warms_up_with_the_images_seen(half_life, seen, images):
    average = average_of(0.0, 1.0, half_life=half_life)
    average.update(images=images, seen=seen)
    expected = 1 - 0.5 ** (images / min(half_life, 0.05 * seen))
    assert average.net.weight.item() == pytest.approx(expected, abs=1e-5)


def test_a_half_life_of_zero_follows_exactly():
    torch.manual_seed(0)
    net = nn.Linear(50, 50)
    average = EMA(net, half_life=0)
    for seen in (1, LONG_AGO):
        nn.init.normal_(net.weight)
        average.update(images=1, seen=seen)
        assert torch.equal(average.net.weight, net.weight)


def test_buffers_are_copied_not_averaged():
    net = nn.BatchNorm1d(2)
    average = EMA(net, half_life=1000)
    net(torch.randn(5, 2) + 3)
    average.update(images=1, seen=LONG_AGO)
    for ours, theirs in zip(average.net.buffers(), net.buffers(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours is not theirs
    assert average.net.num_batches_tracked == 1


def test_the_average_is_for_looking_only():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    average = EMA(net, half_life=10)
    assert not average.net.training
    assert net.training
    assert not any(parameter.requires_grad for parameter in average.net.parameters())
    net[0].weight.grad = torch.ones(2, 2)
    before = [parameter.clone() for parameter in net.parameters()]
    average.update(images=3, seen=LONG_AGO)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_it_follows_a_net_whose_weights_are_loaded_later():
    net = net_of(0.0)
    average = EMA(net, half_life=0)
    net.load_state_dict(net_of(5.0).state_dict())
    average.update(images=1, seen=1)
    assert average.net.weight.item() == 5


@pytest.mark.parametrize("name", ["dcgan", "sagan"])  # BatchNorm; and spectral norm as well
def test_raw_and_average_samples_agree_on_a_frozen_net(name):
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    config = recipes.get(name).configure({"data": "mine", "width": 2, "latent_size": 4})
    game = recipes.build(name, config, DataSpec(shape=(1, 28, 28)), device=cpu)
    game = replace(game, G=replace(game.G, schedules={"lr": lambda seen: 0.0}))
    state = State(game, EMA(game.G.net, half_life=50))
    inputs = torch.randn(5, 4), torch.empty(5, 0)

    @torch.no_grad()
    def raw():
        images = game.G.net.eval()(*inputs)
        game.G.net.train()
        return images

    before = raw()
    weights = [weight.clone() for weight in game.G.net.parameters()]
    for _ in range(30):
        state.progress.seen += play_round(
            game,
            lambda: (torch.rand(6, 1, 28, 28) * 2 - 1, None),
            seed=0,
            turn_index=state.progress.turns,
            seen=state.progress.seen,
            bf16=False,
            stats=state.stats,
        )
        state.progress.turns += len(game.turns)
        state.ema.update(images=6, seen=state.progress.seen)
    after = raw()
    assert all(torch.equal(a, b) for a, b in zip(weights, game.G.net.parameters(), strict=True))
    assert not torch.allclose(before, after, atol=1e-3)
    assert torch.equal(state.ema.net(*inputs), after)


def test_a_head_start_is_as_many_images_more():
    ahead = EMA(net_of(0.0), half_life=10**6, head_start=4000)
    late = average_of(0.0, 1.0, half_life=10**6)
    nn.init.constant_(ahead._followed[0], 1.0)
    ahead.update(images=10, seen=1000)
    late.update(images=10, seen=5000)
    assert ahead.net.weight.item() == late.net.weight.item()
