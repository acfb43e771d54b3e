"""Files that are checked: checksums of chunks, whole lines, and writes in place."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from zerosum.data.progress import progress
from zerosum.hardware import processor_share
from zerosum.reading import parse_json, read_bytes

CHUNK = 16 * 2**20
"""Bytes of pixels that have a checksum of their own."""


def as_line(facts: Mapping[str, Any]) -> bytes:
    """A line of the file on what was read."""
    return json.dumps(facts, separators=(",", ":")).encode() + b"\n"


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that was perhaps being written when its writer was killed."""
    found: list[dict[str, Any]] = []
    if not path.exists():
        return found
    for line in read_bytes(path).splitlines():
        try:
            content = parse_json(line)
        except ValueError:
            break
        if not isinstance(content, dict):
            break
        found.append(content)
    return found


def checksums(file: int, num_bytes: int, what: str) -> list[tuple[str, int, int]]:
    """Take the sha256, and the lowest and highest byte, of each chunk of a file, in all cores."""
    starts = range(0, num_bytes, CHUNK)

    def one(start: int) -> tuple[str, int, int]:
        content = os.pread(file, min(CHUNK, num_bytes - start), start)
        pixels = np.frombuffer(content, np.uint8)
        found = hashlib.sha256(content).hexdigest(), int(pixels.min()), int(pixels.max())
        advance(1)
        return found

    with (
        progress(f"{what}, 16 MiB each", len(starts)) as advance,
        ThreadPoolExecutor(processor_share()) as pool,
    ):
        return list(pool.map(one, starts))


def digest_of(content: bytes | memoryview) -> str:
    """A short checksum of the images of one file."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def write_at(file: int, content: bytes | memoryview, start: int) -> None:
    """Write all of a content at a place in a file."""
    view = memoryview(content)
    while view:
        count = os.pwrite(file, view, start)
        view, start = view[count:], start + count


def reserve(file: int, num_bytes: int) -> None:
    """Make sure that a file can have so many bytes, before hours go by, where the system can."""
    if hasattr(os, "posix_fallocate") and num_bytes:
        os.posix_fallocate(file, 0, num_bytes)
    else:
        os.ftruncate(file, num_bytes)
