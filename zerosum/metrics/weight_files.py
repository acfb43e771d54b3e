"""Files of weights, read whole and checked before any of it is used."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zerosum.errors import UserError


def checked(path: Path, sha256: str, advice: str) -> bytes:
    """Read a file of weights, whole, and make sure that it is the right one before it is used.

    Raises:
        UserError: it cannot be read, or is another.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The weights '{path}' cannot be read: {error.strerror}. {advice}"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"The weights '{path}' are not the ones expected and were not loaded: their sha256 is "
            f"{found}, expected {sha256}. {advice}"
        )
    return content
