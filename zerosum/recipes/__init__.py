"""Recipes: small frozen configs, one file each, and `build`, which turns one into a `Game`.

The registry below is a literal dict. Reading it imports no torch; only `build` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from zerosum.config.base import Settings
from zerosum.errors import unknown_name
from zerosum.recipes import (
    acgan,
    cgan,
    cyclegan,
    dcgan,
    dragan,
    family,
    lsgan,
    pix2pix,
    r3gan,
    sagan,
    sngan,
    vanilla,
    wgan,
    wgan_gp,
)

if TYPE_CHECKING:
    from zerosum.game.core import Game
    from zerosum.game.sampling import Generator


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe's config class, how to build its game, and a line on what it is.

    Attributes:
        config: its settings.
        build: makes the game of settings, the shape of the data, and what G is told: of images
            made of noise `num_classes`, of translated ones `source_channels`.
        summary: what it is, in a sentence.
        source: the paper.
        task: what its G does, a name of `zerosum.tasks.TASKS`.
    """

    config: type[Settings]
    build: Callable[..., Game]
    summary: str
    source: str
    task: Literal["generation", "translation", "unpaired translation"] = "generation"


RECIPES: dict[str, Recipe] = {
    "vanilla": Recipe(
        config=vanilla.Config,
        build=family.build,
        summary="The GAN everybody meets first: two MLPs and binary cross entropy.",
        source="Goodfellow et al. 2014",
    ),
    "dcgan": Recipe(
        config=dcgan.Config,
        build=family.build,
        summary="Strided convolutions and BatchNorm.",
        source="Radford et al. 2015",
    ),
    "lsgan": Recipe(
        config=lsgan.Config,
        build=family.build,
        summary="DCGAN's nets, least squares for cross entropy.",
        source="Mao et al. 2017",
    ),
    "wgan": Recipe(
        config=wgan.Config,
        build=family.build,
        summary="A critic with clipped weights, five turns to one of G.",
        source="Arjovsky et al. 2017",
    ),
    "wgan-gp": Recipe(
        config=wgan_gp.Config,
        build=family.build,
        summary="Residual nets, a critic whose gradient is penalised.",
        source="Gulrajani et al. 2017",
    ),
    "sngan": Recipe(
        config=sngan.Config,
        build=family.build,
        summary="Residual nets, spectral norm in D, hinge loss.",
        source="Miyato et al. 2018",
    ),
    "sagan": Recipe(
        config=sagan.Config,
        build=family.build,
        summary="Self-attention and spectral norm in both, two learning rates.",
        source="Zhang et al. 2019",
    ),
    "cgan": Recipe(
        config=cgan.Config,
        build=family.build,
        summary="G and D are told the class.",
        source="Mirza and Osindero 2014",
    ),
    "acgan": Recipe(
        config=acgan.Config,
        build=family.build,
        summary="G is told the class, and D has to name it.",
        source="Odena et al. 2017",
    ),
    "dragan": Recipe(
        config=dragan.Config,
        build=family.build,
        summary="D's gradient is penalised around the data.",
        source="Kodali et al. 2017",
    ),
    "r3gan": Recipe(
        config=r3gan.Config,
        build=family.build,
        summary="Pairs of real and fake, R1 and R2, nets without normalisation.",
        source="Huang et al. 2025",
    ),
    "pix2pix": Recipe(
        config=pix2pix.Config,
        build=pix2pix.build,
        summary="Image to image, from pairs: a U-Net against a PatchGAN, and L1.",
        source="Isola et al. 2017",
        task="translation",
    ),
    "cyclegan": Recipe(
        config=cyclegan.Config,
        build=cyclegan.build,
        summary="Image to image without pairs: there and back again.",
        source="Zhu et al. 2017",
        task="unpaired translation",
    ),
}


def get(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        UserError: nobody knows it; the closest name is suggested.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]


def build(
    name: str,
    config: Any,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int = 0,
    source_channels: int = 0,
    device: Any,
) -> Game:
    """Build a recipe's game, its weights drawn from the current random stream.

    Args:
        name: the recipe's.
        config: its settings.
        image_shape: (c, h, w) of the data.
        num_classes: of the data, 0 where it has no labels.
        source_channels: of data to translate between, how many of c are the source's.
        device: where the nets live.
    """
    make = partial(get(name).build, config, image_shape=image_shape, device=device)
    if source_channels:
        return make(source_channels=source_channels)
    return make(num_classes=num_classes)


G_ALONE: dict[Callable[..., Game], Callable[..., Generator]] = {
    family.build: family.build_generator,
    pix2pix.build: pix2pix.build_generator,
    cyclegan.build: cyclegan.build_generator,
}
"""For each `Recipe.build` what builds its G without the rest."""


def build_generator(
    name: str,
    config: Any,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int = 0,
    source_channels: int = 0,
    device: Any,
) -> Generator:
    """Build G alone, of a recipe of one's own with all else; it takes what `build` takes."""
    told = {"source_channels": source_channels} if source_channels else {"num_classes": num_classes}
    recipe = get(name)
    if make := G_ALONE.get(recipe.build):
        return make(config, image_shape=image_shape, device=device, **told)
    from zerosum.game.sampling import Generator

    game = recipe.build(config, image_shape=image_shape, device=device, **told)
    return Generator(game.G.net, game.forward.inputs)
