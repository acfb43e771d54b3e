"""A recipe from a user's own module: `my_module.py:RECIPE`, or `package.module:RECIPE`.

Its code runs only where a user has named it, never because a run directory does.
"""

from __future__ import annotations

import hashlib
import importlib
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from zerosum.errors import UserError, unknown_name
from zerosum.recipes.table import RECIPES, Origin, Recipe


def is_own(name: str) -> bool:
    """Whether a name is that of a recipe in a user's module, and not of one added from Python."""
    added = name in RECIPES and RECIPES[name].origin is None
    return not added and (":" in name or name.endswith(".py"))


def load_own(name: str) -> Recipe:
    """Run a user's module, anew if it is a file, and take the recipe out of it.

    Args:
        name: the file, or the module where it is installed, and behind a colon the recipe's name.

    Raises:
        UserError: there is no such module, it fails, or there is no such recipe in it.
    """
    source, colon, attribute = name.rpartition(":")
    if not (source and colon and attribute):
        raise UserError(
            f"'{name}' names no recipe of your own: expected a file or a module and a name in it, "
            "such as my_module.py:RECIPE."
        )
    is_file = source.endswith(".py")
    if is_file and not Path(source).is_file():
        raise UserError(f"There is no file '{source}': expected one that holds a recipe.")
    try:
        module = run_file(Path(source).resolve()) if is_file else importlib.import_module(source)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"The recipe's module '{source}' cannot be run: {type(error).__name__}: {error}. "
            "Expected a Python file, such as my_module.py:RECIPE, or an installed module."
        ) from error
    found = getattr(module, attribute, None)
    if not isinstance(found, Recipe):
        held = [key for key, value in vars(module).items() if isinstance(value, Recipe)]
        raise UserError(
            f"There is no recipe '{attribute}' in '{source}': expected a zerosum.recipes.Recipe of "
            f"that name. Recipes in it: {', '.join(held) or 'none'}."
        )
    path = Path(str(module.__file__)).resolve()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(found, origin=Origin(path=str(path), sha256=sha256))


def run_file(path: Path) -> ModuleType:
    """Run a Python file as a module, which finds those beside it as a script would."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    # Under a name that hides no other module; pydantic looks annotations up by it. Compiled here,
    # because the bytecode that an import caches is a second behind a file that is being edited.
    module = ModuleType(f"recipe_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
    return module


def recipe_of_run(run: Path, saved: Mapping[str, Any], *, named: str | None) -> Recipe:
    """Find what a run was trained with: a recipe that is known, or the user's own if named.

    Args:
        run: the run directory.
        saved: its config.json.
        named: where the user says that the recipe is; its code is run.

    Raises:
        UserError: it has to be named, was named in vain, or cannot be loaded; or the config names
            none.
    """
    name, origin = saved.get("recipe"), saved.get("recipe_file") or {}
    if not isinstance(name, str):
        raise UserError(
            f"The config.json of the run '{run}' is not as train writes it: it names no recipe. "
            "Restore that file from a copy."
        )
    source, _, attribute = name.rpartition(":")
    found = RECIPES.get(name)
    for known, recipe in RECIPES.items():  # the same one may have been named by another path
        if recipe.origin is not None and recipe.origin.path == origin.get("path"):
            found = recipe if known.endswith(f":{attribute}") else found
    if named is not None:
        if found is not None and found.origin is None:
            raise UserError(
                f"The run '{run}' was trained with '{name}', which is known: leave out --recipe."
            )
        found = load_own(named)
    if found is None and is_own(name):
        path = str(origin.get("path"))
        elsewhere = source.endswith(".py") and str(Path(source).resolve()) != path
        flag = shlex.quote(f"{path}:{attribute}" if elsewhere else name)
        raise UserError(
            f"The run '{run}' was trained with somebody's own recipe, whose code is not run "
            f"because a folder says so. If you trust {path}, name it: --recipe {flag}, or of train "
            f"zerosum train {flag} --resume {shlex.quote(str(run))}, or in Python "
            "zerosum.load(..., recipe=...)."
        )
    if found is None:
        raise UserError(
            f"The run '{run}' cannot be opened. {unknown_name('recipe', name, RECIPES)} A recipe "
            "of your own is known after the import of the module that adds it to "
            "zerosum.recipes.RECIPES, or if you name it: --recipe FILE.py:NAME."
        )
    if found.origin is not None and origin and found.origin.sha256 != origin.get("sha256"):
        print(
            f"WARNING: '{found.origin.path}' is not as it was when '{run}' was trained.",
            file=sys.stderr,
        )
    return found
