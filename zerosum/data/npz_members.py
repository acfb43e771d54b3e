"""The arrays in an .npz file: how large each is, and each by itself, once there is room for it."""

from __future__ import annotations

import math
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerosum.hardware import memory_bytes, require_memory

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How numpy packs arrays. What else a .zip file may have is unpacked without a bound."""
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def form_of(archive: np.lib.npyio.NpzFile[Any], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type of an array, by its header alone.

    Raises:
        ValueError: it is no array, or packed as numpy does not pack.
    """
    container = archive.zip
    assert container is not None  # while the file is open
    member = name if name in container.NameToInfo else f"{name}.npy"
    info = container.getinfo(member)
    if info.compress_type not in PACKED:
        raise ValueError(f"its array '{name}' is packed in a way that numpy has not")
    with container.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"its array '{name}' is of a form that is not read here")
        shape, _, dtype = HEADERS[version](stream)
    return shape, dtype


def read_array(archive: np.lib.npyio.NpzFile[Any], name: str, source: object) -> NDArray[Any]:
    """Read one array, after making sure that this machine can hold it.

    Args:
        archive: the file.
        name: of the array.
        source: what the file is called, for messages.

    Raises:
        UserError: it cannot.
        ValueError: it is no array.
    """
    shape, dtype = form_of(archive, name)
    require_memory(
        math.prod(shape) * dtype.itemsize,
        memory=memory_bytes(),
        what=f"The array '{name}' in {source}, {dtype} of the shape {shape},",
        advice="Split the file into smaller ones.",
    )
    return np.asarray(archive[name])
