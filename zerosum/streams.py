"""Standard output and error that may break, and Ctrl-C while there is nothing to save yet.

Whoever reads the output may leave (`| head`), its terminal may be closed, its disk may be full.
None of this may end a training in mid-round: writing never fails here, and who has to know of a
failure asks for it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

TERMINAL_GONE = (errno.EIO, errno.ENXIO)
"""What writing to a terminal that was closed comes to, on Linux and elsewhere."""


class GuardedStream:
    """A text stream that takes what is written to it, even if nobody gets it any more.

    All else is the stream's own.

    Attributes:
        failure: the first error of writing; None while all is well. From then on nothing is
            written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or note why that cannot be."""
        if self.failure is None:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError as error:  # an encoding such as ASCII, which has few letters
                written = text.encode(error.encoding, "backslashreplace").decode(error.encoding)
                return self.write(written)
            except OSError as error:
                self.failure = error
        return len(text)

    def flush(self) -> None:
        """Flush, or note why that cannot be."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self.failure = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guarded(stream: TextIO | None) -> GuardedStream | None:
    """Guard a stream, once; None, as a process without standard output has it, stays None."""
    return stream if stream is None or isinstance(stream, GuardedStream) else GuardedStream(stream)


@contextmanager
def guarded_standard_streams() -> Iterator[GuardedStream | None]:
    """Guard standard output and error, and give the output.

    What a broken one still has to flush when Python exits, and would complain of, is discarded.
    """
    before = sys.stdout, sys.stderr
    streams = tuple(map(guarded, before))
    sys.stdout, sys.stderr = (cast("TextIO", stream) for stream in streams)
    try:
        yield streams[0]
    finally:
        sys.stdout, sys.stderr = before
        for stream in streams:
            if stream is not None and stream.failure is not None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def quiet_interrupts() -> Iterator[None]:
    """Let Ctrl-C end the process at once, with exit code 130, while there is nothing to save.

    For the seconds in which modules are imported: Python would answer with a traceback that means
    nothing to a user. Where Ctrl-C is somebody else's, or ignored, it stays as it is.
    """
    mine = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if mine:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)
