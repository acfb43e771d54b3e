"""CycleGAN (Zhu et al. 2017, arXiv 1703.10593): two domains, no pairs, there and back again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from zerosum.config.base import Count
from zerosum.config.specs import Loss
from zerosum.config.translation import TranslationSettings, Weight
from zerosum.recipes.players import build_objective, build_player, score_fn, weighted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zerosum.game.core import Game
    from zerosum.game.cycle import DiscriminatorPair, GeneratorPair
    from zerosum.game.losses import Objective
    from zerosum.game.sampling import Generator


class Config(TranslationSettings):
    """CycleGAN's settings."""

    loss: Loss = Field("least-squares", description="What D and G are after.")
    blocks: Count | None = Field(
        None, description="G's residual blocks. [default: 6 up to 128 pixels, 9 above]"
    )
    cycle: Weight = Field(
        10.0, description="Weight of what is lost on the way there and back, in G's loss."
    )
    identity: Weight = Field(
        5.0, description="Weight of what changes in images that are in the domain already."
    )
    pool: int = Field(50, ge=0, description="Fakes of the past that D is shown now and then.")

    @model_validator(mode="after")
    def _pool_holds_a_batch(self) -> Config:
        if 0 < self.pool < self.batch_size:
            raise ValueError(f"expected --pool 0, or no less than a batch of {self.batch_size}")
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
        image_shape: (c, h, w), the images of two domains stacked.
        source_channels: how many of c are those of domain A.
        device: where the nets live.

    Raises:
        UserError: the nets cannot make that shape, a penalty meets a D with BatchNorm, or the
            identity term domains of different channels.
    """
    # Imported here so that the command line can list the settings without waiting for torch.
    from zerosum.game.core import Game
    from zerosum.game.cycle import CycleTranslation
    from zerosum.game.pool import Pool
    from zerosum.game.translation import Views

    channels, *size = image_shape
    domains = source_channels, channels - source_channels
    G = make_generator(config, image_shape, source_channels)
    D = make_discriminator(config, image_shape, source_channels)
    objective = build_terms(config, D, *domains)
    A, B = (Pool(config.pool, (c, size[0], size[1])).to(device) for c in domains)
    rate = config.learning_rate
    return Game(
        G=build_player(config, G.to(device), objective.G, rate),
        D=build_player(
            config, D.to(device), objective.D, config.d_learning_rate or rate, clip=config.clip
        ),
        forward=CycleTranslation(
            source_channels=source_channels,
            views=Views(enlarge=config.enlarge, flips=config.flips),
            pools=(A, B),
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
    """Build G alone, both ways, with the weights that `build` gives it; it takes the same."""
    from zerosum.game.sampling import Generator, image_inputs

    G = make_generator(config, image_shape, source_channels)
    return Generator(G.to(device), image_inputs(source_channels))


def make_generator(
    config: Config, image_shape: tuple[int, int, int], source_channels: int
) -> GeneratorPair:
    """Make both generators."""
    from zerosum.game.cycle import GeneratorPair
    from zerosum.nets.translator import Generator

    channels, *size = image_shape
    A, B = source_channels, channels - source_channels
    way = partial(Generator, (size[0], size[1]), width=config.width, blocks=config.blocks)
    return GeneratorPair(
        AB=way(source_channels=A, target_channels=B), BA=way(source_channels=B, target_channels=A)
    )


def make_discriminator(
    config: Config, image_shape: tuple[int, int, int], source_channels: int
) -> DiscriminatorPair:
    """Make both discriminators."""
    from zerosum.game.cycle import DiscriminatorPair
    from zerosum.nets.patchgan import Discriminator

    channels, *size = image_shape
    judge = partial(
        Discriminator,
        (size[0], size[1]),
        width=config.width,
        layers=config.d_layers,
        norm=config.d_norm,
    )
    A, B = source_channels, channels - source_channels
    return DiscriminatorPair(A=judge(channels=A), B=judge(channels=B))


def build_terms(config: Config, D: nn.Module, channels_A: int, channels_B: int) -> Objective:
    """Choose what both players minimise: the adversarial terms in both domains, and G's own.

    Raises:
        UserError: a penalty meets a D with BatchNorm, or the identity term domains of different
            channels.
    """
    from zerosum.game.cycle import both_ways, cycle, identity, require_equal_channels
    from zerosum.game.losses import Objective

    adversarial = both_ways(build_objective(config, D))
    # The paper's G pays whole squares (section 4), beside which its other weights stand; least
    # squares as Mao et al. have them are halved. Of D's, Adam does not mind the scale.
    whole = 2.0 if config.loss == "least-squares" else 1.0
    wishes = weighted(adversarial.G, whole)
    if config.cycle:
        wishes["cycle"] = cycle(config.cycle)
    if config.identity:
        require_equal_channels(channels_A, channels_B)
        wishes["identity"] = identity(config.identity)
    return Objective(D=adversarial.D, G=wishes)
