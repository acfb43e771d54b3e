"""What a flag can spell: sizes, losses, penalties, augmentations, attention.

Torch is not imported: the command line lists these names and checks these texts before anything
heavy is loaded. A text that is none of these raises a ValueError whose message says what was
expected, in the words that `base.explain` puts after the flag's name.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from zerosum.errors import UserError, did_you_mean

Loss = Literal["non-saturating", "minimax", "least-squares", "wasserstein", "hinge", "relativistic"]
"""What D and G are after."""

Penalty = Literal["gradient-penalty", "r1", "r2", "dragan"]
"""What D pays for being steep."""

Language = Literal["en", "zh"]
"""Of pages."""

Tier = Literal["auto", "device", "memory", "disk"]
"""Where images are kept while they are trained on: on the device, in memory, or decoded on disk.
"auto" takes the first in which they fit."""

Fit = Literal["crop", "pad", "squash", "short-side"]
"""How an image of another aspect is brought to a size, see `zerosum.data.decode.Format`."""

LOGGERS = ("tensorboard", "wandb", "trackio")
"""Where a run's log can be sent, see `zerosum.callbacks.loggers`."""

Spelled = TypeVar("Spelled")

LOSSES: tuple[str, ...] = get_args(Loss)
PENALTIES: tuple[str, ...] = get_args(Penalty)

POLICIES = ("color", "translation", "cutout")
"""Every augmentation, in the order in which they are applied."""
COLORED = (1, 3, 4)
"""Channels that the augmentation `color` knows: gray, RGB, RGBA."""

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


def parse_loggers(text: str) -> tuple[str, ...]:
    """Read "tensorboard,wandb" as the names of loggers; "none" is none.

    Raises:
        ValueError: a name is unknown or stands there twice; the message says what was expected,
            in the words that `zerosum/config/base.py` puts after the flag's name.
    """
    if text.strip() == "none":
        return ()
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in LOGGERS:
            hint = did_you_mean(name, LOGGERS, form=" (did you mean {}?)")
            raise ValueError(
                f"expected none, or names with commas between: {', '.join(LOGGERS)}{hint}"
            )
        if names.count(name) > 1:
            raise ValueError(f"expected each name once, but {name} is there twice")
    return names


def parse_augment(text: str) -> tuple[str, ...]:
    """Read "color,cutout" as the names of augmentations; "none" and "" are none.

    The order in the text does not matter: the result is in that of `POLICIES`.

    Raises:
        ValueError: a name is unknown or stands there twice; the message says what was expected,
            in the words that `zerosum/config/base.py` puts after the flag's name.
    """
    if text.strip() == "none":
        return ()
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in POLICIES:
            hint = did_you_mean(name, POLICIES, form=" (did you mean {}?)")
            raise ValueError(
                f"expected none, or names with commas between: {', '.join(POLICIES)}{hint}"
            )
        if names.count(name) > 1:
            raise ValueError(f"expected each augmentation once, but {name} is there twice or more")
    return tuple(name for name in POLICIES if name in names)


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


def read_class_mix(text: str | None) -> dict[str, float] | None:
    """Read what `--class-mix` says, "cat:0.7,dog:0.3", as weights by class.

    Raises:
        UserError: it is no such list.
    """
    if text is None:
        return None
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().rpartition(":")
        if not name or not is_weight(weight) or name in weights:
            raise UserError(
                f"The mix of classes was '{text}': expected each class once, with a weight "
                "above 0 behind it, such as cat:0.7,dog:0.3."
            )
        weights[name] = float(weight)
    return weights


def read_steps(texts: Sequence[str] | None) -> dict[int, float] | None:
    """Read what `--direction` says, each time "3:+2", as steps by the directions' numbers.

    Raises:
        UserError: one is no such pair, or there twice.
    """
    if not texts:
        return None
    steps: dict[int, float] = {}
    for text in texts:
        number, _, step = text.strip().partition(":")
        try:
            length = float(step)
        except ValueError:
            length = math.nan
        if not re.fullmatch("[0-9]{1,9}", number) or not math.isfinite(length):
            raise UserError(
                f"The direction was '{text}': expected its number and a step along it, such as "
                "3:+2 or 1:-0.5."
            )
        if int(number) in steps:
            raise UserError(f"Direction {int(number)} is there twice: expected one step along it.")
        steps[int(number)] = length
    return steps


def read_mix(text: str | None) -> tuple[int, int] | None:
    """Read what `--mix` says, "12:40", as the numbers of two samples.

    Raises:
        UserError: it is no such pair.
    """
    if text is None:
        return None
    numbers = re.fullmatch("([0-9]{1,9}):([0-9]{1,9})", text.strip())
    if numbers is None:
        raise UserError(
            f"The mix was '{text}': expected the numbers of two samples, counted from 0, such as "
            "12:40."
        )
    return int(numbers[1]), int(numbers[2])


def parse_range(text: str) -> tuple[float, float] | Literal["auto"]:
    """Read "0:4095" as (lowest, highest), or "auto".

    Raises:
        ValueError: the text is neither, or the first number is not the lower one.
    """
    if text == "auto":
        return "auto"
    low, colon, high = text.partition(":")
    try:
        found = float(low), float(high)
    except ValueError:
        found = math.nan, math.nan
    if not (colon and found[0] < found[1] and all(map(math.isfinite, found))):
        raise ValueError("expected LOW:HIGH, such as 0:4095, or auto")
    return found


def read_range(text: str | None) -> tuple[float, float] | Literal["auto"] | None:
    """Read what `--range` says.

    Raises:
        UserError: it is no range.
    """
    return read("range", parse_range, text)


def read(what: str, parse: Callable[[str], Spelled], text: str | None) -> Spelled | None:
    """Read a flag's text where there is one, with an error for users in the place of the parser's.

    Raises:
        UserError: it cannot be parsed.
    """
    try:
        return parse(text) if text else None
    except ValueError as error:
        raise UserError(f"The {what} was '{text}': {error}.") from None


def parse_size(text: str) -> tuple[int, int]:
    """Read "64" or "48x64" as (height, width).

    Raises:
        ValueError: the text is neither, or a side is not positive.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ValueError("expected N or HEIGHTxWIDTH, such as 64 or 48x64")
    return int(sides[0]), int(sides[-1])


def read_size(text: str | None) -> tuple[int, int] | None:
    """Read what `--size` says, as (height, width).

    Raises:
        UserError: it is no size.
    """
    return read("size", parse_size, text)


def language_here() -> Language:
    """The language that the user's locale asks for, English unless it is Chinese."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
