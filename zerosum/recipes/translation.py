"""Builds the games that translate images: Pix2Pix, from pairs, and CycleGAN, without.

Pix2Pix (Isola et al. 2017, arXiv 1611.07004): a U-Net translates, a PatchGAN and L1 judge. The
paper's D minimises half of its cross entropy; under Adam, which divides by the gradient's size,
that is the same. Its BatchNorm with batches of one image is the instance norm used here. CycleGAN
(Zhu et al. 2017, arXiv 1703.10593): two domains, there and back again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zerosum.config.translation import CycleGANSettings, Pix2PixSettings
from zerosum.recipes.players import (
    build_objective,
    build_player,
    freeze_first,
    score_fn,
    weighted,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zerosum.data.spec import DataSpec
    from zerosum.game.core import Game
    from zerosum.game.cycle import DiscriminatorPair, GeneratorPair
    from zerosum.game.losses import Objective
    from zerosum.game.sampling import Generator


def build_pix2pix(config: Pix2PixSettings, spec: DataSpec, *, device: torch.device) -> Game:
    """Build Pix2Pix's game; the weights come from torch's current random stream, G's first.

    Args:
        config: the settings.
        spec: the form of the data, source and target stacked.
        device: where the nets live.

    Raises:
        UserError: the nets cannot make that shape, or a penalty meets a D with BatchNorm.
    """
    # Imported here so that the command line can list the settings without waiting for torch.
    from zerosum.game.core import Game
    from zerosum.game.losses import l1
    from zerosum.game.translation import Translation, Views
    from zerosum.nets import patchgan

    G = make_unet(config, spec)
    channels, height, width = spec.shape
    D = patchgan.Discriminator(
        (height, width),
        channels=channels,  # it sees source and target
        width=config.width,
        layers=config.d_layers,
        norm=config.d_norm,
    )
    freeze_first(D, config.freeze_d)
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
            source_channels=spec.source_channels,
            views=Views(enlarge=config.enlarge, flips=config.hflip),
            score_fn=score_fn(config),
        ),
        turns="D" * config.n_critic + "G",
        batch_norm=config.batch_norm,
    )


def pix2pix_generator(
    config: Pix2PixSettings, spec: DataSpec, *, device: torch.device
) -> Generator:
    """Build G alone, with the weights that `build_pix2pix` gives it; it takes the same."""
    from zerosum.game.sampling import Generator, image_inputs

    return Generator(make_unet(config, spec).to(device), image_inputs(spec.source_channels))


def make_unet(config: Pix2PixSettings, spec: DataSpec) -> nn.Module:
    """Make Pix2Pix's G."""
    from zerosum.nets import unet

    _, height, width = spec.shape
    return unet.Generator(
        (height, width),
        source_channels=spec.source_channels,
        target_channels=spec.target_channels,
        width=config.width,
        norm=config.norm,
        dropout=config.dropout,
    )


def build_cyclegan(config: CycleGANSettings, spec: DataSpec, *, device: torch.device) -> Game:
    """Build CycleGAN's game; the weights come from torch's current random stream, G's first.

    Args:
        config: the settings.
        spec: the form of the data, the images of two domains stacked, A's first.
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

    _, *size = spec.shape
    domains = spec.source_channels, spec.target_channels
    G, D = make_both_ways(config, spec), make_both_judges(config, spec)
    freeze_first(D, config.freeze_d)
    objective = cyclegan_terms(config, D, *domains)
    A, B = (Pool(config.pool, (c, size[0], size[1])).to(device) for c in domains)
    rate = config.learning_rate
    return Game(
        G=build_player(config, G.to(device), objective.G, rate),
        D=build_player(
            config, D.to(device), objective.D, config.d_learning_rate or rate, clip=config.clip
        ),
        forward=CycleTranslation(
            source_channels=spec.source_channels,
            views=Views(enlarge=config.enlarge, flips=config.hflip),
            pools=(A, B),
            score_fn=score_fn(config),
        ),
        turns="D" * config.n_critic + "G",
        batch_norm=config.batch_norm,
    )


def cyclegan_generator(
    config: CycleGANSettings, spec: DataSpec, *, device: torch.device
) -> Generator:
    """Build G alone, both ways, with the weights that `build_cyclegan` gives it."""
    from zerosum.game.sampling import Generator, image_inputs

    return Generator(make_both_ways(config, spec).to(device), image_inputs(spec.source_channels))


def make_both_ways(config: CycleGANSettings, spec: DataSpec) -> GeneratorPair:
    """Make both generators."""
    from zerosum.game.cycle import GeneratorPair
    from zerosum.nets.translator import Generator

    _, height, width = spec.shape
    A, B = spec.source_channels, spec.target_channels
    way = partial(Generator, (height, width), width=config.width, blocks=config.blocks)
    return GeneratorPair(
        AB=way(source_channels=A, target_channels=B), BA=way(source_channels=B, target_channels=A)
    )


def make_both_judges(config: CycleGANSettings, spec: DataSpec) -> DiscriminatorPair:
    """Make both discriminators."""
    from zerosum.game.cycle import DiscriminatorPair
    from zerosum.nets.patchgan import Discriminator

    _, height, width = spec.shape
    judge = partial(
        Discriminator,
        (height, width),
        width=config.width,
        layers=config.d_layers,
        norm=config.d_norm,
    )
    return DiscriminatorPair(
        A=judge(channels=spec.source_channels), B=judge(channels=spec.target_channels)
    )


def cyclegan_terms(
    config: CycleGANSettings, D: nn.Module, channels_A: int, channels_B: int
) -> Objective:
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
