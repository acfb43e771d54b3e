"""A worker: a process that runs trials beside others.

It is told what to do by a line on its standard input, which its parent then holds open. When that
ends, for whatever reason, the worker saves and leaves: so none outlives its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from zerosum.errors import UserError
from zerosum.streams import guarded_standard_streams
from zerosum.sweeps.sweep import work


def read_line() -> bytes:
    """What the parent says. Not through `sys.stdin`, on whose lock Python would wait at exit."""
    found = b""
    while not found.endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            raise SystemExit(0)  # it has gone
        found += part
    return found


def leave_with_parent() -> None:
    """Wait for the parent's end of standard input to close, and then have the training saved."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Be a worker. Gives the exit code, as the command line's."""
    told = json.loads(read_line())
    threading.Thread(target=leave_with_parent, daemon=True).start()
    with guarded_standard_streams():
        try:
            work(told["job"], told["index"])
        except UserError as error:
            print(f"zerosum: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
