"""A GAN of your own: a new net and a new loss, trained by zerosum's loop, checkpoints and all.

    zerosum train examples/own_game.py:BOOSTED --epochs 2
    zerosum sample runs/own_game-BOOSTED-mnist --recipe examples/own_game.py:BOOSTED

or from Python, as at the end: `python examples/own_game.py epochs=2`. The run directory is like any
other's, and the same command resumes it.
"""

import sys

import torch
from torch import nn

import zerosum
from zerosum.config.base import Settings
from zerosum.game.core import Game, Player
from zerosum.game.generation import Generation
from zerosum.nets.mlp import Generator
from zerosum.recipes import RECIPES, Recipe


class Config(Settings):
    """The settings, beside those that every training has; each can be set on the command line."""

    epochs: int | None = 20
    latent_size: int = 100
    learning_rate: float = 3e-4


class Discriminator(nn.Module):
    """A net: images (b, c, h, w) -> logits (b, 1). The condition is empty without classes."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, 16, 5, stride=2), nn.SiLU(), nn.Conv2d(16, 32, 5, stride=2)),
            *(nn.SiLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(32 * 9, 1)),
        )

    def forward(self, images, condition):
        """Judge images."""
        return self.layers(images)


def distrust(play):
    """A loss for D: the exponential one of boosting. A term is any function of the Play."""
    return torch.exp(-play.real_logits / 2).mean() + torch.exp(play.fake_logits / 2).mean()


def flattery(play):
    """And for G."""
    return torch.exp(-play.fake_logits / 2).mean()


def build(config, spec, *, device):
    """Put the game together: two players, their terms, their optimizers."""
    G = Generator(spec.shape, latent_size=config.latent_size, hidden=(256, 512)).to(device)
    D = Discriminator(spec.shape[0]).to(device)
    step = {"lr": config.learning_rate, "betas": (0.5, 0.999)}
    return Game(
        G=Player(net=G, optimizer=torch.optim.Adam(G.parameters(), **step),
                 objective={"flattery": flattery}),
        D=Player(net=D, optimizer=torch.optim.Adam(D.parameters(), **step),
                 objective={"distrust": distrust}),
        forward=Generation(latent_size=config.latent_size),
    )  # fmt: skip


BOOSTED = Recipe(
    config=Config,
    build=build,
    summary="A convolutional D against an MLP, with an exponential loss.",
    source="this file",
)

if __name__ == "__main__":
    RECIPES["boosted"] = BOOSTED  # a name for this process
    settings = dict(argument.split("=") for argument in sys.argv[1:])  # such as epochs=2
    run = zerosum.train("boosted", **settings)
    print(f"{len(run.sample(64))} samples, the first of shape {run.sample(1).shape[1:]}")
