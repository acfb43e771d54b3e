"""`load`: from what a user wrote, a name or a path, to the images behind it."""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path

from zerosum.data.archive import SUFFIXES as ARCHIVE_SUFFIXES
from zerosum.data.archive import load_archive
from zerosum.data.bundled import load_bundled
from zerosum.data.catalog import DATASETS, SPLITS
from zerosum.data.cifar import is_cifar_folder, load_cifar_folder
from zerosum.data.decode import Format
from zerosum.data.folder import load_folder
from zerosum.data.idx import has_both_splits, is_idx_folder, load_idx_folder
from zerosum.data.images import ImageSet
from zerosum.data.npz import load_npz
from zerosum.errors import UserError, unknown_name


def load(
    source: str | Path,
    *,
    split: str = "train",
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    strict: bool = False,
) -> ImageSet:
    """Load images into memory.

    Args:
        source: a name in `DATASETS`, or a path: a folder of images (subfolders are classes), a
            .zip or .tar of such, an .npz, or a folder of IDX files or of CIFAR-10's. A name wins
            over a folder of the same name, which is then written "./mnist".
        split: "train" or "test". A source that has no splits is given whole for either.
        size: (height, width) to crop and resize to; None when all images are of one size.
        channels: 1 gray, 3 RGB, 4 RGBA; None takes 1 when all images are gray, else 3.
            Transparency is composed on white unless channels is 4.
        strict: whether a file that cannot be decoded is an error, and not skipped and noted.

    Raises:
        UserError: there is no such source, or it does not hold what was expected.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    wanted = Format(size=size, channels=channels)
    if isinstance(source, str) and source in DATASETS:
        return load_bundled(source, split=split, wanted=wanted)
    path = Path(source).expanduser()
    if not is_folder(path, source):
        return _load_file(path, wanted=wanted, strict=strict)
    if is_idx_folder(path):
        return load_idx_folder(path, split=split, wanted=wanted)
    if is_cifar_folder(path):
        return load_cifar_folder(path, split=split, wanted=wanted)
    return load_folder(path, wanted=wanted, strict=strict)


def has_splits(source: str | Path) -> bool:
    """Whether a source has train and test images; others are given whole for either."""
    path = Path(source).expanduser()
    return source in DATASETS or has_both_splits(path) or is_cifar_folder(path)


def _load_file(path: Path, *, wanted: Format, strict: bool) -> ImageSet:
    name = path.name.lower()
    if name.endswith(".npz"):
        return load_npz(path, wanted=wanted)
    if name.endswith(ARCHIVE_SUFFIXES):
        return load_archive(path, wanted=wanted, strict=strict)
    raise UserError(
        f"{path} is not a source of images: expected a folder, or a file ending in "
        f"{' '.join((*ARCHIVE_SUFFIXES, '.npz'))}. For single images or IDX files, give the folder."
    )


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
    closest = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f" Did you mean '{path.parent / closest[0]}'?" if closest else ""
    return UserError(f"There is no file or folder '{path}'.{hint}")
