import numpy as np
import pytest
import torch
from torch import nn

import zerosum
from zerosum import api, recipes
from zerosum.data.spec import DataSpec
from zerosum.training import distributed
from zerosum.training.ema import EMA
from zerosum.training.layout import as_lies, asks_for_channels_last, lay_out
from zerosum.training.passes import summed
from zerosum.training.round import play_round
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State
from zerosum.training.step_stats import StepStats

CPU = torch.device("cpu")
LAST = torch.channels_last
TINY = {"latent_size": 4, "width": 8, "batch_size": 6}


def game_of(name, *, last=True, **settings):
    torch.manual_seed(0)
    config = recipes.get(name).configure({"data": "mnist", **TINY, **settings})
    game = recipes.build(name, config.settled(1000), DataSpec(shape=(3, 16, 16)), device=CPU)
    if last:
        lay_out(game)
    return game


def play(game, rounds, *, start=0):
    images = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for index in range(start, start + rounds):
        batch = images.roll(index, 0), None
        play_round(
            game,
            lambda batch=batch: batch,
            seed=0,
            turn_index=len(game.turns) * index,
            seen=0,
            bf16=False,
            stats=StepStats(),
        )


def kernels(game):
    players = (game.G, game.D)
    return [p for player in players for p in player.parameters if p.ndim == 4 and p.shape[1] > 1]


def lies_as(tensor, other):
    """Whether entries follow one another alike; of a side of 1 the stride means nothing."""
    sides = zip(other.shape, tensor.stride(), other.stride(), strict=True)
    return all(ours == theirs for side, ours, theirs in sides if side > 1)


@pytest.mark.parametrize("name", ["dcgan", "wgan-gp", "sngan", "r3gan"])
def test_a_round_comes_to_the_same_in_both_layouts(name):
    usual, last = game_of(name, last=False), game_of(name)
    for game in (usual, last):
        game.G.net.double(), game.D.net.double()
    torch.set_default_dtype(torch.float64)
    try:
        for game in (usual, last):
            images = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
            play_round(
                game,
                lambda images=images: (images, None),
                seed=0,
                turn_index=0,
                seen=0,
                bf16=False,
                stats=StepStats(),
            )
    finally:
        torch.set_default_dtype(torch.float32)
    assert any(p.is_contiguous(memory_format=LAST) for p in kernels(last))
    for ours, theirs in zip(kernels(last), kernels(usual), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["dcgan", "wgan-gp", "r3gan"])
def test_weight_gradient_and_moments_lie_alike(name):
    """Or fused Adam would mix them up."""
    game = game_of(name)
    play(game, 1)
    for player in (game.G, game.D):
        for parameter in player.parameters:
            moments = player.optimizer.state[parameter]
            for other in (parameter.grad, moments["exp_avg"], moments["exp_avg_sq"]):
                assert lies_as(other, parameter)


def test_a_game_goes_on_exactly_with_the_channels_last():
    whole, first = game_of("dcgan"), game_of("dcgan")
    play(whole, 4)
    play(first, 2)
    snapshot = State(first, EMA(first.G.net, half_life=10)).snapshot()
    second = game_of("dcgan")
    State(second, EMA(second.G.net, half_life=10)).restore(snapshot)
    play(second, 2, start=2)
    for ours, theirs in zip(kernels(second), kernels(whole), strict=True):
        assert ours.equal(theirs)
        assert ours.is_contiguous(memory_format=LAST)


def test_gradients_of_all_processes_lie_as_the_weights(monkeypatch):
    game = game_of("dcgan")
    play(game, 1)
    before = [p.grad.clone() for p in game.D.parameters]
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(
        distributed, "flat_sum", lambda tensors: [2 * t.contiguous() for t in tensors]
    )
    summed(game.D, {"loss": torch.tensor(1.0)})
    for parameter, gradient in zip(game.D.parameters, before, strict=True):
        assert parameter.grad.equal(2 * gradient)
        assert lies_as(parameter.grad, parameter)


def test_as_lies_keeps_what_stands_where():
    tensor = torch.randn(2, 3, 4, 5)
    found = as_lies(tensor, tensor.contiguous(memory_format=LAST))
    assert found.equal(tensor)
    assert found.is_contiguous(memory_format=LAST)


def test_large_images_of_r3gan_stay_as_they_are():
    config = recipes.get("r3gan").configure({"data": "mnist", **TINY}).settled(1000)
    games = [
        recipes.build("r3gan", config, DataSpec(shape=(3, side, side)), device=CPU)
        for side in (32, 64)
    ]
    assert [asks_for_channels_last(game) for game in games] == [True, False]


def test_only_nets_that_ask_for_it_are_laid_out():
    assert not asks_for_channels_last(recipes_game("vanilla"))
    assert asks_for_channels_last(game_of("dcgan"))
    plain = game_of("dcgan", last=False)
    plain.D.net.channels_last = False
    lay_out(plain)
    inner = [m for m in plain.D.net.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.weight.is_contiguous() for m in inner)


def recipes_game(name):
    config = recipes.get(name).configure({})
    return recipes.build(name, config, DataSpec(shape=(1, 8, 8)), device=CPU)


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "tiny.npz"
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    np.savez(path, images=images)

    def trained(out, epochs):
        zerosum.train(
            "dcgan", data=str(path), out=tmp_path / out, epochs=epochs, device="cpu",
            evaluate_every=0, precision="fp32", **TINY,
        )  # fmt: skip
        run = RunDirectory(tmp_path / out)
        tensors = run.checkpoints.read_newest_whole(print).tensors
        # Bits, since an equal value may be another number: -0.0 == 0.0.
        return run.read_config(), {name: each.numpy().tobytes() for name, each in tensors.items()}

    return trained


def test_a_new_run_has_the_channels_last_and_resumes_exactly(train):
    config, whole = train("whole", 3)
    train("parts", 1)
    _, resumed = train("parts", 3)
    assert config["channels_last"] is True
    assert resumed == whole


def test_a_run_from_before_goes_on_in_the_usual_layout(train, monkeypatch):
    _, last = train("last", 3)
    with monkeypatch.context() as patch:
        patch.setattr(api, "lies_channels_last", lambda saved, device: False)
        _, whole = train("whole", 3)
        train("parts", 1)
    config, resumed = train("parts", 3)
    assert "channels_last" not in config
    assert resumed == whole
    assert resumed != last
