"""Ctrl-C and SIGTERM: a handler only sets a flag, and the loop saves at the next round.

Saving inside a handler could find the state half-way through a step.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training stopped for a signal, and saved. Exit code 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class StopFlag:
    """The signal that asked to stop, or None."""

    signal_number: int | None = None


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Raise a flag at the first SIGINT or SIGTERM; a second one acts as it would without us.

    Outside the main thread, where Python takes no handlers, the flag is never raised.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def raise_flag(number: int, frame: FrameType | None) -> None:
        flag.signal_number = number
        restore()

    for number in numbers:
        signal.signal(number, raise_flag)
    try:
        yield flag
    finally:
        restore()
