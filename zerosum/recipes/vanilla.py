"""The GAN everybody meets first (Goodfellow et al. 2014, arXiv 1406.2661), on MNIST.

G 100-256-512-784 with ReLU and Tanh, D 784-512-256-1 with leaky ReLU, binary cross entropy with
the non-saturating loss for G, Adam for both.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from zerosum.config import Beta, Count, Rate, Settings

if TYPE_CHECKING:
    import torch

    from zerosum.game import Game


class Config(Settings):
    """The vanilla GAN's settings."""

    latent_size: Count = Field(100, description="Entries of z.")
    hidden: tuple[Count, ...] = Field(
        (256, 512), min_length=1, description="G's hidden layers; D's are the same in reverse."
    )
    learning_rate: Rate = Field(2e-4, description="Adam's step size, for G and D alike.")
    betas: tuple[Beta, Beta] = Field((0.5, 0.999), description="Adam's decay rates.")


def build(config: Config, *, image_shape: tuple[int, int, int], device: torch.device) -> Game:
    """Build the game; the weights come from torch's current random stream, G's first."""
    # Imported here so that the command line can list the settings without waiting for torch.
    from torch.optim import Adam

    from zerosum import losses
    from zerosum.game import Game, Generation, Player
    from zerosum.nets import mlp

    G = mlp.Generator(image_shape, latent_size=config.latent_size, hidden=config.hidden).to(device)
    D = mlp.Discriminator(image_shape, hidden=config.hidden[::-1]).to(device)
    adam = partial(Adam, lr=config.learning_rate, betas=config.betas, fused=True)
    return Game(
        G=Player(
            net=G,
            optimizer=adam(G.parameters()),
            objective={"cross_entropy": losses.generator_cross_entropy},
        ),
        D=Player(
            net=D,
            optimizer=adam(D.parameters()),
            objective={"cross_entropy": losses.discriminator_cross_entropy},
        ),
        deal=Generation(latent_size=config.latent_size),
        image_shape=image_shape,
    )
