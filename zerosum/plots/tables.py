"""The look that all tables share."""

from __future__ import annotations

from rich import box
from rich.table import Table


def table(*columns: str) -> Table:
    """An empty table."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
