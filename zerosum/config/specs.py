"""What an objective can be made of, by name, and how a flag spells it.

Torch is not imported: the command line lists these names and checks these texts before anything
heavy is loaded. What each name stands for is in `zerosum/game/losses.py` and `penalties.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from zerosum.errors import did_you_mean

Loss = Literal["non-saturating", "minimax", "least-squares", "wasserstein", "hinge", "relativistic"]
"""What D and G are after."""

Penalty = Literal["gradient-penalty", "r1", "r2", "dragan"]
"""What D pays for being steep."""

LOSSES: tuple[str, ...] = get_args(Loss)
PENALTIES: tuple[str, ...] = get_args(Penalty)

ONE_SIDED = "one-sided"
EXAMPLE = "r1:0.1,r2:0.1"


@dataclass(frozen=True)
class PenaltySpec:
    """A penalty as a flag asks for it.

    Attributes:
        name: one of `PENALTIES`.
        weight: what it is multiplied by, above 0.
        one_sided: whether only gradients longer than 1 are charged; for the gradient penalty.
    """

    name: str
    weight: float
    one_sided: bool = False


def parse_penalties(text: str) -> tuple[PenaltySpec, ...]:
    """Read "r1:0.1,r2:0.1", "gradient-penalty:10:one-sided" or "none".

    Raises:
        ValueError: the text is none of these; the message says what was expected, in the words
            that `zerosum/config/base.py` puts after the flag's name.
    """
    if text.strip() == "none":
        return ()
    specs = tuple(parse_penalty(part.strip()) for part in text.split(","))
    for index, spec in enumerate(specs):
        if spec.name in (other.name for other in specs[:index]):
            raise ValueError(f"expected each penalty once, but {spec.name} is there twice")
    return specs


def parse_penalty(text: str) -> PenaltySpec:
    """Read NAME:WEIGHT, such as "r1:0.1", and for the gradient penalty also ":one-sided".

    Raises:
        ValueError: as `parse_penalties`.
    """
    name, *rest = text.split(":")
    if name not in PENALTIES:
        hint = did_you_mean(name, PENALTIES, form=" (did you mean {}?)")
        raise ValueError(
            f"expected none, or NAME:WEIGHT with commas between, such as {EXAMPLE}; "
            f"names: {', '.join(sorted(PENALTIES))}{hint}"
        )
    if not rest or not is_weight(rest[0]):
        raise ValueError(f"expected a weight above 0 after {name}, such as {name}:0.1")
    if rest[1:] not in ([], [ONE_SIDED]) or (rest[1:] and name != "gradient-penalty"):
        raise ValueError(
            f"expected nothing after the weight of {name}; only the gradient penalty has a choice, "
            f"gradient-penalty:10:{ONE_SIDED}"
        )
    return PenaltySpec(name, float(rest[0]), one_sided=bool(rest[1:]))


def is_weight(text: str) -> bool:
    """Whether the text is a finite number above 0."""
    try:
        weight = float(text)
    except ValueError:
        return False
    return math.isfinite(weight) and weight > 0
