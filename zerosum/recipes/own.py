"""A recipe from a user's own module: `my_module.py:RECIPE`, or `package.module:RECIPE`.

Its code runs only where a user has named it, never because a run directory does.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from zerosum.errors import UserError
from zerosum.recipes.table import RECIPES, Recipe


@dataclass(frozen=True)
class Origin:
    """Where a user's recipe came from."""

    path: str
    sha256: str


ORIGINS: dict[str, Origin] = {}
"""Of the recipes of users that were loaded, by the names they were asked for."""


def is_own(name: str) -> bool:
    """Whether a recipe's name is that of a user's module and not one of the table."""
    return ":" in name and name not in RECIPES


def load_own(name: str) -> Recipe:
    """Run a user's module and take the recipe out of it; from then on it is in the table.

    Args:
        name: the file, or the module where it is installed, and behind a colon the recipe's name.

    Raises:
        UserError: there is no such module, it fails, or there is no such recipe in it.
    """
    source, _, attribute = name.rpartition(":")
    module = import_file(Path(source)) if source.endswith(".py") else import_module(source)
    found = getattr(module, attribute, None)
    if not isinstance(found, Recipe):
        held = [key for key, value in vars(module).items() if isinstance(value, Recipe)]
        raise UserError(
            f"There is no recipe '{attribute}' in '{source}': expected a zerosum.recipes.Recipe of "
            f"that name. Recipes in it: {', '.join(held) or 'none'}."
        )
    path = Path(str(module.__file__)).resolve()
    ORIGINS[name] = Origin(str(path), hashlib.sha256(path.read_bytes()).hexdigest())
    RECIPES[name] = found
    return found


def import_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own name."""
    if not path.is_file():
        raise UserError(f"There is no file '{path}': expected a Python file that holds a recipe.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # or pydantic finds no names for its annotations
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise failed(str(path), error) from error
    return module


def import_module(name: str) -> ModuleType:
    """Import an installed module."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise failed(name, error) from error


def failed(source: str, error: Exception) -> UserError:
    """Build the error for a module that cannot be run."""
    return UserError(
        f"The recipe's module '{source}' cannot be run: {type(error).__name__}: {error}. Expected "
        "a Python file, such as my_module.py:RECIPE, or an installed module."
    )
