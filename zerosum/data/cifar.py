"""CIFAR-10's binary format: one file for each batch, and in it one record for each image.

A record is 3,073 bytes: the label, then 1,024 of red, of green and of blue, row by row:
https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from zerosum.data.arrays import Pixels
from zerosum.data.catalog import CIFAR_CLASSES, CIFAR_FILES
from zerosum.data.decode import Format, fit_array, report_of_arrays
from zerosum.data.images import ImageSet, safe_name
from zerosum.errors import UserError
from zerosum.reading import read_bytes

SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
TEST = "test_batch.bin"


def is_cifar_folder(folder: Path) -> bool:
    """Whether a folder holds at least one of CIFAR-10's binary files."""
    return any((folder / name).is_file() for name in CIFAR_FILES)


def load_cifar_folder(folder: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load one split, labelled: five files to train on, one to test.

    Args:
        folder: holds data_batch_1.bin to data_batch_5.bin, and test_batch.bin.
        split: "train" or "test".
        wanted: the shape to bring the images to.
        strict: means nothing here.

    Raises:
        UserError: a file is missing, damaged or of another format.
    """
    names = [name for name in CIFAR_FILES if (name == TEST) == (split == "test")]
    records = np.concatenate([_read(folder / name) for name in names])
    pixels = records[:, 1:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return ImageSet(
        images=torch.from_numpy(fit_array(pixels, wanted)),
        labels=torch.from_numpy(records[:, 0].astype(np.int64)),
        classes=CIFAR_CLASSES,
        name=safe_name(folder),
        report=report_of_arrays((SHAPE[1], SHAPE[2]), len(pixels), wanted).with_more(
            origin=str(folder), held_out=str(folder / TEST) if split == "train" else ""
        ),
    )


def _read(path: Path) -> Pixels:
    """Read the records (n, 3073) of one file."""
    try:
        content = np.frombuffer(read_bytes(path), np.uint8)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) == 0 or len(content) % RECORD:
        raise UserError(
            f"{path} holds {len(content):,} bytes, and no whole number of images: expected "
            f"{RECORD:,} for each. It is damaged, or not of CIFAR-10's binary version: unpack "
            "cifar-10-binary.tar.gz again."
        )
    records = content.reshape(-1, RECORD)
    if (highest := int(records[:, 0].max())) >= len(CIFAR_CLASSES):
        raise UserError(
            f"{path} has an image of the class {highest}: expected 0 to {len(CIFAR_CLASSES) - 1}. "
            "It is not of CIFAR-10's binary version: unpack cifar-10-binary.tar.gz again."
        )
    return records
