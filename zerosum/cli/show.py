"""What the commands print besides what was asked for: tables, and that a flag has a new name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zerosum.errors import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment


def show(table: Any) -> None:
    """Print a table, as wide as the terminal or as its text where there is none."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(Visible(table))


class Visible:
    """What is printed, but for what the names in it could do to a terminal."""

    def __init__(self, renderable: Any) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment

        for segment in console.render(self._renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield Segment(text, segment.style, segment.control)


def renamed(old: str, new: str) -> bool:
    """Say that a flag has a new name. Returns True, for who asked by the old one."""
    print(f"NOTE: {old} is now called {new}; the next version will not know it.", file=sys.stderr)
    return True
