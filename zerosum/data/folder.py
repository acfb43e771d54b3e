"""Folders of images; subfolders are classes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from zerosum.data.decode import Format, Undecodable
from zerosum.data.gather import MAX_FILE_BYTES, gather
from zerosum.data.images import ImageSet
from zerosum.data.splits import names_have_splits
from zerosum.errors import UserError
from zerosum.reading import open_file


def load_folder(folder: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load every image in a folder and in its subfolders, however deep, of one split.

    See `gather` for order, classes and what is skipped.

    Raises:
        UserError: the folder cannot be listed, and as `gather`.
    """

    def read(name: str) -> bytes:
        return read_file(folder / name)

    files = list_files(folder)
    return gather(
        files,
        read,
        source=folder,
        split=split,
        wanted=wanted,
        strict=strict,
        stamp=lambda name: stamp_of(folder / name),
    )


def folder_has_splits(folder: Path) -> bool:
    """Whether a folder's images lie in folders of splits."""
    return names_have_splits(list_files(folder))


def list_files(folder: Path) -> list[str]:
    """List all files in a folder and its subfolders, relative to it, with "/" in between.

    Raises:
        UserError: the folder, or one in it, cannot be listed.
    """
    try:
        return list(_walk(folder))
    except OSError as error:
        raise UserError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error


def read_file(path: Path) -> bytes:
    """Read one image's file.

    Raises:
        Undecodable: it cannot be read, or is no file of a sensible size.
    """
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                raise Undecodable(f"the file is larger than {MAX_FILE_BYTES:,} bytes")
            return file.read()
    except OSError as error:
        raise Undecodable(error.strerror or type(error).__name__) from error


def stamp_of(path: Path) -> str:
    """What changes whenever a file does: its size, and when it and its name were written last.

    A program can set the former of the two times to what it was, but not the latter.
    """
    try:
        facts = path.stat()
    except OSError as error:
        return error.strerror or type(error).__name__
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"


def _walk(folder: Path) -> Iterator[str]:
    """List all files, relative to the folder; a folder that links reach twice is read once."""

    def fail(error: OSError) -> None:
        raise error

    visited = set()
    for root, subfolders, files in os.walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(root)
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        subfolders.sort()  # or which of two links to one folder counts would be chance
        for file in files:
            yield (Path(root) / file).relative_to(folder).as_posix()
