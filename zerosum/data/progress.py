"""How far something long is, told on standard error: a bar to a person, a line at times to a log.

Of what is over in a second nothing is told.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_SECONDS = 1.0
"""What takes no longer shows no bar."""
LINE_SECONDS = 30.0
"""Between two lines where nobody sees a bar."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far something is while it goes on.

    Args:
        what: in words before the numbers: "Decoding images".
        total: how many there are to do.

    Yields:
        A function to be told how many more are done. Several threads may call it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    started = told = time.monotonic()
    done = 0
    lock = threading.Lock()
    columns = (BarColumn(), MofNCompleteColumn(), Remaining())
    bar = Progress(TextColumn(what), *columns, console=console, transient=True)
    task = bar.add_task(what, total=total)
    shown = False

    def advance(count: int) -> None:
        nonlocal done, told, shown
        with lock:
            done += count
            now = time.monotonic()
            if console.is_terminal:
                bar.update(task, completed=done)
                if not shown and now - started > QUIET_SECONDS:
                    shown = True
                    bar.start()
            elif now - told > LINE_SECONDS:
                told = now
                say(f"{what}: {done:,} of {total:,}, {left(done, total, now - started)} left")

    try:
        yield advance
    finally:
        if shown:
            bar.stop()


def left(done: int, total: int, seconds: float) -> str:
    """How long the rest will take at the pace so far, in words."""
    remaining = seconds * (total - done) / max(done, 1)
    return f"about {remaining / 60:.0f} min" if remaining > 90 else f"about {remaining:.0f} s"


def say(line: str) -> None:
    """Tell a line on standard error, where there is one."""
    if sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)
