"""Every recipe of the table, as it is for images of one's own, against its paper."""

from copy import deepcopy
from dataclasses import dataclass
from math import exp, log, log1p

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Adam, RMSprop

from zerosum import recipes
from zerosum.data.spec import DataSpec
from zerosum.game.core import Play
from zerosum.nets import dcgan, r3gan, resnet
from zerosum.nets.layers import SelfAttention
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

CPU = torch.device("cpu")
SHAPE = (3, 32, 32)
SLOPE, REAL, FAKE = 0.5, 2, -0.5
"""Of the D that the terms are asked about: its gradient's length and its two logits."""


def softplus(x):
    return log1p(exp(x))


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What a recipe says it is. Of "G", "D" and "GD", those players that have something."""

    nets: object
    D: dict[str, float]
    G: dict[str, float]
    batch_norm: str
    spectral_norm: str = ""
    attention: str = ""
    clip: float | None = None
    optimizer: type = Adam
    rates: tuple[float, float] = (2e-4, 2e-4)
    betas: tuple[float, float] = (0.5, 0.999)
    turns: str = "DG"
    changes: frozenset[str] = frozenset()


CROSS_ENTROPY = {
    "D": {"cross_entropy": softplus(-REAL) + softplus(FAKE)},
    "G": {"cross_entropy": softplus(-FAKE)},
}
HINGE = {"D": {"hinge": 0 + (1 - 0.5)}, "G": {"hinge": 0.5}}
SCORE = {"D": {"wasserstein": -0.5 - 2}, "G": {"wasserstein": 0.5}}
PAPERS = {
    "dcgan": Paper(nets=dcgan, **CROSS_ENTROPY, batch_norm="GD"),
    "lsgan": Paper(
        nets=dcgan,
        D={"least_squares": (2 - 1) ** 2 / 2 + (-0.5 - 0) ** 2 / 2},
        G={"least_squares": (-0.5 - 1) ** 2 / 2},
        batch_norm="GD",
    ),
    "wgan": Paper(
        nets=dcgan,
        **SCORE,
        batch_norm="GD",
        clip=0.01,
        optimizer=RMSprop,
        rates=(5e-5, 5e-5),
        turns="DDDDDG",
    ),
    "wgan-gp": Paper(
        nets=resnet,
        D=SCORE["D"] | {"gradient_penalty": 10 * (SLOPE - 1) ** 2},
        G=SCORE["G"],
        batch_norm="G",
        rates=(1e-4, 1e-4),
        betas=(0, 0.9),
        turns="DDDDDG",
    ),
    "sngan": Paper(
        nets=resnet,
        **HINGE,
        batch_norm="G",
        spectral_norm="D",
        betas=(0, 0.9),
        turns="DDDDDG",
    ),
    "sagan": Paper(
        nets=resnet,
        **HINGE,
        batch_norm="G",
        spectral_norm="GD",
        attention="GD",
        rates=(1e-4, 4e-4),
        betas=(0, 0.9),
    ),
    "cgan": Paper(nets=dcgan, **CROSS_ENTROPY, batch_norm="GD"),
    "sprint": Paper(nets=dcgan, **CROSS_ENTROPY, batch_norm="GD", rates=(2e-3, 2e-3)),
    "acgan": Paper(
        nets=dcgan,
        D=CROSS_ENTROPY["D"] | {"classification": 2 * log(3)},
        G=CROSS_ENTROPY["G"] | {"classification": log(3)},
        batch_norm="GD",
    ),
    "dragan": Paper(
        nets=dcgan,
        D=CROSS_ENTROPY["D"] | {"dragan": 10 * (SLOPE - 1) ** 2},
        G=CROSS_ENTROPY["G"],
        batch_norm="G",
    ),
    "r3gan": Paper(
        nets=r3gan,
        D={"relativistic": softplus(FAKE - REAL), "r1": SLOPE**2 / 2, "r2": SLOPE**2 / 2},
        G={"relativistic": softplus(REAL - FAKE)},
        batch_norm="",
        betas=(0, 0.9),
        changes=frozenset({"lr", "betas"}),
    ),
}
every_recipe = pytest.mark.parametrize(("name", "paper"), PAPERS.items(), ids=PAPERS)


def game_of(name, *, image_shape=SHAPE):
    values = {"data": "mine.npz", "width": 2, "latent_size": 4}
    config = recipes.get(name).configure(values).settled(1000)
    torch.manual_seed(0)
    spec = DataSpec(shape=image_shape, classes=("a", "b", "c"))
    return recipes.build(name, config, spec, device=CPU)


def play_of_a_linear_D():
    """D(x) = w x, which says REAL of real images, FAKE of fake ones, and nothing of three classes.

    Its gradient is w everywhere, so that penalties have closed forms.
    """
    w = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w *= SLOPE / w.norm()

    def critic(images):
        verdicts = images.flatten(1) @ w[:, None]
        return torch.cat([verdicts, verdicts.new_zeros(len(images), 3)], dim=1)

    real, fake = ((logit * w / SLOPE**2).expand(4, 8).view(4, 2, 2, 2) for logit in (REAL, FAKE))
    labels = torch.tensor([0, 1, 2, 0])
    condition = torch.eye(3)[labels]
    return Play(
        critic=critic,
        real=real,
        fake=fake,
        condition=condition,
        seen=0,
        num_classes=3,
        labels=labels,
    )


def those_that(game, ask):
    return "".join(player for player in "GD" if ask(game.player(player).net))


def has(kind):
    return lambda net: any(isinstance(module, kind) for module in net.modules())


def is_normalised_throughout(net):
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    (answer,) = {is_parametrized(layer, "weight") for layer in layers}
    return answer


@every_recipe
class TestEveryPaper:
    def test_its_nets(self, name, paper):
        game = game_of(name)
        assert type(game.G.net) is paper.nets.Generator
        assert type(game.D.net) is paper.nets.Discriminator
        assert those_that(game, has(_BatchNorm)) == paper.batch_norm
        assert those_that(game, has(SelfAttention)) == paper.attention
        assert those_that(game, is_normalised_throughout) == paper.spectral_norm

    def test_its_terms_and_their_weights(self, name, paper):
        game = game_of(name)
        for player, expected in ((game.D, paper.D), (game.G, paper.G)):
            play = play_of_a_linear_D()
            found = {name: term(play).item() for name, term in player.objective.items()}
            assert found == pytest.approx(expected)

    def test_its_clip(self, name, paper):
        game = game_of(name)
        assert game.G.constraint is None
        assert (game.D.constraint is None) == (paper.clip is None)
        if paper.clip:
            net = deepcopy(game.D.net)
            for weights in net.parameters():
                nn.init.ones_(weights)
            game.D.constraint(net)
            for weights in net.parameters():
                assert weights.tolist() == torch.full(weights.shape, paper.clip).tolist()

    def test_its_optimizers(self, name, paper):
        game = game_of(name)
        for player, rate in zip((game.G, game.D), paper.rates, strict=True):
            assert type(player.optimizer) is paper.optimizer
            (group,) = player.optimizer.param_groups
            assert group["lr"] == rate
            assert group.get("betas", paper.betas) == paper.betas
            assert [id(p) for p in group["params"]] == [id(p) for p in player.net.parameters()]
            assert player.schedules.keys() == paper.changes

    def test_its_turns(self, name, paper):
        assert game_of(name).turns == paper.turns


def test_each_step_of_wgans_critic_would_leave_the_clip_and_ends_inside_it(monkeypatch):
    game = game_of("wgan", image_shape=(1, 28, 28))
    stepped, clipped = [], []

    def largest():
        return [weights.abs().max().item() for weights in game.D.net.parameters()]

    game.D.optimizer.register_step_post_hook(lambda *_: stepped.append(largest()))
    monkeypatch.setattr(type(game.forward), "observe", lambda *_: clipped.append(largest()))
    seen, turns = 0, 0
    for _ in range(3):
        seen += play_round(
            game,
            lambda: (torch.rand(4, 1, 28, 28) * 2 - 1, None),
            seed=0,
            turn_index=turns,
            seen=seen,
            bf16=False,
            stats=StepStats(),
        )
        turns += len(game.turns)
    assert len(stepped) == len(clipped) == 15
    bound = torch.tensor(0.01).item()
    assert all(weight <= bound for step in clipped for weight in step)
    assert all(max(step) > bound for step in stepped)
    assert max(weights.abs().max() for weights in game.G.net.parameters()) > bound
