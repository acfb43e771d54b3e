"""The table of recipes. Imports no torch."""

from __future__ import annotations

from rich.table import Table

from zerosum.plots.tables import table
from zerosum.recipes import RECIPES


def recipes_table() -> Table:
    """One row a recipe."""
    made = table("recipe", "what it is", "source")
    for name, recipe in RECIPES.items():
        made.add_row(name, recipe.summary, recipe.source)
    return made
