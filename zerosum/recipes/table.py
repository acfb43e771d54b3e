"""The table of recipes: a paper's settings, and what differs for digits, photographs and toys.

Reading it imports no torch; only building does. On digits, images of 28×28 on which a CPU is
enough, nets are narrow, most of all where maps are large, and learn in few passes. For photographs
of 32×32, which are as likely mirrored, a GPU is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from zerosum.config.base import Settings, SomeSettings, require_read, validate
from zerosum.config.gan import GanSettings
from zerosum.config.translation import CycleGANSettings, Pix2PixSettings
from zerosum.data.catalog import DATASETS
from zerosum.errors import UserError
from zerosum.recipes import gan, translation
from zerosum.recipes.own_data import own_images

if TYPE_CHECKING:
    from zerosum.game.core import Game
    from zerosum.game.sampling import Generator

Defaults = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The file that a user's own recipe was taken from: its absolute path and its sha256."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe's settings, how to build its game, and a line on what it is.

    Attributes:
        config: the class of its settings.
        build: makes the game of settings and a `DataSpec`, on a device: `build(config, spec,
            device=...)`.
        summary: what it is, in a sentence.
        source: the paper.
        settings: the paper's, where they differ from the class's defaults.
        on: what differs from them on data of a kind, "digits", "photographs" or "toys".
        own: what differs on images of a user's own: `own(settings, count=..., channels=...,
            device=...)`, asked once they are loaded; None where nothing does.
        task: what its G does, a name of `zerosum.tasks.TASKS`.
        build_generator: makes G alone, with the weights that `build` would give it; None where
            only the whole game can be built.
        origin: of a recipe from a user's own module, the file.
    """

    config: type[Settings]
    build: Callable[..., Game]
    summary: str
    source: str
    settings: Defaults = field(default_factory=dict)
    on: Mapping[str, Defaults] = field(default_factory=dict)
    own: Callable[..., Defaults] | None = None
    task: Literal["generation", "translation", "unpaired translation"] = "generation"
    build_generator: Callable[..., Generator] | None = None
    origin: Origin | None = None

    def defaults(self, data: str) -> dict[str, Any]:
        """What the recipe sets for a data set, a name or a path, beside the class's defaults."""
        kind = DATASETS[data].kind if data in DATASETS else ""
        return merged([self.settings, in_one_unit(self.on.get(kind, {}))])

    def configure(self, *given: Defaults, inherited: Defaults | None = None) -> Settings:
        """Make settings of what a user gives, at the edge: all else is the recipe's.

        What was given stands in `model_fields_set`.

        Args:
            given: settings from a file, say, and from flags; the last ones count.
            inherited: those of another run, which take the place of the recipe's defaults.

        Raises:
            UserError: a name is unknown, a value is not valid, or nothing would read it.
        """
        for layer in given:
            if layer.get("epochs") is not None and layer.get("images") is not None:
                raise UserError(
                    f"The budget was given twice, as --epochs {layer['epochs']} and --images "
                    f"{layer['images']}: expected one of them."
                )
        values, inherited = merged(given), inherited or {}
        data = str({**inherited, **values}.get("data", self.config.model_fields["data"].default))
        config = validate(self.config, merged([self.defaults(data), inherited, values]))
        asked = [name for name, value in values.items() if value is not None]
        require_read(config, asked)
        config.model_fields_set.intersection_update([*asked, *inherited])
        return config

    def on_own(self, config: SomeSettings, values: Defaults) -> tuple[SomeSettings, dict[str, Any]]:
        """Lay defaults for a user's own images over the recipe's, under what the user gave.

        Returns:
            The settings, and the defaults that count.
        """
        given = config.model_fields_set
        taken = {
            name: value
            for name, value in values.items()
            if name not in given
            and not (name == "images" and "epochs" in given)
            and not (name == "augment_target" and "augment" in given)
        }
        if "images" in taken:
            taken["epochs"] = None
        return validate(type(config), {**config.model_dump(), **taken}), taken


def in_one_unit(defaults: Defaults) -> Defaults:
    """Let a budget in images take the place of one in epochs."""
    return {"epochs": None, **defaults} if "images" in defaults else defaults


def merged(layers: Iterable[Defaults]) -> dict[str, Any]:
    """Lay settings over one another, the last one on top.

    A number of epochs replaces a number of images, which would count where both are given.
    """
    found: dict[str, Any] = {}
    for layer in layers:
        if layer.get("epochs") is not None:
            found["images"] = None
        found |= layer
    return found


PHOTOGRAPHS = {"hflip": True}
TOYS = {
    "nets": "mlp",
    "attention": "none",
    "latent_size": 2,
    "hidden": (128, 128, 128),
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "d_learning_rate": None,
    "betas": (0.0, 0.9),
    "batch_size": 256,
    "images": 2_000_000,
}
"""For points in the plane; docs/toys.md has what they lead to."""
PAIRED_DIGITS = {
    "size": None,
    "epochs": 5,
    "batch_size": 16,
    "width": 16,
    "d_layers": 2,
    "enlarge": 1.0,
    "hflip": False,
}
"""For images of 28×28 to translate between: minutes of a CPU."""
LONGER = {**PHOTOGRAPHS, "anneal": "budget", "lr_end": 0.0, "ema_half_life": 100_000}


def gan_recipe(
    summary: str,
    source: str,
    settings: Defaults,
    *,
    digits: Defaults | None = None,
    photographs: Defaults = PHOTOGRAPHS,
    toys: Defaults = TOYS,
    own: Callable[..., Defaults] | None = own_images,
) -> Recipe:
    """A recipe that makes images from noise."""
    return Recipe(
        config=GanSettings,
        build=gan.build,
        build_generator=gan.build_generator,
        summary=summary,
        source=source,
        settings=settings,
        on={"digits": digits or {}, "photographs": photographs, "toys": toys},
        own=own,
    )


RECIPES: dict[str, Recipe] = {
    # G 100-256-512-784 with ReLU and Tanh, D 784-512-256-1 with leaky ReLU; arXiv 1406.2661.
    "vanilla": gan_recipe(
        "The GAN everybody meets first: two MLPs and binary cross entropy.",
        "Goodfellow et al. 2014",
        {
            "nets": "mlp",
            "latent_size": 100,
            "hidden": (256, 512),
            "loss": "non-saturating",
            "learning_rate": 2e-4,
            "betas": (0.5, 0.999),
            "batch_size": 128,
            "epochs": 100,
            "sample_every": 10,
        },
        own=None,  # it is what every course and examples/vanilla_gan.py have, on all data
    ),
    "dcgan": gan_recipe(  # arXiv 1511.06434
        "Strided convolutions and BatchNorm.",
        "Radford et al. 2015",
        {"nets": "dcgan", "d_norm": "batch", "width": 64, "epochs": None, "images": 1_000_000},
        digits={"epochs": 12, "width": 32, "batch_size": 64},
        photographs=LONGER,
    ),
    "lsgan": gan_recipe(  # arXiv 1611.04076
        "DCGAN's nets, least squares for cross entropy.",
        "Mao et al. 2017",
        {
            "nets": "dcgan",
            "d_norm": "batch",
            "loss": "least-squares",
            "width": 64,
            "epochs": None,
            "images": 1_000_000,
        },
        digits={"epochs": 8, "width": 32, "batch_size": 64},
        photographs=LONGER,
    ),
    # arXiv 1701.07875. On digits D takes one turn, and large batches: what a clipped critic says of
    # samples that are nearly right is little, and drowns in the noise of small ones.
    "wgan": gan_recipe(
        "A critic with clipped weights, five turns to one of G.",
        "Arjovsky et al. 2017",
        {
            "nets": "dcgan",
            "d_norm": "batch",
            "loss": "wasserstein",
            "clip": 0.01,
            "n_critic": 5,
            "optimizer": "rmsprop",
            "learning_rate": 5e-5,
            "batch_size": 64,
            "width": 64,
            "epochs": None,
            "images": 3_000_000,
        },
        digits={
            "epochs": 8,
            "width": 32,
            "batch_size": 128,
            "n_critic": 1,
            "learning_rate": 1e-3,
            "d_learning_rate": 4e-4,
            "anneal": "budget",
            "lr_end": 0.05,
        },
    ),
    # arXiv 1704.00028. On digits one turn of a faster critic stands for five (Heusel et al. 2017,
    # arXiv 1706.08500), so that a CPU spends its time on G.
    "wgan-gp": gan_recipe(
        "Residual nets, a critic whose gradient is penalised.",
        "Gulrajani et al. 2017",
        {
            "nets": "resnet",
            "loss": "wasserstein",
            "penalty": "gradient-penalty:10",
            "n_critic": 5,
            "latent_size": 128,
            "learning_rate": 1e-4,
            "betas": (0.0, 0.9),
            "batch_size": 64,
            "width": 128,
            "epochs": None,
            "images": 3_000_000,
        },
        digits={
            "epochs": 6,
            "width": 32,
            "full_width_up_to": 7,
            "batch_size": 32,
            "n_critic": 1,
            "learning_rate": 3e-4,
            "d_learning_rate": 6e-4,
        },
    ),
    # arXiv 1802.05957. On digits one turn of a faster D stands for five, as for WGAN-GP.
    "sngan": gan_recipe(
        "Residual nets, spectral norm in D, hinge loss.",
        "Miyato et al. 2018",
        {
            "nets": "resnet",
            "spectral_norm": "D",
            "loss": "hinge",
            "n_critic": 5,
            "latent_size": 128,
            "learning_rate": 2e-4,
            "betas": (0.0, 0.9),
            "batch_size": 64,
            "width": 128,
            "epochs": None,
            "images": 3_000_000,
        },
        digits={
            "epochs": 5,
            "width": 32,
            "full_width_up_to": 7,
            "batch_size": 32,
            "n_critic": 1,
            "d_learning_rate": 4e-4,
        },
    ),
    "sagan": gan_recipe(  # arXiv 1805.08318
        "Self-attention and spectral norm in both, two learning rates.",
        "Zhang et al. 2019",
        {
            "nets": "resnet",
            "spectral_norm": "both",
            "attention": "auto",
            "loss": "hinge",
            "latent_size": 128,
            "learning_rate": 1e-4,
            "d_learning_rate": 4e-4,
            "betas": (0.0, 0.9),
            "batch_size": 64,
            "width": 128,
            "epochs": None,
            "images": 1_000_000,
        },
        digits={
            "epochs": 7,
            "width": 32,
            "full_width_up_to": 7,
            "batch_size": 32,
            "learning_rate": 2e-4,
        },
    ),
    "cgan": gan_recipe(  # arXiv 1411.1784
        "G and D are told the class.",
        "Mirza and Osindero 2014",
        {
            "nets": "dcgan",
            "d_norm": "batch",
            "conditioning": "concat",
            "width": 64,
            "epochs": None,
            "images": 1_000_000,
        },
        digits={"epochs": 8, "width": 32, "batch_size": 64},
    ),
    # The rate is ten times DCGAN's, and the average forgets fast: what is left after one pass.
    "sprint": gan_recipe(
        "cgan, narrow and with a high rate: clear digits in seconds.",
        "Mirza and Osindero 2014",
        {
            "nets": "dcgan",
            "d_norm": "batch",
            "conditioning": "concat",
            "width": 16,
            "learning_rate": 2e-3,
            "batch_size": 64,
            "ema_half_life": 2_000,
            "epochs": 1,
            "evaluate_every": 1,
        },
    ),
    "acgan": gan_recipe(  # arXiv 1610.09585
        "G is told the class, and D has to name it.",
        "Odena et al. 2017",
        {
            "nets": "dcgan",
            "d_norm": "batch",
            "conditioning": "classifier",
            "width": 64,
            "epochs": None,
            "images": 1_000_000,
        },
        digits={"epochs": 4, "width": 32, "batch_size": 64},
    ),
    "dragan": gan_recipe(  # arXiv 1705.07215
        "D's gradient is penalised around the data.",
        "Kodali et al. 2017",
        {
            "nets": "dcgan",
            "d_norm": "none",
            "penalty": "dragan:10",
            "width": 64,
            "epochs": None,
            "images": 1_000_000,
        },
        digits={"epochs": 8, "width": 32, "batch_size": 64},
    ),
    # arXiv 2501.05441. The paper's nets for CIFAR-10 have width 768. On digits they learn faster.
    "r3gan": gan_recipe(
        "Pairs of real and fake, R1 and R2, nets without normalisation.",
        "Huang et al. 2025",
        {
            "nets": "r3gan",
            "loss": "relativistic",
            "penalty": "r1:1,r2:1",
            "latent_size": 64,
            "learning_rate": 2e-4,
            "betas": (0.0, 0.9),
            "width": 256,
            "epochs": None,
            "images": 3_000_000,
            "anneal": "budget",
            "lr_end": 0.25,
            "anneal_penalty": 0.1,
            "anneal_beta": 0.99,
        },
        digits={
            "images": 300_000,
            "width": 32,
            "full_width_up_to": 7,
            "batch_size": 32,
            "learning_rate": 1e-3,
        },
        photographs={**PHOTOGRAPHS, "penalty": "r1:0.05,r2:0.05"},
        toys={**TOYS, "penalty": "r1:0.01,r2:0.01"},
    ),
    "pix2pix": Recipe(
        config=Pix2PixSettings,
        build=translation.build_pix2pix,
        build_generator=translation.pix2pix_generator,
        summary="Image to image, from pairs: a U-Net against a PatchGAN, and L1.",
        source="Isola et al. 2017",
        task="translation",
        on={"digits": PAIRED_DIGITS},
    ),
    "cyclegan": Recipe(
        config=CycleGANSettings,
        build=translation.build_cyclegan,
        build_generator=translation.cyclegan_generator,
        summary="Image to image without pairs: there and back again.",
        source="Zhu et al. 2017",
        task="unpaired translation",
        on={"digits": {**PAIRED_DIGITS, "epochs": 2, "width": 8, "blocks": 2}},
    ),
}
