"""Tables in the terminal: their look, and that of the recipes. Imports no torch."""

from __future__ import annotations

from rich import box
from rich.table import Table

from zerosum.recipes import RECIPES


def table(*columns: str) -> Table:
    """An empty table in the look that all of ours share."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def recipes_table() -> Table:
    """One row a recipe."""
    made = table("recipe", "what it is", "source")
    for name, recipe in RECIPES.items():
        made.add_row(name, recipe.summary, recipe.source)
    return made
