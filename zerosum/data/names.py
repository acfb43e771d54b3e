"""What file names tell: which are images, their natural order, and how to print them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import PurePosixPath

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif"),
    *((".heic", ".heif") if find_spec("pillow_heif") else ()),
)

STRAY = 0.1
"""The share of files up to which those that lie elsewhere than nearly all are strays."""
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


def num_shared_folders(names: Sequence[str]) -> int:
    """Count the folders at the beginning of every name: they say nothing of one file."""
    num_shared = 0
    for level in zip(*(PurePosixPath(name).parent.parts for name in names), strict=False):
        if len(set(level)) > 1:
            break
        num_shared += 1
    return num_shared


def bulk(names: Sequence[str]) -> list[str]:
    """Leave out the few files that lie less deep than nearly all others."""
    depths = sorted(len(PurePosixPath(name).parts) for name in names)
    usual = depths[min(num_strays(names), len(depths) - 1)]
    return [name for name in names if len(PurePosixPath(name).parts) >= usual]


def num_strays(names: Sequence[str]) -> int:
    """How many files may lie astray before their folders mean nothing."""
    return max(1, int(STRAY * len(names)))


def composed(name: str) -> str:
    """A name with its accents composed: macOS writes "é" in two characters, others in one."""
    return unicodedata.normalize("NFC", name)
