"""The names of the augmentations that D's images can go through, and what they ask of the data.

Here so that the command line and the config can check names without importing torch; what each
does is in `augment.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from zerosum.errors import UserError, did_you_mean

POLICIES = ("color", "translation", "cutout")
"""Every augmentation, in the order in which they are applied."""

COLORED = (1, 3, 4)
"""Channels that `color` knows: gray, RGB, RGBA."""


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


def check_channels(policies: Iterable[str], channels: int) -> None:
    """Refuse augmentations that mean nothing for images of so many channels.

    Only `color` asks for something. Gray images have no saturation, so theirs stays out of it;
    of RGBA it leaves alpha alone; of other counts nobody knows which channels are colors.

    Raises:
        UserError: `color` was asked for images that are not gray, RGB or RGBA.
    """
    if "color" in policies and channels not in COLORED:
        raise UserError(
            f"The augmentation 'color' was asked for images of {channels} channels. It knows gray "
            "(1), RGB (3) and RGBA (4) images only: leave 'color' out of --augment, or choose "
            "--channels 1, 3 or 4."
        )
