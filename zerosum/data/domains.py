"""Where in a folder the images of two domains, A and B, lie: its layout and its splits.

Looks at folders only, never into an image.
"""

from __future__ import annotations

import re
from pathlib import Path

from zerosum.data.addresses import is_address
from zerosum.data.catalog import DATASETS
from zerosum.data.names import is_hidden, natural_key, printable
from zerosum.data.sources import is_folder
from zerosum.data.splits import HELD_OUT, SPLITS, split_of
from zerosum.errors import UserError, and_more, unknown_name
from zerosum.reading import expanded

EXPECTED = (
    "Expected a folder of images that each hold A in their left half and B in their right one, or "
    "a folder with two folders of images, A and B."
)

FIRST_TRY = (
    "For a first try there are --data mnist-edges, pairs, and --data mnist-colors, for cyclegan."
)


def has_validation(source: str | Path) -> bool:
    """Whether a folder to translate between holds images that are kept from training.

    Raises:
        UserError: there is no such folder, or it holds a split of one domain only.
    """
    if str(source) in DATASETS and DATASETS[str(source)].domains:
        return True
    return bool(held_out_folders(find_root(source)))


def find_root(source: str | Path) -> Path:
    """Find the folder that the user means.

    Raises:
        UserError: it is a file, or there is nothing of that name.
    """
    if is_address(source):
        raise UserError(
            f"'{source}' is an address, and images to translate between are read from folders on "
            f"this machine. {EXPECTED}"
        )
    if source == "":  # or Path would take it for the working folder
        raise UserError(f"No images to translate between were given. {EXPECTED} {FIRST_TRY}")
    path = expanded(source)
    if str(source) in DATASETS and not path.exists():
        raise UserError(
            f"'{source}' holds single images, with nothing to translate them to. {EXPECTED} "
            f"{FIRST_TRY}"
        )
    if not is_folder(path, path):
        raise UserError(
            f"{path} is a file, and images to translate between are read from a folder: unpack an "
            f"archive and give its folder. {EXPECTED}"
        )
    while len(entries := [each for each in path.iterdir() if not is_hidden(each.name)]) == 1:
        name = entries[0].name
        if not entries[0].is_dir() or name.lower() in ("a", "b") or split_of(name):
            break
        path = entries[0]  # a folder around everything, as archives have it
    return path


def find_domains(root: Path, split: str) -> tuple[Path, ...]:
    """Find the folder or folders of a split, laid out as `load_pairs` describes.

    Args:
        root: the folder that holds everything.
        split: a name in `SPLITS`; without a held-out split, all of them mean the training set.

    Returns:
        One folder, whose images hold A and B side by side; or two, that of A and that of B.

    Raises:
        UserError: there is one domain without the other, or a held-out split and no training set.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    for name in SPLITS[split]:
        if found := _find_split(root, name):
            return found
    if split != "train":
        return find_domains(root, "train")
    if held_out := held_out_folders(root):  # which must not be trained on, so not everything serves
        raise UserError(
            f"{root} holds images to test on, in {_inside(root, held_out[0])}, but none to train "
            "on: expected them beside, in a folder 'train' of the same layout."
        )
    return _both(root, child(root, "A"), child(root, "B")) or (root,)


def held_out_folders(root: Path) -> tuple[Path, ...]:
    """Find the folders of the held-out split, if there is one."""
    return next(filter(None, (_find_split(root, name) for name in HELD_OUT)), ())


def _find_split(root: Path, name: str) -> tuple[Path, ...]:
    """Find the folders of the split of that very name, if there is one."""
    a, b, whole = child(root, "A"), child(root, "B"), child(root, name)
    return (
        _both(root, child(whole, "A"), child(whole, "B"))
        or _both(root, child(a, name), child(b, name))
        or _both(root, child(root, f"{name}A"), child(root, f"{name}B"))
        or ((whole,) if _is_there(whole) else ())
    )


def child(folder: Path, name: str) -> Path:
    """Where a folder of this name is, or would be.

    It may be spelled in letters of either case, with a dash, as in "train_A"; and a split's name
    may stand among other words, as in "training_set", where only one folder is of that split.
    """
    path = folder / name
    if _is_there(path) or not _is_there(folder):
        return path
    entries = [entry for entry in folder.iterdir() if entry.is_dir()]
    for entry in entries:
        if re.sub("[-_ ]", "", entry.name.lower()) == name.lower():
            return entry
    kind = split_of(name)
    alike = [entry for entry in entries if kind and split_of(entry.name) == kind]
    return alike[0] if len(alike) == 1 and name in (kind, "training", "testing") else path


def _both(root: Path, a: Path, b: Path) -> tuple[Path, ...]:
    """Give both folders if they are there, none if neither is.

    Raises:
        UserError: only one of them is there.
    """
    there, missing = (a, b) if _is_there(a) else (b, a)
    if not _is_there(there):
        return ()
    if _is_there(missing):
        return a, b
    folders = sorted((entry.name for entry in root.iterdir() if entry.is_dir()), key=natural_key)
    raise UserError(
        f"{root} holds {_inside(root, there)} but no {_inside(root, missing)}. The folders in it: "
        f"{and_more([printable(name) for name in folders], shown=5)}. {EXPECTED}"
    )


def _inside(root: Path, folder: Path) -> str:
    return printable(folder.relative_to(root).as_posix())


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read: {error.strerror}.") from error
