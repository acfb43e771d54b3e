"""Images of 16 bits a channel as TIFF, which Pillow writes of gray ones alone."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from zerosum.errors import UserError

SHORT, LONG = 3, 4
"""Types of fields: uint16 and uint32."""
MOST_BYTES = 2**32 - 1
"""Offsets in a TIFF have 32 bits."""
BLACK_IS_ZERO, RGB, UNASSOCIATED_ALPHA = 1, 2, 2


def encode_tiff(image: NDArray[np.uint16]) -> bytes:
    """Write an image, uint16 (h, w, c), c one of 1, 3 and 4, as an uncompressed TIFF of one strip.

    Source: TIFF 6.0, Adobe 1992, sections 2 to 6 and 18.

    Raises:
        UserError: it has more bytes than a TIFF can hold.
    """
    height, width, channels = image.shape
    pixels = image.astype("<u2").tobytes()
    fields: list[tuple[int, int, list[int]]] = [
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [16] * channels),  # bits a sample
        (259, SHORT, [1]),  # no compression
        (262, SHORT, [BLACK_IS_ZERO if channels == 1 else RGB]),
        (273, LONG, [0]),  # where the strip begins, filled in below
        (277, SHORT, [channels]),
        (278, LONG, [height]),  # rows a strip
        (279, LONG, [len(pixels)]),
        (284, SHORT, [1]),  # channels side by side
    ]
    if channels == 4:
        fields.append((338, SHORT, [UNASSOCIATED_ALPHA]))
    directory = 8
    behind = directory + 2 + 12 * len(fields) + 4  # values longer than 4 bytes, then the strip
    strip = behind + (2 * channels if channels > 2 else 0)
    if strip + len(pixels) > MOST_BYTES:
        raise UserError(
            f"An image of {height}×{width} pixels and {channels} channels is too large for a TIFF. "
            "Choose a name that ends in .npy."
        )
    entries, extra = [], b""
    for tag, kind, values in fields:
        found = [strip] if tag == 273 else values
        packed = struct.pack(f"<{len(found)}{'H' if kind == SHORT else 'I'}", *found)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", behind), packed
        entries.append(struct.pack("<HHI", tag, kind, len(found)) + packed.ljust(4, b"\0"))
    head = struct.pack("<2sHI", b"II", 42, directory) + struct.pack("<H", len(fields))
    return b"".join([head, *entries, struct.pack("<I", 0), extra, pixels])
