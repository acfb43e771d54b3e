"""The IDX format of MNIST and its relatives: one file, or a folder of the usual four.

A file is four bytes of magic (0, 0, the type of number, how many dimensions), the dimensions as
big-endian 32-bit numbers, and the values: http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import math
import zlib
from io import BufferedReader
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zerosum.data.arrays import Pixels
from zerosum.data.decode import Format, fit_array, report_of_arrays
from zerosum.data.images import ImageSet, safe_name
from zerosum.data.labels import index_labels
from zerosum.errors import UserError
from zerosum.hardware import memory_bytes, require_memory
from zerosum.reading import open_file

PREFIXES = {"train": "train", "test": "t10k"}
SPELLINGS = ("-idx", ".idx")
GZIP_MAGIC = b"\x1f\x8b"
MAX_GZIP_RATIO = 1032  # deflate cannot do better
PART = 2**20
UNSIGNED_BYTE = 8
TYPES = {
    UNSIGNED_BYTE: "unsigned bytes",
    9: "signed bytes",
    11: "16-bit integers",
    12: "32-bit integers",
    13: "32-bit floats",
    14: "64-bit floats",
}


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds the images of either split as an IDX file."""
    return any(_find(folder, split, "images", 3) for split in PREFIXES)


def has_both_splits(folder: Path) -> bool:
    """Whether a folder holds the images of train and test as IDX files."""
    return all(_find(folder, split, "images", 3) for split in PREFIXES)


def load_idx_folder(folder: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load one split of a folder of IDX files, with its labels where they are there.

    Args:
        folder: holds train-images-idx3-ubyte and so on, with or without .gz; also spelled
            train-images.idx3-ubyte.
        split: "train" or "test".
        wanted: the shape to bring the images to.
        strict: means nothing here.

    Raises:
        UserError: a file is missing, damaged, or does not fit the others.
    """
    images_path = _find(folder, split, "images", 3)
    if images_path is None:
        raise UserError(
            f"{folder} has no images of the split '{split}': "
            f"expected a file {PREFIXES[split]}-images-idx3-ubyte or the same with .gz."
        )
    images = read_idx(images_path, num_dims=3)
    labels_path = _find(folder, split, "labels", 1)
    labels = None if labels_path is None else read_idx(labels_path, num_dims=1)
    if labels is not None and len(labels) != len(images):
        raise UserError(
            f"{images_path} holds {len(images)} images, but {labels_path} holds {len(labels)} "
            "labels: one for each was expected. The files are not of one set."
        )
    numbers: Tensor | None = None
    classes: tuple[str, ...] = ()
    if labels is not None:
        numbers, classes = index_labels(labels, names=None, source=labels_path)
    other = _find(folder, "test", "images", 3) if split == "train" else None
    return ImageSet(
        images=torch.from_numpy(fit_array(images[..., np.newaxis], wanted)),
        labels=numbers,
        classes=classes,
        name=safe_name(folder),
        report=report_of_arrays((images.shape[1], images.shape[2]), len(images), wanted).with_more(
            origin=str(images_path), held_out=str(other or "")
        ),
    )


def read_idx(path: Path, *, num_dims: int) -> Pixels:
    """Read one IDX file of unsigned bytes, plain or gzip-compressed.

    Args:
        path: the file.
        num_dims: how many dimensions it must have: 3 for images, 1 for labels.

    Returns:
        The values, in the file's shape.

    Raises:
        UserError: the file cannot be read or is not what was expected.
    """
    try:
        size = path.stat().st_size
        with open_file(path) as file:
            if file.peek(2)[:2] != GZIP_MAGIC:
                return _parse(file, path, num_dims=num_dims, max_bytes=size)
            unzipped = gzip.GzipFile(fileobj=file)
            return _parse(unzipped, path, num_dims=num_dims, max_bytes=size * MAX_GZIP_RATIO)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        reason = str(error) or "the memory is not enough"
        raise UserError(f"{path} cannot be read, or is damaged: {reason}.") from error


def _parse(
    stream: BufferedReader | gzip.GzipFile, path: Path, *, num_dims: int, max_bytes: int
) -> Pixels:
    """Check the header, then read exactly what it announces.

    Args:
        stream: at the file's beginning.
        path: for messages.
        num_dims: how many dimensions to expect.
        max_bytes: how much the stream can hold at most; nothing larger is allocated.
    """
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        expected = bytes((0, 0, UNSIGNED_BYTE, num_dims)).hex(" ")
        found = magic.hex(" ") or "nothing"
        raise UserError(f"{path} is no IDX file: it begins with {found}; expected {expected}.")
    if (magic[2], magic[3]) != (UNSIGNED_BYTE, num_dims):
        raise UserError(
            f"{path} holds {TYPES[magic[2]]} in {magic[3]} dimensions; "
            f"expected {TYPES[UNSIGNED_BYTE]} in {num_dims} dimensions."
        )
    header = stream.read(4 * num_dims)
    if len(header) < 4 * num_dims:
        raise UserError(f"{path} is truncated: it ends within its header.")
    shape = tuple(int(number) for number in np.frombuffer(header, ">u4"))
    announced = "×".join(map(str, shape))
    num_bytes = math.prod(shape)
    if num_bytes == 0:
        raise UserError(f"{path} is empty: its header announces {announced} values.")
    if num_bytes > max_bytes:
        raise UserError(
            f"{path} is truncated: its header announces {announced} = {num_bytes:,} bytes, "
            f"but there cannot be more than {max_bytes:,}."
        )
    require_memory(num_bytes, memory=memory_bytes(), what=f"The {announced} values of {path}")
    values = np.empty(num_bytes, np.uint8)
    filled = 0
    # By parts, since a gzip's whole content would be there twice.
    while count := stream.readinto(values[filled : filled + PART].data):
        filled += count
    if filled < num_bytes:
        raise UserError(
            f"{path} is truncated: its header announces {announced} = {num_bytes:,} bytes, "
            f"but only {filled:,} follow."
        )
    if stream.read(1):
        raise UserError(f"{path} is damaged: more than the announced {announced} bytes follow.")
    return values.reshape(shape)


def _find(folder: Path, split: str, kind: str, num_dims: int) -> Path | None:
    for spelling in SPELLINGS:
        for suffix in ("", ".gz"):
            path = folder / f"{PREFIXES[split]}-{kind}{spelling}{num_dims}-ubyte{suffix}"
            if path.is_file():
                return path
    return None
