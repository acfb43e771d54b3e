"""Pix2Pix (Isola et al. 2017, arXiv 1611.07004): a U-Net translates, a PatchGAN and L1 judge.

The paper's D minimises half of its cross entropy; under Adam, which divides by the gradient's size,
that is the same. Its BatchNorm with batches of one image is the instance norm used here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from zerosum.config.translation import TranslationSettings, Weight
from zerosum.recipes.players import build_objective, build_player, score_fn, weighted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zerosum.game.core import Game
    from zerosum.game.sampling import Generator


class Config(TranslationSettings):
    """Pix2Pix's settings."""

    norm: Literal["instance", "batch"] = Field(
        "instance", description="What G's layers are normalised by."
    )
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.5, description="Share of G's inner channels that chance silences: its noise."
    )
    l1: Weight = Field(100.0, description="Weight of the mean absolute error in G's loss.")
    adversarial: Weight = Field(
        1.0, description="Weight of D's verdict in G's loss; 0 is regression alone."
    )

    @model_validator(mode="after")
    def _something_is_minimised(self) -> Config:
        if not self.l1 and not self.adversarial:
            raise ValueError("expected --l1 or --adversarial above 0: G has to learn something")
        return self


def build(
    config: Config,
    *,
    image_shape: tuple[int, int, int],
    source_channels: int,
    device: torch.device,
) -> Game:
    """Build the game; the weights come from torch's current random stream, G's first.

    Args:
        config: the settings.
        image_shape: (c, h, w), source and target stacked.
        source_channels: how many of c are the source's.
        device: where the nets live.

    Raises:
        UserError: the nets cannot make that shape, or a penalty meets a D with BatchNorm.
    """
    # Imported here so that the command line can list the settings without waiting for torch.
    from zerosum.game.core import Game
    from zerosum.game.losses import l1
    from zerosum.game.translation import Translation, Views
    from zerosum.nets import patchgan

    G = make_generator(config, image_shape, source_channels)
    D = patchgan.Discriminator(
        (image_shape[1], image_shape[2]),
        channels=image_shape[0],  # it sees source and target
        width=config.width,
        layers=config.d_layers,
        norm=config.d_norm,
    )
    objective = build_objective(config, D)
    wishes = weighted(objective.G, config.adversarial)
    if config.l1:
        wishes["l1"] = l1(config.l1)
    rate = config.learning_rate
    return Game(
        G=build_player(config, G.to(device), wishes, rate),
        D=build_player(
            config, D.to(device), objective.D, config.d_learning_rate or rate, clip=config.clip
        ),
        forward=Translation(
            source_channels=source_channels,
            views=Views(enlarge=config.enlarge, flips=config.flips),
            score_fn=score_fn(config),
        ),
        turns="D" * config.d_turns + "G",
        image_shape=image_shape,
    )


def build_generator(
    config: Config,
    *,
    image_shape: tuple[int, int, int],
    source_channels: int,
    device: torch.device,
) -> Generator:
    """Build G alone, with the weights that `build` gives it; it takes the same."""
    from zerosum.game.sampling import Generator, image_inputs

    G = make_generator(config, image_shape, source_channels)
    return Generator(G.to(device), image_inputs(source_channels))


def make_generator(
    config: Config, image_shape: tuple[int, int, int], source_channels: int
) -> nn.Module:
    """Make G."""
    from zerosum.nets import unet

    channels, height, width = image_shape
    return unet.Generator(
        (height, width),
        source_channels=source_channels,
        target_channels=channels - source_channels,
        width=config.width,
        norm=config.norm,
        dropout=config.dropout,
    )
