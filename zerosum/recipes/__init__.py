"""Recipes: a small frozen config and a `build` that turns it into a `Game`, one file each.

The registry below is a literal dict. Reading it imports no torch; only `build` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zerosum.config import Settings
from zerosum.errors import unknown_name
from zerosum.recipes import vanilla

if TYPE_CHECKING:
    from zerosum.game import Game


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe's config class, how to build its game, and a line on what it is."""

    config: type[Settings]
    build: Callable[..., Game]
    summary: str
    source: str


RECIPES: dict[str, Recipe] = {
    "vanilla": Recipe(
        config=vanilla.Config,
        build=vanilla.build,
        summary="The GAN everybody meets first: two MLPs and binary cross entropy.",
        source="Goodfellow et al. 2014",
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


def build(name: str, config: Any, *, image_shape: tuple[int, int, int], device: Any) -> Game:
    """Build a recipe's game, its weights drawn from the current random stream."""
    return get(name).build(config, image_shape=image_shape, device=device)
