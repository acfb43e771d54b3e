"""Recipes: a table of settings, and `build`, which makes a `Game` of them.

Importing this imports no torch; only `build` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zerosum.errors import unknown_name
from zerosum.recipes.own import is_own, load_own
from zerosum.recipes.table import RECIPES, Recipe

if TYPE_CHECKING:
    from zerosum.data.spec import DataSpec
    from zerosum.game.core import Game
    from zerosum.game.sampling import Generator

__all__ = ["RECIPES", "Recipe", "build", "build_generator", "find", "get"]


def get(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        UserError: nobody knows it; the closest name is suggested.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]


def find(name: str) -> Recipe:
    """Look up what a user has named: a recipe of the table, or one in a module, which is run.

    From then on it is in the table too.

    Raises:
        UserError: nobody knows it, or the module holds no such recipe.
    """
    if is_own(name):
        RECIPES[name] = load_own(name)
    return get(name)


def build(name: str, config: Any, spec: DataSpec, *, device: Any) -> Game:
    """Build a recipe's game, its weights drawn from the current random stream.

    Args:
        name: the recipe's.
        config: its settings.
        spec: the form of the data.
        device: where the nets live.
    """
    return get(name).build(config, spec, device=device)


def build_generator(recipe: Recipe, config: Any, spec: DataSpec, *, device: Any) -> Generator:
    """Build G alone, with the weights that `build` would give it, or all if the recipe cannot."""
    if recipe.build_generator is not None:
        return recipe.build_generator(config, spec, device=device)
    from zerosum.game.sampling import Generator

    game = recipe.build(config, spec, device=device)
    return Generator(game.G.net, game.forward.inputs)
