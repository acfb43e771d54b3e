"""What can be asked of every recipe that translates images, and what their games have in common.

The nets, the deal and the terms that hold an image against another are each recipe's own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zerosum.config.base import Count
from zerosum.config.gan import (
    ANNEAL,
    ANNEAL_ALONG,
    ANNEAL_RATE,
    AdversarialSettings,
    Anneal,
    ShareOrZero,
)

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Direction = Literal["AtoB", "BtoA"]
"""Of `zerosum.data.pairs`, named here too because that module imports torch."""


class TranslationSettings(AdversarialSettings):
    """The settings of every recipe that translates images."""

    data: str = Field("", description="The folder of your images: pairs, or A/ and B/.")
    direction: Direction = Field(
        "AtoB", description="Which half is the source: A is the left one, or the folder A."
    )
    size: str | None = Field(
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
    flips: bool = Field(True, description="Mirror half of the images.")
    width: Count = Field(64, description="Channels of the nets' finest level.")
    d_norm: Literal["instance", "batch", "none"] = Field(
        "instance", description="What D's layers are normalised by; not batch with a penalty."
    )
    d_layers: Annotated[int, Field(ge=1, le=6)] = Field(
        3, description="Of D that halve: patches of 16, 34, 70 … pixels are judged."
    )
    anneal: Anneal = Field("budget", description=ANNEAL)
    anneal_along: Literal["cosine", "line"] = Field("line", description=ANNEAL_ALONG)
    anneal_rate: ShareOrZero = Field(0.0, description=ANNEAL_RATE)
