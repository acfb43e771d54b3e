"""The arrays in an .npz file: how large each is, and each by itself, once there is room for it.

numpy raises nearly anything when a file is damaged: whoever reads through here has ValueErrors.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zerosum.errors import UserError
from zerosum.hardware import memory_bytes, require_memory

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How numpy packs arrays. What else a .zip file may have is unpacked without a bound."""
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextmanager
def damage_told() -> Iterator[None]:
    """Make a ValueError of what numpy raises inside, but for errors of the disk and of memory.

    A header that is no Python ends in errors of its tokenizer, a side beyond 64 bits in an
    OverflowError, a shape that is no whole numbers in a TypeError.
    """
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def open_arrays(file: IO[bytes]) -> np.lib.npyio.NpzFile[Any] | NDArray[Any]:
    """Open an .npz, or read an .npy; never what is pickled.

    Raises:
        OSError, MemoryError, ValueError: it is damaged, or neither.
    """
    with damage_told():
        found: np.lib.npyio.NpzFile[Any] | NDArray[Any] = np.load(file, allow_pickle=False)
        return found


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
    with damage_told(), container.open(info) as stream:
        shape, _, dtype = read_header(stream)
    return shape, dtype


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read what an array says of itself: its shape, whether columns come first, and its type.

    Raises:
        OSError, ValueError: it is no array, or claims what none can be.
    """
    with damage_told():
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"an array of version {version}, which is not read here")
        shape, columns_first, dtype = HEADERS[version](stream)
        if not all(type(side) is int and 0 <= side < 2**62 for side in shape):
            raise ValueError(f"an array that claims the shape {shape!r:.100}")
    return shape, columns_first, dtype


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
    with damage_told():
        return np.asarray(archive[name])
