"""What a run was trained with, taken up again: to go on with it, or for another run's settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zerosum.config.base import Settings, restore
from zerosum.data.catalog import DATASETS
from zerosum.errors import UserError
from zerosum.recipes.own import is_own, recipe_of_run
from zerosum.recipes.table import RECIPES, Recipe


def saved_recipe(path: Path, saved: Mapping[str, Any], *, named: str | None) -> tuple[str, Recipe]:
    """Find the recipe of a run, and the name that it goes by here.

    Args:
        path: the run directory, or its config.json.
        saved: that file's content.
        named: the recipe that the user names. Code of a user's own is run only then.

    Raises:
        UserError: it is another recipe than the one named, or has to be named.
    """
    if named is not None and not is_own(named) and named != saved.get("recipe"):
        raise UserError(
            f"'{path}' was trained with the recipe '{saved.get('recipe')}', received '{named}'. "
            "Leave the recipe out to take the run's."
        )
    if named is None or not is_own(named):
        return str(saved.get("recipe")), recipe_of_run(path, saved, named=None)
    RECIPES[named] = recipe_of_run(path, saved, named=named)
    return named, RECIPES[named]


def saved_settings(path: Path, saved: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """All settings of a run, by name; a budget that they followed is theirs to follow again.

    Raises:
        UserError: somebody has changed the file.
    """
    try:
        settings: Settings = restore(recipe.config, saved["config"])
    except (KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"The settings in '{path}' are not as train writes them: {str(error).rstrip('.')}. "
            "Restore the run's config.json from a copy."
        ) from None
    if count := saved.get("num_images"):  # which runs of older versions do not say
        settings = settings.unsettled(settings.budget(count))
    return settings.model_dump() | {"data": where_it_is(settings.data, saved)}


def where_it_is(data: str, saved: Mapping[str, Any]) -> str:
    """What a run was trained on, found from any folder: its path may have been a relative one."""
    whole = saved.get("data_path")
    return whole if whole and data not in DATASETS and not Path(data).exists() else data
