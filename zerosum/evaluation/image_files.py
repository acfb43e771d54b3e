"""Image files in one folder, read as they are evaluated."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zerosum.data.decode import (
    Format,
    Undecodable,
)
from zerosum.data.folder import read_file
from zerosum.data.labels import LABEL_FILES
from zerosum.data.names import is_hidden, is_image, natural_key, printable
from zerosum.data.report import Note
from zerosum.evaluation.encoded import Encoded, one_more


class Files(Encoded):
    """Image files in one folder."""

    def __init__(self, folder: Path, names: NDArray[np.bytes_], wanted: Format) -> None:
        super().__init__(folder, wanted)
        self._names = names
        self.kept = f"in {folder}"

    def num_files(self) -> int:
        """How many there are."""
        return len(self._names)

    def name(self, index: int) -> str:
        """A file's name."""
        return os.fsdecode(bytes(self._names[index]))

    def contents(self, indices: Sequence[int]) -> list[bytes | Undecodable]:
        """Read files, several at a time."""

        def read(index: int) -> bytes | Undecodable:
            try:
                return read_file(self.source / self.name(index))
            except Undecodable as problem:
                return problem

        return list(self._pool.map(read, indices))


def image_names(folder: Path) -> tuple[NDArray[np.bytes_], list[Note]] | None:
    """List the image files of a folder in natural order, in as few bytes as their names have.

    Returns:
        The names, and what else there is; None where there are folders in it, or files that tell
        of the images, so that there may be classes and splits.

    Raises:
        OSError: it cannot be listed.
    """
    parts: list[NDArray[np.bytes_]] = []
    waiting: list[bytes] = []
    others: dict[str, tuple[int, str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir() or entry.name.lower() in (*LABEL_FILES, "config.json"):
                return None
            if is_image(entry.name):
                waiting.append(os.fsencode(entry.name))
                if len(waiting) == 10_000:
                    parts.append(np.array(waiting))
                    waiting.clear()
            else:
                suffix = Path(entry.name).suffix.lower()
                kind = printable(suffix) if suffix else "without a suffix"
                what = f"files of a kind that is not read here, {kind}"
                others[what] = one_more(others.get(what, (0, "")), entry.name)
    if waiting:
        parts.append(np.array(waiting))
    if not parts:
        return None
    names = np.concatenate(parts)
    parts.clear()
    names.sort()
    if not in_natural_order(names):
        known = sorted((os.fsdecode(bytes(name)) for name in names), key=natural_key)
        names = np.array([os.fsencode(name) for name in known])
    return names, [Note(what=w, count=n, example=first) for w, (n, first) in others.items()]


def in_natural_order(names: NDArray[np.bytes_]) -> bool:
    """Whether sorted names are surely in natural order.

    They are if each begins with a number of its own, and all of these have as many digits.
    """
    match = re.match(rb"\d+", bytes(names[0]))
    width = names.dtype.itemsize
    if match is None or match.end() >= width:
        return False
    letters = names.view(np.uint8).reshape(len(names), width)
    digits = (letters >= ord("0")) & (letters <= ord("9"))
    length = match.end()
    if not digits[:, :length].all() or digits[:, length].any():
        return False
    numbers = letters[:, :length]
    return bool((numbers[1:] != numbers[:-1]).any(axis=1).all())
