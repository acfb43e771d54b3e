"""What can be asked of the recipes that translate images: Pix2Pix's and CycleGAN's settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zerosum.config.base import MOST_LAYERS, Breadth, Count, Text, checked_by
from zerosum.config.gan import (
    ANNEAL,
    ANNEALED,
    IN_ANNEALING,
    LR_END,
    LR_SCHEDULE,
    LR_SCHEDULED,
    AdversarialSettings,
    Anneal,
    ShareOrZero,
)
from zerosum.config.specs import Loss, parse_size

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Direction = Literal["AtoB", "BtoA"]
"""Of `zerosum.data.pairs`, named here too because that module imports torch."""


class TranslationSettings(AdversarialSettings):
    """The settings of every recipe that translates images."""

    data: Text = Field("", description="The folder of your images: pairs, or A/ and B/.")
    direction: Direction = Field(
        "AtoB", description="Which half is the source: A is the left one, or the folder A."
    )
    size: Annotated[Text, checked_by(parse_size)] | None = Field(
        "256",
        description="Crop and resize images to N or HEIGHTxWIDTH pixels, such as 128.",
    )
    batch_size: Count = Field(1, description="Real images a turn.")
    epochs: Count | None = Field(200, description="Passes over the data set.")
    enlarge: float = Field(
        286 / 256,
        ge=1,
        le=4,
        description="Enlarge by this factor and crop back at random; 1: neither.",
    )
    hflip: bool = Field(True, description="Mirror half of the images.")
    width: Breadth = Field(64, description="Channels of the nets' finest level.")
    d_norm: Literal["instance", "batch", "none"] = Field(
        "instance", description="What D's layers are normalised by; not batch with a penalty."
    )
    d_layers: Annotated[int, Field(ge=1, le=6)] = Field(
        3, description="Of D that halve: patches of 16, 34, 70 … pixels are judged."
    )
    anneal: Annotated[Anneal, ANNEALED] = Field("budget", description=ANNEAL)
    lr_schedule: Annotated[Literal["cosine", "linear"], LR_SCHEDULED] = Field(
        "linear", description=LR_SCHEDULE
    )
    lr_end: Annotated[ShareOrZero, IN_ANNEALING] = Field(0.0, description=LR_END)


class Pix2PixSettings(TranslationSettings):
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
    def _something_is_minimised(self) -> Pix2PixSettings:
        if not self.l1 and not self.adversarial:
            raise ValueError("expected --l1 or --adversarial above 0: G has to learn something")
        return self


class CycleGANSettings(TranslationSettings):
    """CycleGAN's settings."""

    loss: Loss = Field("least-squares", description="What D and G are after.")
    blocks: Annotated[int, Field(ge=1, le=MOST_LAYERS)] | None = Field(
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
    def _pool_holds_a_batch(self) -> CycleGANSettings:
        if 0 < self.pool < self.batch_size:
            raise ValueError(f"expected --pool 0, or no less than a batch of {self.batch_size}")
        return self
