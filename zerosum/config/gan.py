"""What can be asked of every GAN that makes images from noise: nets, objective, optimizer.

Each recipe is a set of defaults, and everything mixes with everything, but for what has no meaning,
which is refused here where it can be told from the settings alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from zerosum.config.base import Beta, Count, Rate, Settings, number_in_text
from zerosum.config.policies import parse_augment
from zerosum.config.specs import Loss, parse_penalties

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
ShareOrZero = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Anneal = Annotated[Count | Literal["budget"] | None, BeforeValidator(number_in_text)]

ANNEAL = (
    "Images over which rates, penalties and beta go to the shares that follow; budget: all of them."
)
ANNEAL_ALONG = "The learning rates' way: half a wave, or straight down once half is over."
ANNEAL_RATE = "Share of the learning rates that is left."


class AdversarialSettings(Settings):
    """What D and G are after and what steps them: the settings of every recipe."""

    loss: Loss = Field("non-saturating", description="What D and G are after.")
    targets: tuple[float, float, float] = Field(
        (0.0, 1.0, 1.0),
        description="For least-squares: what D should say of fakes, of reals, and what G wants.",
    )
    penalty: str = Field("none", description="What D pays for its gradient, such as r1:0.1,r2:0.1.")
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Keep each of D's weights within this of 0."
    )
    d_turns: Count = Field(1, description="Turns of D to one of G.")
    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="What steps G and D.")
    learning_rate: Rate = Field(2e-4, description="The optimizer's step size.")
    d_learning_rate: Rate | None = Field(None, description="D's, where it differs.")
    betas: tuple[Beta, Beta] = Field((0.5, 0.999), description="Adam's decay rates.")
    anneal: Anneal = Field(None, description=ANNEAL)
    anneal_along: Literal["cosine", "line"] = Field("cosine", description=ANNEAL_ALONG)
    anneal_rate: ShareOrZero = Field(1.0, description=ANNEAL_RATE)
    anneal_penalty: Share = Field(1.0, description="Share of the penalties that is left.")
    anneal_beta: Beta | None = Field(None, description="Adam's second decay rate at the end.")

    @field_validator("penalty")
    @classmethod
    def _penalty_is_readable(cls, text: str) -> str:
        parse_penalties(text)
        return text

    def settled(self, budget: int) -> Self:
        """Put numbers in the place of what follows from the budget, in images."""
        return self.model_copy(update={"anneal": budget}) if self.anneal == "budget" else self

    def ends_with_budget(self, budget: int) -> bool:
        """Whether the annealing ends with a budget, in images."""
        return self.anneal == budget

    @property
    def anneal_images(self) -> int | None:
        """Images over which settings are annealed, None where they are not.

        Raises:
            ValueError: they are annealed over a budget that is not known yet; see `settled`.
        """
        if self.anneal == "budget":
            raise ValueError("The settings are annealed over the budget: settle them first.")
        return self.anneal


class GanSettings(AdversarialSettings):
    """The settings of every recipe that makes images from noise."""

    nets: Literal["mlp", "dcgan", "resnet", "r3gan"] = Field(
        "dcgan", description="What G and D are made of."
    )
    latent_size: Count = Field(100, description="Entries of z.")
    hidden: tuple[Count, ...] = Field(
        (256, 512),
        min_length=1,
        description="For the nets mlp: G's hidden layers; D's are the same in reverse.",
    )
    width: Count = Field(
        32, description="For the other nets: channels; half as many are four times as fast."
    )
    tapers_above: Count | None = Field(
        None,
        description="For the nets resnet and r3gan: the resolution above which each doubling "
        "halves the channels. [default: 64 and 32]",
    )
    spectral_norm: Literal["none", "D", "both"] = Field(
        "none", description="Whose layers are divided by their largest singular value."
    )
    d_norm: Literal["batch", "none"] = Field(
        "none", description="For the nets dcgan: whether D has BatchNorm; not with a penalty."
    )
    attention: str = Field(
        "none", description="Self-attention at a resolution, such as auto, 14, G:14 or G:14,D:7."
    )
    conditioning: Literal["none", "concat", "projection", "classifier"] = Field(
        "none",
        description="How the class is told to G and D; with classifier, D has to name it.",
    )
    pack: Count = Field(1, description="Images that D judges together.")
    augment: str = Field(
        "none", description="What D sees images through: color,translation,cutout."
    )
    augment_target: float | None = Field(
        None,
        gt=-1,
        lt=1,
        description="Augment as often as keeps E[sign D(real)] there, such as 0.6; else always.",
    )
    flips: bool = Field(False, description="Mirror half of the real images.")
    parts: Count = Field(1, description="Play a batch in so many parts, to need less memory.")

    @field_validator("augment")
    @classmethod
    def _augment_is_readable(cls, text: str) -> str:
        parse_augment(text)
        return text

    @field_validator("attention", mode="before")
    @classmethod
    def _attention_is_readable(cls, text: object) -> object:
        if isinstance(text, str | int):
            parse_attention(str(text))
            return str(text)
        return text

    @field_validator("pack")
    @classmethod
    def _packs_divide_the_batch(cls, pack: int, others: ValidationInfo) -> int:
        batch_size = others.data.get("batch_size", pack)
        if batch_size % pack:
            raise ValueError(f"expected a divisor of the batch of {batch_size} images")
        return pack

    @model_validator(mode="after")
    def _all_fit_together(self) -> GanSettings:
        if self.attention != "none" and self.nets == "mlp":
            raise ValueError("expected --nets dcgan, resnet or r3gan beside --attention")
        if self.conditioning == "projection" and self.nets == "mlp":
            raise ValueError("expected --conditioning concat beside --nets mlp")
        if self.conditioning == "classifier" and self.pack > 1:
            raise ValueError(
                "expected --pack 1 beside --conditioning classifier: a pack has no class"
            )
        if self.augment_target is not None:
            self._require_a_zero()
        if self.parts > 1 and self.pack > 1 and self.batch_size % (self.parts * self.pack):
            raise ValueError(
                f"expected --parts times --pack, {self.parts * self.pack}, to divide the batch of "
                f"{self.batch_size} images, so that every part is made of whole packs"
            )
        return self

    def _require_a_zero(self) -> None:
        """Refuse a target where there is nothing to aim, or no zero to aim from."""
        if self.augment == "none":
            raise ValueError("expected --augment color,translation,cutout beside --augment-target")
        if self.loss not in ("non-saturating", "minimax", "hinge"):
            raise ValueError(
                f"expected no --augment-target beside --loss {self.loss}: it goes by the sign of "
                "D's logits, and only non-saturating, minimax and hinge give 0 a meaning"
            )


TOYS: Mapping[str, Any] = {
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
"""Defaults for points in the plane; docs/toys.md has what they lead to."""


def variant(
    name: str,
    about: str,
    *,
    on_data: Mapping[str, Mapping[str, Any]] | None = None,
    on_toys: Mapping[str, Any] | None = None,
    **defaults: Any,
) -> type[GanSettings]:
    """Make the settings of a recipe: the family's, with other defaults.

    Args:
        name: the recipe's.
        about: what the class says of itself.
        on_data: defaults for data sets of certain names, where they differ.
        on_toys: defaults for points in the plane, beside `TOYS`.
        defaults: values of fields of `GanSettings`.
    """
    fields: dict[str, Any] = {}
    for field, value in defaults.items():
        info = copy(GanSettings.model_fields[field])
        info.default = value
        fields[field] = (info.annotation, info)
    made = create_model(
        f"{name.title().replace('-', '')}Config",
        __base__=GanSettings,
        __doc__=about,
        __module__=__name__,
        **fields,
    )
    made.on_data = {
        **{toy: {**TOYS, **(on_toys or {})} for toy in ("ring", "grid")},
        **on_photographs(),
        **(on_data or {}),
    }
    return made


def on_digits(**defaults: Any) -> dict[str, Mapping[str, Any]]:
    """Defaults for the data sets of 28×28 pixels, on which a CPU is enough."""
    return dict.fromkeys(("mnist", "fashion-mnist", "stacked-mnist"), defaults)


def on_photographs(**defaults: Any) -> dict[str, Mapping[str, Any]]:
    """Defaults for photographs of 32×32, which are as likely mirrored; a GPU is expected."""
    return {"cifar10": {"flips": True, **defaults}}


def parse_attention(text: str) -> dict[str, int | None]:
    """Read "14", "G:14" or "G:14,D:7" as the resolution for each player; "none" is {}.

    "auto", for both players, is None: it depends on the image.

    Raises:
        ValueError: the text is none of these.
    """
    if text == "none":
        return {}
    if text == "auto":
        return {"G": None, "D": None}
    found: dict[str, int | None] = {}
    for part in text.split(","):
        player, _, resolution = part.strip().rpartition(":")
        if player not in ("", "G", "D") or not resolution.isdecimal() or int(resolution) < 1:
            raise ValueError("expected none, auto, or a resolution such as 14, G:14 or G:14,D:7")
        found |= dict.fromkeys(player or "GD", int(resolution))
    return found
