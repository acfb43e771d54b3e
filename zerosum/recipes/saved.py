"""What a run was trained with, taken up again: to go on with it, or for another run's settings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zerosum.config.base import Settings, as_flag, restore
from zerosum.config.gan import OF_NETS
from zerosum.data.catalog import DATASETS
from zerosum.errors import UserError
from zerosum.recipes import find
from zerosum.recipes.own import is_own, recipe_of_run
from zerosum.recipes.table import RECIPES, Recipe
from zerosum.training.run_directory import RunDirectory
from zerosum.training.warm_start import WarmStart


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


def recipe_to_start(
    source: Path, *, named: str | None, out: Path | None
) -> tuple[str, Recipe, dict[str, Any]]:
    """Find the recipe of a run that begins with another's weights, and what its nets inherit.

    Args:
        source: the run directory whose weights those are. It may be gone where the new run has
            begun: then that run itself says it.
        named: the recipe that the user names; by default the source's.
        out: the new run's directory, where the user names it.

    Returns:
        The recipe's name, the recipe, and the settings that shape the nets: those of the source,
        or none if that is of another recipe, whose own then hold.

    Raises:
        UserError: there is no such run and no recipe is named, or nobody knows the recipe.
    """
    path = source
    if not RunDirectory(source).exists():
        if out is not None and began_with(out, source):
            path = out
        elif named is not None:  # then whoever reads the weights says that there are none
            return named, find(named), {}
    saved = RunDirectory(path).read_config()
    if named is None:
        name, recipe = saved_recipe(path, saved, named=None)
    else:
        name, recipe = named, find(named)
    if saved.get("recipe") != name:
        return name, recipe, {}
    settings = saved_settings(path, saved, recipe)
    return name, recipe, {key: value for key, value in settings.items() if key in OF_NETS}


def began_with(out: Path, source: Path) -> bool:
    """Whether there is a run that began with the weights of another."""
    if not RunDirectory(out).exists():
        return False
    start = WarmStart.recorded(RunDirectory(out).read_config())
    return start is not None and start.run == source.resolve()


def where_it_is(data: str, saved: Mapping[str, Any]) -> str:
    """What a run was trained on, found from any folder: its path may have been a relative one."""
    whole = saved.get("data_path")
    return whole if whole and data not in DATASETS and not Path(data).exists() else data


def command_of(saved: Mapping[str, Any], settings: Settings, defaults: Settings) -> str:
    """The command that trains such a run: the recipe, the data, and the flags that differ.

    Args:
        saved: the run's config.json, or as much of it as may be told: recipe and started_from.
        settings: the run's, with what follows from the budget left to it (`Settings.unsettled`).
        defaults: those of its recipe on such data.
    """
    words = ["zerosum", "train", str(saved["recipe"])]
    if settings.data != type(settings).model_fields["data"].default:
        words += ["--data", settings.data]
    if source := (saved.get("started_from") or {}).get("run"):
        words += ["--from", str(source)]
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == "data" or value == getattr(defaults, name):
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{flag}")
        elif value is not None:  # a budget that is given in the other unit, or nothing to say
            words += [f"--{flag}", *as_flag(value).split(" " if isinstance(value, tuple) else None)]
    return shlex.join(words)
