"""Files as users should find them: whole or not there at all, and where what is kept goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from zerosum.errors import UserError

WRITING = ".writing"
"""How the name of a file ends that is being written, or was when the process was killed."""


def cache_folder() -> Path:
    """Where what was downloaded or computed once is kept: ZEROSUM_CACHE, or ~/.cache/zerosum.

    Without a home, as in some containers, nothing is kept: what has to be says why.
    """
    chosen = os.environ.get("ZEROSUM_CACHE")
    try:
        return Path(chosen or "~/.cache/zerosum").expanduser()
    except RuntimeError:
        return Path(chosen or NO_HOME).absolute()


NO_HOME = f"{os.devnull}/zerosum"
"""Where nothing is, and nobody can make a folder."""


def write_whole(path: Path, data: bytes | str, *, durable: bool = False) -> None:
    """Write a file so that whoever looks finds the old content or all of the new, never a part.

    Args:
        path: the file; its folder must be there.
        data: the content; text is written as UTF-8.
        durable: whether to wait until the disk has the content before the name is given to it, so
            that the promise holds through a power cut too.

    Raises:
        OSError: it cannot be written. What was there before is as it was.
    """
    with whole_file(path, durable=durable) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def whole_file(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Open a file to be written part by part, with the promise of `write_whole`.

    What was there before stays until the end, and for good if an error ends the writing.

    Args:
        path: the file; its folder must be there.
        durable: as `write_whole` takes it.

    Raises:
        OSError: it cannot be written.
    """
    # Two processes may write the same file; each then has a temporary one of its own.
    temporary = temporary_path(path)
    try:
        with temporary.open("wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """The name that something has while this process makes, or removes, it."""
    return path.with_name(f".{path.name}.{os.getpid()}{WRITING}")


def sweep(folder: Path) -> None:
    """Remove what processes that are gone have left half written, or half removed, in a folder."""
    for path in folder.glob(f".*{WRITING}"):
        maker = path.name.removesuffix(WRITING).rpartition(".")[2]
        if is_at_work(maker):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def is_at_work(process: str) -> bool:
    """Whether there is another process of this number."""
    if not process.isdecimal() or int(process) in (0, os.getpid()):
        return False
    if os.name == "nt":  # where asking would end it
        return True
    try:
        os.kill(int(process), 0)
    except PermissionError:  # somebody else's
        return True
    except (OSError, OverflowError):
        return False
    return True


def flush_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder; Windows knows no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError, advice: str = "") -> UserError:
    """Build the error for a file or folder that cannot be written.

    Args:
        path: what was to be written.
        error: what the system said.
        advice: what to do, in whole sentences; by default to choose another --out.
    """
    advice = advice or "Choose another place with --out."
    return UserError(f"Could not write '{path}': {error.strerror or error}. {advice}")
