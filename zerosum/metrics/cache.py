"""What was computed before and is kept between commands: safetensors and JSON, never pickles.

Entries are named by the content of what they were computed from, so none goes out of date, and
removing any costs only time. Beside each lies its sha256; one that does not match is as good as
absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from zerosum.files import cache_folder, sweep, write_whole
from zerosum.reading import is_file, parse_json, read_bytes


def folder() -> Path:
    """Where the entries lie."""
    return cache_folder() / "metrics"


def content_key(*parts: object) -> str:
    """Name an entry by all that decides its content."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def read_tensors(key: str) -> dict[str, Tensor] | None:
    """Read an entry of tensors, if it is there and whole."""
    content = read(f"{key}.safetensors")
    try:
        return None if content is None else safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError):  # well signed, and yet none
        return None


def keeps_tensors(key: str) -> bool:
    """Whether an entry of tensors is there; only reading it tells whether it is whole."""
    return is_file(folder() / f"{key}.safetensors")


def write_tensors(key: str, tensors: dict[str, Tensor]) -> None:
    """Keep tensors under a key."""
    write(f"{key}.safetensors", safetensors.torch.save(tensors))


def read_json(key: str) -> Any:
    """Read an entry of JSON, if it is there and whole."""
    content = read(f"{key}.json")
    try:
        return None if content is None else parse_json(content)
    except ValueError:
        return None


def write_json(key: str, value: object) -> None:
    """Keep what JSON can tell under a key."""
    write(f"{key}.json", json.dumps(value).encode())


def read(name: str) -> bytes | None:
    """Read a file, if it is there and has the sha256 that is noted beside it."""
    try:
        content = read_bytes(folder() / name)
        noted = read_bytes(folder() / f"{name}.sha256").decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return content if hashlib.sha256(content).hexdigest() == noted else None


def write(name: str, content: bytes) -> None:
    """Write a file, and its sha256 beside it, each whole or not at all.

    A cache that cannot be written is no reason to stop: the next command computes again.
    """
    note = hashlib.sha256(content).hexdigest().encode("ascii")
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        sweep(folder())  # what was killed here had not its entry: it is written again, now
        for target, data in ((name, content), (f"{name}.sha256", note)):
            write_whole(folder() / target, data)
