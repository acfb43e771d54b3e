"""Tables of what there is: recipes and data sets. Imports no torch."""

from __future__ import annotations

from rich.table import Table

from zerosum.data.catalog import DATASETS, how_to_get, is_here
from zerosum.plots.tables import table
from zerosum.recipes import RECIPES


def recipes_table() -> Table:
    """One row a recipe."""
    made = table("recipe", "what it is", "source")
    for name, recipe in RECIPES.items():
        made.add_row(name, recipe.summary, recipe.source)
    return made


def data_table() -> Table:
    """One row a data set, with where it is or how to get it; and what else can be trained on."""
    made = table("data", "what it is", "licence", "here")
    for name, dataset in DATASETS.items():
        made.add_row(
            name,
            dataset.description,
            dataset.licence,
            "yes" if is_here(name) else f"no. {how_to_get(name)}",
        )
    made.add_row(
        "PATH",
        "a folder of images (subfolders are classes), a .zip or .tar of images, an .npz, or a "
        "folder of IDX files or of CIFAR-10's",
        "yours",
        "",
    )
    return made
