"""Which files are to train on and which are held out, by the folders that they lie in."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from zerosum.data.names import bulk, is_image, num_shared_folders, printable
from zerosum.errors import UserError, and_more

SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "eval"),
    "test": ("test", "testing"),
}
"""How splits are spelled in the names of folders."""
SPLITS = {
    "train": SPELLINGS["train"],
    "val": (*SPELLINGS["val"], *SPELLINGS["test"]),
    "test": (*SPELLINGS["test"], *SPELLINGS["val"]),
}
"""The splits that can be asked for, and the folders that serve for each, the first choice first."""
HELD_OUT = SPLITS["val"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """The files of one split of a source.

    Attributes:
        names: of the files, all of the source's where it has no splits.
        folder: where they lie, "train", or "*/train" in the folder of each class; "" where the
            source has no splits.
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
    held-out one, see `split_of`, as in `train/cat/1.png` and `valid/cat/2.png`, maybe in a folder
    around both; or so in the folder of each class, as in `cat/train/1.png`.

    Args:
        names: of all image files, with "/" between folders.
        split: "train", "val" or "test".
        source: what holds them, for messages.

    Raises:
        UserError: there are folders of held-out images and none of images to train on.
    """
    names = list(names)
    level = num_shared_folders(bulk(names)) if names else 0
    tops = {name: top_folder(name, level) for name in names}
    found = folders_of_splits(set(tops.values()))
    kinds = {split_of(top) for top in set(tops.values())}
    if len(kinds) > 1 and kinds <= {"val", "test"}:
        folders = sorted(set(tops.values()))
        raise UserError(
            f"{source} holds images to test on, in {' and '.join(map(printable, folders))}, but "
            "none to train on: expected them beside, in a folder 'train' of the same layout. If "
            "these are classes, give the folders other names."
        )
    above = ""
    if not found:
        inner = {name: top_folder(name, level + 1) for name in names}
        by_top: dict[str, set[str]] = {}
        for name in names:
            by_top.setdefault(tops[name], set()).add(inner[name])
        if all("train" in folders_of_splits(folders) for folders in by_top.values()):
            tops, found, above = inner, folders_of_splits(set(inner.values())), "*/"
    if not found:
        return Split(names=names)
    wanted = next(found[kind] for kind in ORDER[split] if kind in found)
    held_out = next(found[kind] for kind in ORDER["val"] if kind in found)
    return Split(
        names=[name for name in names if tops[name] == wanted],
        folder=above + wanted,
        held_out=above + held_out,
        beside=tuple(name for name in names if tops[name] not in found.values()),
    )


ORDER = {"train": ("train",), "val": ("val", "test"), "test": ("test", "val")}
"""The splits that serve for each that can be asked for, the first choice first."""


def folders_of_splits(folders: Collection[str]) -> dict[str, str]:
    """The folder of each split, {} unless there is one to train on and one that is held out.

    Of several that are named after one split, that of the plain name counts, "train" and not
    "train_masks"; without a plain one they are no splits.
    """
    by_kind: dict[str, list[str]] = {}
    for folder in sorted(folders):
        if kind := split_of(folder):
            by_kind.setdefault(kind, []).append(folder)
    found: dict[str, str] = {}
    for kind, several in by_kind.items():
        plain = [folder for folder in several if folder.lower() in SPELLINGS[kind]] or several
        if len(several) > 1 and len(plain) != 1:
            return {}
        found[kind] = plain[0]
    return found if "train" in found and len(found) > 1 else {}


def split_of(folder: str) -> str:
    """The split that a folder is named after, in letters of either case; "" for none.

    It may stand among other words: "training_set", "seg_test", "Validation images".
    """
    words = set(re.split(r"[^a-z]+", folder.lower()))
    for kind, spellings in SPELLINGS.items():
        if words & set(spellings):
            return kind
    return ""


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
