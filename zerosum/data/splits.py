"""Which files are to train on and which are held out, by the folders that they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from zerosum.data.names import is_image, num_shared_folders, printable
from zerosum.errors import UserError, and_more

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "test", "testing"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
"""The splits that can be asked for, and the folders that serve for each, the first choice first."""
HELD_OUT = SPLITS["val"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """The files of one split of a source.

    Attributes:
        names: of the files, all of the source's where it has no splits.
        folder: where they lie, "train"; "" where the source has no splits.
        held_out: the folder of the held-out files; "" where there are none.
        beside: files that lie in the folder of no split, and are in none.
    """

    names: list[str]
    folder: str = ""
    held_out: str = ""
    beside: tuple[str, ...] = ()


def choose_split(names: Sequence[str], split: str, *, source: object = "This") -> Split:
    """Choose the files of one split; all of them, where no folders are named after splits.

    Folders are those of splits if one is named after the training split and another after a
    held-out one, in letters of either case, as in `train/cat/1.png` and `valid/cat/2.png`, maybe in
    a folder around both.

    Args:
        names: of all image files, with "/" between folders.
        split: "train", "val" or "test".
        source: what holds them, for messages.

    Raises:
        UserError: there are folders of held-out images and none of images to train on.
    """
    names = list(names)
    level = num_shared_folders(names)
    tops = {name: top_folder(name, level) for name in names}
    spelled = {top.lower(): top for top in tops.values()}
    to_train = [spelled[name] for name in SPLITS["train"] if name in spelled]
    held_out = [spelled[name] for name in HELD_OUT if name in spelled]
    if held_out and not to_train and set(tops.values()) == set(held_out) and len(held_out) > 1:
        raise UserError(
            f"{source} holds images to test on, in {' and '.join(map(printable, held_out))}, but "
            "none to train on: expected them beside, in a folder 'train' of the same layout. If "
            "these are classes, give the folders other names."
        )
    if not (to_train and held_out):
        return Split(names=names)
    wanted = next(spelled[name] for name in SPLITS[split] if name in spelled)
    return Split(
        names=[name for name in names if tops[name] == wanted],
        folder=wanted,
        held_out=held_out[0],
        beside=tuple(name for name in names if tops[name] not in {*to_train[:1], *held_out}),
    )


def names_have_splits(names: Sequence[str]) -> bool:
    """Whether the images among these files lie in folders of splits."""
    return bool(choose_split(list(filter(is_image, names)), "train").folder)


def top_folder(name: str, level: int) -> str:
    """The folder at a level of a file's path, "" of a file that lies above it."""
    folders = PurePosixPath(name).parent.parts
    return folders[level] if len(folders) > level else ""


def no_split(source: object, split: str, folders: Sequence[str] = ()) -> UserError:
    """Build the error for a split that is asked for of a source that has none."""
    found = f" It holds {and_more([printable(folder) for folder in folders])}." if folders else ""
    return UserError(
        f"{source} has no splits, so that --split {split} would change nothing.{found} Leave it "
        "out; or put the images into folders train/ and test/, or hold some out with --hold-out "
        "0.1."
    )
