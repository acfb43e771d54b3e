"""The data sets that have a name, and where on this machine they may lie.

Imports no torch, so that commands can list them at once. Reading them is `bundled`'s.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "test")

# Every named data set so far is distributed as these four gzip-compressed IDX files.
FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What there is to know about a named data set before it is read."""

    description: str
    licence: str
    classes: tuple[str, ...]
    origin: str  # where to get it, as advice to a user who lacks it


DATASETS = {
    "mnist": Dataset(
        description="handwritten digits: 60,000 train and 10,000 test images, 28×28 gray",
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
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
}


def folders(name: str) -> tuple[Path, ...]:
    """List the folders in which a named data set is looked for, the first choice first."""
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
