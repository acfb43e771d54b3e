"""What the commands print besides what was asked for: tables, and that a flag has a new name."""

from __future__ import annotations

import sys
from typing import Any


def show(table: Any) -> None:
    """Print a table, as wide as the terminal or as its text where there is none."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)


def renamed(old: str, new: str) -> bool:
    """Say that a flag has a new name. Returns True, for who asked by the old one."""
    print(f"NOTE: {old} is now called {new}; the next version will not know it.", file=sys.stderr)
    return True
