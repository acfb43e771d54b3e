"""Ctrl-C and SIGTERM: a handler only sets a flag, and the loop saves at the next round.

Saving inside a handler could find the state half-way through a step. All that it does beside is to
answer Ctrl-C, since a round may take seconds.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# A terminal that is closed sends SIGHUP, which Windows lacks.
NUMBERS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


ANSWER = b"\nFinishing this round, then saving; press again to leave now.\n"
STANDARD_ERROR = 2


class Interrupted(KeyboardInterrupt):
    """Training stopped for a signal, and saved. Exit codes: SIGHUP 129, Ctrl-C 130, SIGTERM 143."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class StopFlag:
    """The signal that asked to stop, or None."""

    signal_number: int | None = None


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Raise a flag at the first SIGINT, SIGTERM or SIGHUP; a second acts as it would without us.

    A signal that the process was started to ignore, as a shell does with Ctrl-C for what it runs in
    the background, stays ignored. Outside the main thread, where Python takes no handlers, the flag
    is never raised.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    # None is a handler that is not Python's, which could not be put back.
    before = {n: h for n, h in handlers.items() if h not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is raise_flag:  # or somebody has decided otherwise since
                signal.signal(number, handler)

    def raise_flag(number: int, frame: FrameType | None) -> None:
        flag.signal_number = number
        restore()
        if number == signal.SIGINT and os.environ.get("RANK", "0") == "0":
            # Not by print: the signal may have come in the middle of one.
            with suppress(OSError):
                os.write(STANDARD_ERROR, ANSWER)

    for number in before:
        signal.signal(number, raise_flag)
    try:
        yield flag
    finally:
        restore()
