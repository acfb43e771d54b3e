"""The data sets that have a name, and where on this machine they may lie.

Imports no torch, so that commands can list them at once. Reading them is `bundled`'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

SPLITS = ("train", "test")

# Every named data set that is not composed is distributed as these four gzip-compressed IDX files.
FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """How a data set is composed of another: gray images drawn from it become channels."""

    of: str  # the name of the other one
    channels: int
    counts: Mapping[str, int]  # images in each split


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What there is to know about a named data set before it is read."""

    description: str
    licence: str
    classes: tuple[str, ...]
    origin: str  # where to get it, as advice to a user who lacks it
    stack: Stack | None = None  # None for one that lies on disk as it is


DIGITS = tuple("0123456789")


DATASETS = {
    "mnist": Dataset(
        description="handwritten digits: 60,000 train and 10,000 test images, 28×28 gray",
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        classes=DIGITS,
        origin="It comes with zerosum: install zerosum again.",
    ),
    "fashion-mnist": Dataset(
        description="clothes by Zalando: 60,000 train and 10,000 test images, 28×28 gray",
        licence="MIT, Zalando SE",
        classes=(
            "T-shirt or top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        origin=(
            "On Debian and Ubuntu: 'apt install dataset-fashion-mnist'. Elsewhere: put its four "
            "files from https://github.com/zalandoresearch/fashion-mnist into the first folder."
        ),
    ),
    "stacked-mnist": Dataset(
        description=(
            "three digits of MNIST as red, green and blue, 1,000 modes: 128,000 train and 26,000 "
            "test images, 28×28 RGB"
        ),
        licence="CC BY-SA 3.0, as MNIST",
        classes=tuple(map("".join, product(DIGITS, repeat=3))),
        origin="It is made of MNIST, which comes with zerosum: install zerosum again.",
        # As many as PacGAN takes (arXiv 1712.04086, section 4.2, and its code), which however draws
        # its training images from all 70,000 of MNIST.
        stack=Stack(of="mnist", channels=3, counts={"train": 128_000, "test": 26_000}),
    ),
}


def folders(name: str) -> tuple[Path, ...]:
    """List the folders in which a named data set is looked for, the first choice first.

    For a composed one they are those of the data set that it is made of.
    """
    if stack := DATASETS[name].stack:
        return folders(stack.of)
    if name == "mnist":
        return (Path(__file__).parent / "mnist",)
    cache = Path(os.environ.get("ZEROSUM_CACHE") or Path.home() / ".cache" / "zerosum")
    return (cache / name, Path("/usr/share/datasets") / name)


def locate(name: str) -> Path | None:
    """Find the folder that holds a named data set, all four files of it, if there is one."""
    for folder in folders(name):
        if all((folder / file).is_file() for file in FILES):
            return folder
    return None
