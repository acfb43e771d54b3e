"""What file names tell: which are images, their natural order, and how to print them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import PurePosixPath

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif"),
    *((".heic", ".heif") if find_spec("pillow_heif") else ()),
)

LITTER = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")
"""Folders in which macOS, Synology and Windows keep thumbnails and the like beside the user's."""


def is_image(name: str) -> bool:
    """Whether a file's name, with "/" between folders, is an image's and not a hidden one's."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder that it lies in, is not meant for people to see."""
    return any(part.startswith(".") or part in LITTER for part in PurePosixPath(name).parts)


def natural_key(name: str) -> tuple[str, str]:
    """Sort key that puts "2.png" before "10.png"."""
    return re.sub(r"\d+", lambda digits: digits.group().zfill(20), name), name


def printable(name: str) -> str:
    """Escape what a file name from a stranger could do to a terminal or to a JSON file."""
    return name if name.isprintable() else ascii(name)[1:-1]


def num_shared_folders(names: list[str]) -> int:
    """Count the folders at the beginning of every name: they say nothing of one file."""
    num_shared = 0
    for level in zip(*(PurePosixPath(name).parent.parts for name in names), strict=False):
        if len(set(level)) > 1:
            break
        num_shared += 1
    return num_shared
