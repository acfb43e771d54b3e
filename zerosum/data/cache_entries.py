"""The entries of the cache on disk: where they lie, who uses them, and which can go."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from zerosum.data.progress import say
from zerosum.errors import UserError
from zerosum.files import cache_folder
from zerosum.reading import parse_json, read_json

PIXELS, FILES, MANIFEST, USED = "pixels.bin", "files.jsonl", "manifest.json", "used"
BUILDING, LOCK = ".building", ".lock"
"""How the names of what is being built, and of its lock, end."""


def folder() -> Path:
    """Where the entries lie."""
    return cache_folder() / "decoded"


def locked(
    path: Path, *, waiting: str = "Another process is decoding the same images. Waiting for it."
) -> IO[bytes]:
    """Wait until nobody else holds a lock, and hold it for as long as the file is open.

    Args:
        path: the lock's file.
        waiting: what to say if somebody does; "" for nothing.
    """
    while True:
        file = path.open("wb")
        try:
            import fcntl
        except ImportError:  # Windows: two processes that build the same are the user's to avoid
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        if is_still(file, path):
            return file
        file.close()  # somebody removed it between the two: it locks nothing


def locked_at_once(path: Path) -> IO[bytes] | None:
    """Hold a lock for as long as the file is open; None where somebody else holds it."""
    file = path.open("wb")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return file
    except BlockingIOError:
        file.close()
        return None
    if is_still(file, path):
        return file
    file.close()
    return None


def is_still(file: IO[bytes], path: Path) -> bool:
    """Whether an open file lies at a path, from where others may remove it at any time."""
    with contextlib.suppress(FileNotFoundError):
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    return False


def leased(entry: Path) -> IO[bytes]:
    """Note that an entry is used now, and keep it from being removed while the file is open."""
    file = (entry / USED).open("wb")
    os.utime(entry / USED)
    with contextlib.suppress(ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_SH)
    return file


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the list of what the cache holds.

    Attributes:
        path: its folder.
        source: what was decoded; "" of what is not finished.
        shape: of all images, (n, c, h, w); () of what is not finished.
        num_bytes: on disk.
        used: when it was used last, in seconds since 1970.
    """

    path: Path
    source: str
    shape: tuple[int, ...]
    num_bytes: int
    used: float


def entries() -> list[Entry]:
    """What the cache holds, what was used last first; what is not finished too."""
    found = []
    for path in folder().iterdir() if folder().is_dir() else ():
        if not path.is_dir():
            continue
        source = ""
        shape: tuple[int, ...] = ()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            manifest = parse_json(read_json(path / MANIFEST)["manifest"])
            source, shape = str(manifest["source"]), tuple(map(int, manifest["shape"]))
        try:
            files = stats_in(path)
            used = max((file.st_mtime for file in files), default=path.stat().st_mtime)
        except FileNotFoundError:  # finished, or removed, since its name was read
            continue
        found.append(
            Entry(
                path=path,
                source=source,
                shape=shape,
                num_bytes=sum(file.st_size for file in files),
                used=used,
            )
        )
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def stats_in(path: Path) -> list[os.stat_result]:
    """What the system knows of the files in a folder, without those that go meanwhile."""
    found = []
    for file in path.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(file.stat())
    return found


def prune() -> tuple[list[Entry], list[Entry]]:
    """Remove all entries that nobody uses or builds.

    Returns:
        Those that were removed, and those that are in use.

    Raises:
        UserError: one cannot be removed.
    """
    removed, kept = [], []
    for entry in entries():
        lock = folder() / f"{entry.path.name.removesuffix(BUILDING)}{LOCK}"
        try:
            held = locked_at_once(lock)
            if held is None:
                kept.append(entry)
                continue
            with held:  # so that nobody begins to use or to build what is being removed
                if in_use(entry.path / USED):
                    kept.append(entry)
                    continue
                shutil.rmtree(entry.path)
                lock.unlink(missing_ok=True)
        except FileNotFoundError:  # it was finished, or removed, since it was listed
            continue
        except OSError as error:
            raise UserError(
                f"Could not remove '{entry.path}': {error.strerror}. Remove it by hand."
            ) from None
        removed.append(entry)
    return removed, kept


def in_use(path: Path) -> bool:
    """Whether somebody holds a file's lock; False where the system cannot tell."""
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, FileNotFoundError):
        return False
    return False
