"""Builds the game that a recipe's settings describe: nets, objective, optimizers, forward.

The one builder of every GAN that makes images from noise. It knows no recipe: a recipe is a set of
defaults for these settings.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zerosum.config.gan import GanSettings
from zerosum.config.specs import parse_attention, parse_augment
from zerosum.errors import UserError
from zerosum.recipes.players import build_objective, build_player, freeze_first, score_fn

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zerosum.data.spec import DataSpec
    from zerosum.game.core import Forward, Game
    from zerosum.game.sampling import Generator
    from zerosum.nets.layers import Options


def build(config: GanSettings, spec: DataSpec, *, device: torch.device) -> Game:
    """Build the game; the weights come from torch's current random stream, G's first.

    Args:
        config: the settings.
        spec: the form of the data.
        device: where the nets live.

    Raises:
        UserError: the nets cannot make that shape, there are no labels and the recipe needs them,
            points are to be mirrored or augmented, or a penalty meets a D with BatchNorm.
    """
    # Imported here so that the command line can list the settings without waiting for torch.
    from zerosum.game.core import Game
    from zerosum.game.losses import classification

    num_classes = told_classes(config, spec)
    if spec.are_points and (config.hflip or config.augment != "none"):
        raise UserError(
            "Points in the plane have no pixels to mirror, shift or cut out. Leave --hflip and "
            "--augment out."
        )
    G = make_generator(config, spec.shape, num_classes)
    D = make_discriminator(config, spec.shape, num_classes)
    freeze_first(D, config.freeze_d)
    objective = build_objective(config, D)
    if config.conditioning == "classifier":
        objective |= classification()
    return Game(
        G=build_player(config, G.to(device), objective.G, config.learning_rate),
        D=build_player(
            config,
            D.to(device),
            objective.D,
            config.d_learning_rate or config.learning_rate,
            clip=config.clip,
        ),
        forward=build_forward(config, spec.shape[0], num_classes, device),
        turns="D" * config.n_critic + "G",
        batch_norm=config.batch_norm,
        parts=config.grad_accumulation,
    )


def build_generator(config: GanSettings, spec: DataSpec, *, device: torch.device) -> Generator:
    """Build G alone, with the weights that `build` gives it; it takes and raises the same."""
    from zerosum.game.sampling import Generator, noise_inputs

    num_classes = told_classes(config, spec)
    G = make_generator(config, spec.shape, num_classes)
    return Generator(G.to(device), noise_inputs(config.latent_size, num_classes))


def told_classes(config: GanSettings, spec: DataSpec) -> int:
    """How many classes G is told of, of those that the data has.

    Raises:
        UserError: it has none, and the recipe needs them.
    """
    if config.conditioning == "none":
        return 0
    if not spec.num_classes:
        raise UserError(
            f"--conditioning {config.conditioning} tells G the class of each image, and these "
            "images have no labels. Put the images of each class into a subfolder of its own, add "
            "labels to the .npz, or choose --conditioning none."
        )
    return spec.num_classes


def make_generator(
    config: GanSettings, image_shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Make G, which is told one of `num_classes` classes."""
    from zerosum.nets import dcgan, mlp, r3gan, resnet

    if config.nets == "mlp":
        return mlp.Generator(
            image_shape,
            latent_size=config.latent_size,
            hidden=config.hidden,
            condition_size=num_classes,
            spectral_norm=config.spectral_norm == "both",
        )
    kind = {"dcgan": dcgan, "resnet": resnet, "r3gan": r3gan}[config.nets]
    options = make_options(config, "G", image_shape, num_classes)
    G: nn.Module = kind.Generator(image_shape, latent_size=config.latent_size, options=options)
    return G


def make_discriminator(
    config: GanSettings, image_shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Make D, which is told the class, or has to name it."""
    from zerosum.nets import dcgan, mlp, r3gan, resnet

    names_classes = config.conditioning == "classifier"
    condition_size = 0 if names_classes else num_classes
    outputs = 1 + num_classes if names_classes else 1
    if config.nets == "mlp":
        return mlp.Discriminator(
            image_shape,
            hidden=config.hidden[::-1],
            condition_size=condition_size,
            outputs=outputs,
            pack=config.pack,
            spectral_norm=config.spectral_norm in ("both", "D"),
        )
    options = make_options(config, "D", image_shape, condition_size)
    kind = {"dcgan": dcgan, "resnet": resnet, "r3gan": r3gan}[config.nets]
    judge = partial(kind.Discriminator, image_shape, options=options, outputs=outputs)
    D: nn.Module
    D = judge(pack=config.pack, norm=config.d_norm) if kind is dcgan else judge(pack=config.pack)
    return D


def make_options(
    config: GanSettings, player: str, image_shape: tuple[int, int, int], condition_size: int
) -> Options:
    """Settle what every convolutional net can be asked for, of "G" or of "D"."""
    from zerosum.nets.layers import Options

    attention = {
        each: resolution or usual_resolution(image_shape)
        for each, resolution in parse_attention(config.attention).items()
    }
    return Options(
        width=config.width,
        full_width_up_to=config.full_width_up_to,
        condition_size=condition_size,
        conditioning="projection" if config.conditioning == "projection" else "concat",
        attention=attention.get(player),
        spectral_norm=config.spectral_norm in ("both", player),
    )


def usual_resolution(image_shape: tuple[int, int, int]) -> int:
    """The resolution of "auto" attention: a quarter of the shorter side, or half of a small one.

    The paper's 128×128 images were best with attention at 32×32 (SAGAN, Zhang et al. 2019, table
    1). Every pixel of the map looks at all others, so that half of 256 could not be afforded.
    """
    half = -(-min(image_shape[1:]) // 2)
    quarter = -(-half // 2)
    return quarter if quarter >= 7 else half


def build_forward(
    config: GanSettings, channels: int, num_classes: int, device: torch.device
) -> Forward:
    """Settle what G is given and what D sees."""
    from zerosum.game.augment import Augmentation
    from zerosum.game.generation import Generation

    return Generation(
        latent_size=config.latent_size,
        num_classes=num_classes,
        classifier=config.conditioning == "classifier",
        packed=config.pack,
        flips=config.hflip,
        augmentation=Augmentation(
            parse_augment(config.augment),
            channels=channels,
            target=config.augment_target,
        ).to(device),
        score_fn=score_fn(config),
    )
