"""Printing tables."""

from __future__ import annotations

from typing import Any


def show(table: Any) -> None:
    """Print a table, as wide as the terminal or as its text where there is none."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)
