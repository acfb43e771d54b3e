"""`load`: from what a user wrote, a name or a path, to the images behind it.

Each kind of source on disk has a reader; a user's own readers are asked before ours.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from zerosum.config.specs import Fit, Tier
from zerosum.data.addresses import HUGGING_FACE, WEB, is_address
from zerosum.data.archive import TAR_SUFFIXES, load_tar, load_zip, tar_has_splits, zip_has_splits
from zerosum.data.catalog import DATASETS
from zerosum.data.cifar import is_cifar_folder, load_cifar_folder
from zerosum.data.decode import Format
from zerosum.data.folder import folder_has_splits, load_folder
from zerosum.data.gather import no_disk_tier
from zerosum.data.holdout import held_out_of, splits_already
from zerosum.data.hugging_face import hugging_face_has_splits, load_hugging_face
from zerosum.data.idx import has_both_splits, is_idx_folder, load_idx_folder
from zerosum.data.images import ImageSet
from zerosum.data.named import load_named
from zerosum.data.npz import load_npz, npz_has_splits
from zerosum.data.report import ValueRange
from zerosum.data.shard_reader import (
    is_shards,
    load_remote,
    load_shards,
    remote_has_splits,
    shards_have_splits,
)
from zerosum.data.splits import SPLITS
from zerosum.errors import UserError, did_you_mean, unknown_name
from zerosum.reading import expanded


class LoadFunction(Protocol):
    """What loads a source, into memory or as an `ImageStore` of what is not."""

    def __call__(self, path: Path, /, *, split: str, wanted: Format, strict: bool) -> ImageSet:
        """Load one split of a source that is there.

        Args:
            path: the file or folder.
            split: one of `Reader.splits`; means nothing to a source without splits.
            wanted: the size and channels to bring the images to, as `fit_array` does.
            strict: whether an image that cannot be decoded is an error, and not skipped and noted.

        Raises:
            UserError: something that the user can mend.
        """


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Knows one kind of source.

    Attributes:
        name: what such a source is, in messages: "a .zip of images".
        detects: whether a file or folder, which is there, is such a source.
        load: loads one split of it.
        has_splits: whether it holds train and test images; without, it is given whole for either.
        splits: those that it tells apart; "val" means "test" to a reader without it.
    """

    name: str
    detects: Callable[[Path], bool]
    load: LoadFunction
    has_splits: Callable[[Path], bool] = lambda path: False
    splits: tuple[str, ...] = ("train", "test")


@dataclass(frozen=True, kw_only=True)
class RemoteReader:
    """Knows one kind of source that is named by an address, see `zerosum.data.addresses`.

    Attributes:
        beginnings: of such addresses.
        load: loads one split of it, as `LoadFunction` does.
        has_splits: whether it holds train and test images.
    """

    beginnings: tuple[str, ...]
    load: Callable[..., ImageSet]
    has_splits: Callable[[str], bool]


REMOTE_READERS = (
    RemoteReader(beginnings=WEB, load=load_remote, has_splits=remote_has_splits),
    RemoteReader(
        beginnings=(HUGGING_FACE,), load=load_hugging_face, has_splits=hugging_face_has_splits
    ),
)


def remote_reader(source: object) -> RemoteReader | None:
    """Who reads an address; None of all that is none."""
    if not is_address(source):
        return None
    assert isinstance(source, str)
    return next(each for each in REMOTE_READERS if source.startswith(each.beginnings))


def _ends_in(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.name.lower().endswith(suffixes)


READERS = [
    Reader(
        name="a .zip of images",
        detects=_ends_in(".zip"),
        load=load_zip,
        has_splits=zip_has_splits,
        splits=tuple(SPLITS),
    ),
    Reader(
        name=f"a tar of images ({' '.join(TAR_SUFFIXES)})",
        detects=_ends_in(*TAR_SUFFIXES),
        load=load_tar,
        has_splits=tar_has_splits,
        splits=tuple(SPLITS),
    ),
    Reader(
        name="an .npz or .npy of images or points",
        detects=_ends_in(".npz", ".npy"),
        load=load_npz,
        has_splits=npz_has_splits,
        splits=tuple(SPLITS),
    ),
    Reader(
        name="a folder of IDX files",
        detects=is_idx_folder,
        load=load_idx_folder,
        has_splits=has_both_splits,
    ),
    Reader(
        name="a folder of CIFAR-10's binary files",
        detects=is_cifar_folder,
        load=load_cifar_folder,
        has_splits=is_cifar_folder,
    ),
    Reader(
        name="a folder of shards, or its index.json",
        detects=is_shards,
        load=load_shards,
        has_splits=shards_have_splits,
        splits=tuple(SPLITS),
    ),
    Reader(
        name="a folder of images (subfolders are classes)",
        detects=Path.is_dir,
        load=load_folder,
        has_splits=folder_has_splits,
        splits=tuple(SPLITS),
    ),
]
"""In the order in which they are asked; the first that detects its kind reads."""


def register_reader(reader: Reader) -> None:
    """Teach `load`, and with it all commands and `zerosum.train`, a kind of source of your own.

    It is asked before all others, and replaces one of the same name. For a folder with a file of
    raw bytes, 28×28 of them an image:

        def load_raw(path, *, split, wanted, strict):
            pixels = np.fromfile(path / "images.bin", np.uint8).reshape(-1, 28, 28, 1)
            images = torch.from_numpy(fit_array(pixels, wanted))  # (n, h, w, c) -> (n, c, h, w)
            return ImageSet(images=images, labels=None, classes=(), name=path.name)

        register_reader(
            Reader(
                name="a folder with images.bin",
                detects=lambda path: (path / "images.bin").is_file(),
                load=load_raw,
            )
        )
        zerosum.train("dcgan", data="my-folder")

    Everything it needs is in `zerosum.data`. With labels, int64 (n,), `classes` names them.
    """
    READERS[:] = [reader, *(other for other in READERS if other.name != reader.name)]


def load(
    source: str | Path,
    *,
    split: str = "train",
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Fit = "crop",
    value_range: ValueRange | None = None,
    all_frames: bool = False,
    hold_out: float = 0,
    strict: bool = False,
    tier: Tier = "auto",
) -> ImageSet:
    """Load images into memory, or onto the disk.

    Args:
        source: a name in `DATASETS`, or a path: a folder of images (subfolders are classes), a
            .zip or .tar of such, an .npz, a folder of IDX files or of CIFAR-10's, a folder of
            shards, or what a registered reader knows; or an address: http(s) of shards, or
            "hf:owner/name" of a data set of Hugging Face. A name wins over a folder of the same
            name, which is then written "./mnist".
        split: "train", "val" or "test". A source that has no splits is given whole for each.
        size: (height, width) to bring them to; None when all images are of one size.
        channels: 1 gray, 3 RGB, 4 RGBA; None takes 1 when all images are gray, else 3.
            Transparency is composed on white unless channels is 4.
        fit: how images of another aspect get that size, see `Format`.
        value_range: what is black and white in images of more than 8 bits, see `Format`.
        all_frames: whether each frame of an animation, or page of a stack, is an image.
        hold_out: the share of a source without splits that is kept from "train" and is "val" and
            "test", chosen by the images' content.
        strict: whether a file that cannot be decoded is an error, and not skipped and noted.
        tier: where the images are kept. "disk" decodes them once into a cache, which serves later
            loads too, and brings only those into memory that are asked for; it is for folders and
            archives of image files. "auto" does so where they would take more than half of the
            memory. The images are the same.

    Raises:
        UserError: there is no such source, or it does not hold what was expected.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    wanted = Format(
        size=size,
        channels=channels,
        fit=fit,
        value_range=value_range,
        all_frames=all_frames,
        tier=tier,
    )
    if isinstance(source, str) and source in DATASETS:
        if tier == "disk":
            raise no_disk_tier(source)
        if hold_out:
            raise splits_already(source)
        return load_named(source, split=split, wanted=wanted, strict=strict)
    if remote := remote_reader(source):
        if hold_out and remote.has_splits(str(source)):
            raise splits_already(source)
        loaded = remote.load(source, split=split, wanted=wanted, strict=strict)
        return held_out_of(loaded, split=split, share=hold_out) if hold_out else loaded
    path = expanded(source)
    is_folder(path, source)  # or neither, which is an error
    reader = find_reader(path)
    if reader is None:
        kinds = "; ".join(reader.name for reader in READERS)
        raise UserError(
            f"{path} is not a source of images. Expected one of: {kinds}. For single images or IDX "
            "files, give the folder."
        )
    if hold_out and reader.has_splits(path):
        raise splits_already(source)
    split = split if split in reader.splits else "test"
    loaded = reader.load(path, split=split, wanted=wanted, strict=strict)
    if tier == "disk" and isinstance(loaded.images, Tensor):
        raise no_disk_tier(source)
    return held_out_of(loaded, split=split, share=hold_out) if hold_out else loaded


def has_splits(source: str | Path) -> bool:
    """Whether a source has train and test images; others are given whole for either."""
    if source in DATASETS:
        return True
    if remote := remote_reader(source):
        return remote.has_splits(str(source))
    path = expanded(source)
    reader = find_reader(path)
    return reader is not None and reader.has_splits(path)


def find_reader(path: Path) -> Reader | None:
    """The first reader that knows what is at a path, if any does.

    Raises:
        UserError: it cannot be looked at.
    """
    try:
        return next((reader for reader in READERS if reader.detects(path)), None)
    except OSError as error:
        raise UserError(f"The path '{path}' cannot be read: {error.strerror}.") from error


def is_folder(path: Path, source: str | Path) -> bool:
    """Tell a folder from a file.

    Args:
        path: where to look.
        source: what the user wrote, whence the path.

    Raises:
        UserError: there is neither, or it cannot be looked at.
    """
    if source == "":  # or Path would take it for the working folder
        raise _no_source(path, "")
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise _no_source(path, source) from None
    except (OSError, ValueError) as error:
        raise UserError(f"The path {str(source)!r} cannot be read: {error}.") from error


def _no_source(path: Path, source: str | Path) -> UserError:
    """Build the error for a source that is neither a name nor a path, with the closest match."""
    text = str(source)
    looks_like_path = isinstance(source, Path) or os.sep in text or "/" in text or path.suffix
    if not looks_like_path:
        error = unknown_name("data set", text, DATASETS)
        return UserError(f"{error} Nor is there a file or folder of that name.")
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        return UserError(f"There is no file or folder '{path}': its folder does not exist either.")
    return UserError(f"There is no file or folder '{path}'.{did_you_mean(path.name, siblings)}")
