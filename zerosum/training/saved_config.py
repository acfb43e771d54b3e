"""A run's config.json, which may come from a stranger: its form is checked before it is believed.

What the settings in it say is checked by `zerosum.config`; here is all else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zerosum.errors import shown, visible
from zerosum.training.log import is_number

MOST_SIDE, MOST_CHANNELS, MOST_CLASSES = 65_536, 4096, 65_536
MOST_IMAGES = 10**12


def require_form(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check the entries that there are; older versions have fewer, and later ones may have more.

    Returns:
        The same, with class names that do nothing to a terminal.

    Raises:
        ValueError: one is not of its form; the message says which.
    """
    for name, (is_right, expected) in FORMS.items():
        if name in config and not is_right(config[name]):
            raise ValueError(f"{name} is {shown(config[name])}, expected {expected}")
    channels = (config.get("image_shape") or [MOST_CHANNELS])[0]
    if not 0 <= config.get("source_channels", 0) < channels:
        raise ValueError(
            f"source_channels is {config['source_channels']}, expected less than all {channels}"
        )
    found = dict(config)
    if "classes" in found:
        found["classes"] = list(map(visible, found["classes"]))
    return found


def restarts_of(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The restarts after a collapse that a config.json tells of, in their order.

    Each says at how many images seen it was, to how many it went back, after which verdict, and
    the seed from then on. Where one is of another form, nobody knows how many there were: none.
    """
    found = config.get("restarts")
    return found if isinstance(found, list) and all(map(is_restart, found)) else []


def is_restart(value: object) -> bool:
    """Whether a value is a restart as a training writes it."""
    return (
        isinstance(value, dict)
        and is_text(value.get("verdict"))
        and all(is_number(value.get(name)) for name in ("at", "back_to", "seed"))
    )


def is_count(most: int, *, least: int = 1) -> Callable[[object], bool]:
    """A test for whole numbers from least to most."""
    return lambda value: type(value) is int and least <= value <= most


def is_shape(value: object) -> bool:
    """Whether a value is (c, h, w) of images."""
    if not isinstance(value, list) or len(value) != 3:
        return False
    return is_count(MOST_CHANNELS)(value[0]) and all(map(is_count(MOST_SIDE), value[1:]))


def is_text(value: object) -> bool:
    """Whether a value is a text."""
    return isinstance(value, str)


def are_texts(value: object) -> bool:
    """Whether a value is a list of texts."""
    return isinstance(value, list) and len(value) <= MOST_CLASSES and all(map(is_text, value))


def is_start(value: object) -> bool:
    """Whether a value says which weights a run began with."""
    return value is None or (
        isinstance(value, dict)
        and is_text(value.get("path"))
        and is_text(value.get("checkpoint"))
        and are_texts(value.get("parts"))
        and is_count(MOST_IMAGES, least=0)(value.get("ema_seen", 0))
    )


def is_recipe_file(value: object) -> bool:
    """Whether a value says which file holds a user's own recipe."""
    return isinstance(value, dict) and all(is_text(value.get(key)) for key in ("path", "sha256"))


def is_object(value: object) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


FORMS: dict[str, tuple[Callable[[object], bool], str]] = {
    "recipe": (is_text, "the name of a recipe"),
    "config": (is_object, "settings by name"),
    "image_shape": (is_shape, "channels, height and width"),
    "classes": (are_texts, "the names of classes"),
    "source_channels": (is_count(MOST_CHANNELS, least=0), "a number of channels"),
    "num_images": (is_count(MOST_IMAGES), "a number of images"),
    "data_path": (lambda value: value is None or is_text(value), "a path, or null"),
    "data_sha256": (is_text, "a text"),
    "recipe_file": (is_recipe_file, "a path and a sha256"),
    "started_from": (is_start, "a path, a checkpoint and parts"),
    "own_defaults": (is_object, "settings by name"),
    "channels_last": (lambda value: type(value) is bool, "true or false"),
}
