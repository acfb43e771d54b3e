"""The data sets that have a name, and where on this machine they may lie.

Imports no torch, so that commands can list them at once. Reading them is `named`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from zerosum.data.mixture import Mixture, grid, ring
from zerosum.files import cache_folder
from zerosum.reading import is_file

SPLITS = ("train", "test")

# What named data sets that are not computed are distributed as: gzip-compressed IDX files, or
# batches in a binary format of their own.
IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
CIFAR_FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


# What the net has: the bytes and the sha256. Debian's files differ: their headers hold no names.
FASHION_FILES = {
    IDX_FILES[0]: (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    IDX_FILES[1]: (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    IDX_FILES[2]: (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    IDX_FILES[3]: (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
}
CIFAR_ARCHIVE = {
    "cifar-10-binary.tar.gz": (
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )
}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """How a data set is composed of another: gray images drawn from it become channels."""

    of: str  # the name of the other one
    channels: int
    counts: Mapping[str, int]  # images in each split


@dataclass(frozen=True, kw_only=True)
class Domains:
    """How a data set to translate between is made of another, of gray images."""

    of: str  # the name of the other one
    matched: bool  # whether a source has its target: else they are two sets of disjoint images
    counts: Mapping[str, int]  # images of the other one in each split, its first ones


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The files in which a data set can be had from the net; `download` gets them.

    Attributes:
        mirrors: addresses of folders that hold them, the first choice first.
        files: the bytes and the sha256 of each.
        member_bytes: of each of `Dataset.files`, where these are packed in a .tar.gz; else 0.
    """

    mirrors: tuple[str, ...]
    files: Mapping[str, tuple[int, str]]
    member_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What there is to know about a named data set before it is read."""

    description: str
    licence: str
    classes: tuple[str, ...]
    kind: str  # "digits", "photographs" or "toys": recipes have defaults for each
    origin: str  # where to get it, as advice to a user who lacks it
    files: tuple[str, ...] = IDX_FILES  # all that is read of one that lies on disk as it is
    distribution: Distribution | None = None  # None for one that nobody has to get
    stack: Stack | None = None  # None for one that lies on disk as it is
    domains: Domains | None = None  # None for one that is not to translate between
    mixture: Mixture | None = None  # the Gaussians of one that is drawn, points in the plane


DIGITS = tuple("0123456789")
CIFAR_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

# PacGAN's (Lin et al. 2018, arXiv 1712.04086, section 4.1, and its code), after VEEGAN's: 100,000
# points to train on, 2,500 to test. Theirs lie as far as 1 and 4 along an axis, with deviations of
# 0.01 and 0.05; scaled to 0.8, all are within [-1, 1], where images are, and a Tanh reaches them.
POINTS = {"train": 100_000, "test": 2_500}
RING = Mixture(centres=ring(8, radius=0.8), deviation=0.8 * 0.01, counts=POINTS)
GRID = Mixture(centres=grid(5, spacing=0.8 / 2), deviation=0.8 / 4 * 0.05, counts=POINTS)


DATASETS = {
    "mnist": Dataset(
        description="handwritten digits: 60,000 train and 10,000 test images, 28×28 gray",
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        classes=DIGITS,
        kind="digits",
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
        kind="digits",
        origin=(
            "Get it by 'zerosum data get fashion-mnist', 31 MB; on Debian and Ubuntu also by "
            "'apt install dataset-fashion-mnist'."
        ),
        distribution=Distribution(
            mirrors=(
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            ),
            files=FASHION_FILES,
        ),
    ),
    "cifar10": Dataset(
        description="photographs of ten things: 50,000 train and 10,000 test images, 32×32 RGB",
        licence="none is stated: Alex Krizhevsky asks for his report of 2009 to be cited",
        classes=CIFAR_CLASSES,
        kind="photographs",
        origin="Get it by 'zerosum data get cifar10', 170 MB.",
        distribution=Distribution(
            mirrors=(
                "https://www.cs.toronto.edu/~kriz/",
                "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
                "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
            ),
            files=CIFAR_ARCHIVE,
            member_bytes=10_000 * (1 + 3 * 32 * 32),
        ),
        files=CIFAR_FILES,
    ),
    "stacked-mnist": Dataset(
        description=(
            "three digits of MNIST as red, green and blue, 1,000 modes: 128,000 train and 26,000 "
            "test images, 28×28 RGB"
        ),
        licence="CC BY-SA 3.0, as MNIST",
        classes=tuple(map("".join, product(DIGITS, repeat=3))),
        kind="digits",
        origin="It is made of MNIST, which comes with zerosum: install zerosum again.",
        # As many as PacGAN takes (arXiv 1712.04086, section 4.2, and its code), which however draws
        # its training images from all 70,000 of MNIST.
        stack=Stack(of="mnist", channels=3, counts={"train": 128_000, "test": 26_000}),
    ),
    "mnist-edges": Dataset(
        description=(
            "pairs to translate between, edges and the digits of MNIST that they are of: 10,000 "
            "train and 1,000 test pairs, 28×28 gray"
        ),
        licence="CC BY-SA 3.0, as MNIST",
        classes=(),
        kind="digits",
        origin="It is made of MNIST, which comes with zerosum: install zerosum again.",
        domains=Domains(of="mnist", matched=True, counts={"train": 10_000, "test": 1_000}),
    ),
    "mnist-colors": Dataset(
        description=(
            "two sets to translate between, reddish and bluish digits of MNIST, no digit in both: "
            "10,000 train and 1,000 test images each, 28×28 RGB"
        ),
        licence="CC BY-SA 3.0, as MNIST",
        classes=(),
        kind="digits",
        origin="It is made of MNIST, which comes with zerosum: install zerosum again.",
        domains=Domains(of="mnist", matched=False, counts={"train": 20_000, "test": 2_000}),
    ),
    "ring": Dataset(
        description="8 Gaussians on a circle: 100,000 train and 2,500 test points in the plane",
        licence="none needed: computed",
        classes=RING.names(),
        kind="toys",
        origin="It is computed.",
        mixture=RING,
    ),
    "grid": Dataset(
        description="25 Gaussians in a square: 100,000 train and 2,500 test points in the plane",
        licence="none needed: computed",
        classes=GRID.names(),
        kind="toys",
        origin="It is computed.",
        mixture=GRID,
    ),
}


def folders(name: str) -> tuple[Path, ...]:
    """List the folders in which a named data set is looked for, the first choice first."""
    if name == "mnist":
        return (Path(__file__).parent / "mnist",)
    return (cache_folder() / name, Path("/usr/share/datasets") / name)


def locate(name: str) -> Path | None:
    """Find the folder that holds a named data set, all of its files, if there is one.

    For a composed one it is that of the data set that it is made of.
    """
    if made := DATASETS[name].stack or DATASETS[name].domains:
        return locate(made.of)
    for folder in folders(name):
        if all(is_file(folder / file) for file in DATASETS[name].files):
            return folder
    return None


def is_here(name: str) -> bool:
    """Whether a named data set can be had on this machine without getting anything."""
    return DATASETS[name].mixture is not None or locate(name) is not None


def mixture_of(source: str) -> Mixture | None:
    """The Gaussians that a source of data, a name or a path, is drawn from, where it is."""
    return DATASETS[source].mixture if source in DATASETS else None
