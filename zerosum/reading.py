"""Files that may be anything: pipes that never end, JSON of strangers, homes that are not there.

Whatever a run, a cache or a data set consists of is opened here, so that a FIFO, a socket or a
device in a file's place is an error, as any other, and nothing is waited for.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

from zerosum.errors import UserError

MOST_DIGITS = 1000
"""Of a number in JSON; no 64 bits, and no float, have as many."""
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_file(path: Path) -> BufferedReader:
    """Open a regular file to read its bytes; of all else, nothing is waited for.

    Raises:
        OSError: it cannot be opened, or is none.
    """
    # Looked at before it is opened, since opening alone does something to some devices; and opened
    # without waiting, and looked at again, since it may be another by then.
    require_regular(path, Path(path).stat())
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        require_regular(path, os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def require_regular(path: Path, status: os.stat_result) -> None:
    """Refuse what is no regular file.

    Raises:
        OSError: it is none; of a folder, IsADirectoryError.
    """
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        raise OSError(
            errno.EINVAL, f"it is {KINDS.get(kind, 'something else')} and no file", str(path)
        )


def is_file(path: Path) -> bool:
    """Whether a regular file is there; where one may not look, as in another's cache, none is."""
    try:
        return path.is_file()
    except OSError:
        return False


def read_bytes(path: Path) -> bytes:
    """Read a regular file, whole.

    Raises:
        OSError: it cannot be read, or is none.
    """
    with open_file(path) as file:
        return file.read()


def parse_json(content: bytes | str) -> Any:
    """Read JSON that may come from a stranger.

    Raises:
        ValueError: it is none, nested beyond reason, or holds numbers that no program of ours can
            have written: NaN, infinities, or of thousands of digits.
    """
    try:
        return json.loads(content, parse_int=_whole, parse_float=_finite, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_json(path: Path) -> Any:
    """Read a file of JSON.

    Raises:
        OSError: it cannot be read.
        ValueError: as `parse_json`.
    """
    return parse_json(read_bytes(path))


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS or abs(value := int(digits)) >= 2**1023:
        raise ValueError(f"a number of {len(digits):,} digits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text:.40} is beyond all numbers of a machine")
    return value


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def expanded(path: Path | str) -> Path:
    """A path with the user's home in place of its "~".

    Raises:
        UserError: nobody knows that home; or no system has such a path.
    """
    if "\0" in str(path):
        raise UserError(f"The path {str(path)!r} cannot be read: no path has a NUL in it.")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0]
        raise UserError(
            f"The path '{path}' begins with '{user}', and no such home is known here. Write the "
            f"path in full, or './{path}' where a folder is called so."
        ) from None
