"""Classes: those that occur, under their own names, whatever says which image is of which."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zerosum.data.names import (
    bulk,
    composed,
    natural_key,
    num_shared_folders,
    num_strays,
    printable,
)
from zerosum.data.splits import split_of, top_folder
from zerosum.errors import UserError
from zerosum.reading import parse_json as json_of

LABEL_FILES = ("dataset.json", "labels.csv")
"""Files beside images that say their classes: that of the StyleGAN tools, and a table."""
LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "breed")
MAX_CLASSES = 2**16
"""More labels than that are no classes but some number that was measured."""


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """Which files are of which class.

    Attributes:
        labels: of each file that is to be used, its index into classes; {} without classes.
        classes: their names.
        strays: files left out because they have no class while nearly all others do.
        warning: why there are no classes where somebody may expect them, or "".
    """

    labels: Mapping[str, int]
    classes: tuple[str, ...]
    strays: tuple[str, ...] = ()
    warning: str = ""


def label_files(
    names: Sequence[str],
    told: Mapping[str, str | int] | None = None,
    *,
    known: Collection[str] = (),
) -> Labelling:
    """Find the classes of files.

    Without a file that tells them, they are read off the folders that files lie in. Folders that
    all files share say nothing and are dropped; the first folder after them is the class, however
    deep a file lies in it. A few files outside of any class are left out, one or up to a tenth;
    with more there are no classes, since half a labelling cannot be trained on.

    Args:
        names: of the files.
        told: what a file of labels says, by the files' names.
        known: classes of the training split, of which a folder alone may be one.
    """
    if told is not None:
        found = {name: told[name] for name in names if name in told}
    else:
        level = num_shared_folders(bulk(names)) if names else 0
        if known and level and {top_folder(name, level - 1) for name in names} <= set(known):
            level -= 1
        tops = {name: composed(top_folder(name, level)) for name in names}
        found = {name: top for name, top in tops.items() if top}
        if len(set(found.values())) < 2 and not set(found.values()) & set(known):
            return Labelling(labels={}, classes=())  # one folder is no class
    strays = [name for name in names if name not in found]
    if not found or len(strays) > num_strays(names):
        example = printable(strays[0]) if strays else ""
        warning = (
            f"There are no classes: {len(strays):,} of the {len(names):,} images, such as "
            f"{example}, have none. Give each a class, or take these away."
        )
        return Labelling(labels={}, classes=(), warning=warning if found else "")
    classes = sorted(set(found.values()), key=class_key)
    index = {value: label for label, value in enumerate(classes)}
    splits = [str(value) for value in classes if split_of(str(value))] if told is None else []
    return Labelling(
        labels={name: index[value] for name, value in found.items()},
        classes=tuple(printable(str(value)) for value in classes),
        strays=tuple(strays),
        warning=(
            f"The folder '{printable(splits[0])}' is taken for a class, and its name is that of a "
            "split. Folders of splits need one to train on beside one that is held out, such as "
            "train/ and test/."
            if splits
            else ""
        ),
    )


def class_key(value: str | int) -> tuple[bool, int, tuple[str, str]]:
    """Sort numbers by their value and before names, and names in natural order."""
    number = 0 if isinstance(value, str) else value
    return isinstance(value, str), number, natural_key(str(value))


def read_labels(file: str, content: bytes, names: Sequence[str]) -> dict[str, str | int] | None:
    """Read what a file of labels says of the files beside it.

    Args:
        file: its name; its last part is one of `LABEL_FILES`.
        content: what it holds. In a dataset.json `labels` are pairs of a file's path and its class;
            a labels.csv has a column of files, by path or by name with or without suffix, and one
            of classes, which is the only other one or has one of the names in `LABEL_COLUMNS`. An
            empty cell is no class.
        names: of the files that it may tell of.

    Returns:
        The class by a file's name, a whole number or a text; None if it tells of no classes.

    Raises:
        UserError: it is not what its name says, or a class is neither a number nor a text.
    """
    parse: Callable[[str], Any]
    parse = parse_json if PurePosixPath(file).suffix.lower() == ".json" else parse_csv
    try:
        pairs = parse(content.decode("utf-8-sig"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise UserError(
            f"The labels in {printable(file)} cannot be read: {error}. Expected "
            + (
                '{"labels": [["folder/1.png", 0], ...]}, as the StyleGAN tools write it.'
                if parse is parse_json
                else "a table with a column of file names and one of classes, and commas between."
            )
            + " Mend it, or move it away to train without."
        ) from None
    if pairs is None:
        return None
    by_spelling = spellings_of(names, PurePosixPath(file).parent)
    pairs = pairs if isinstance(pairs, list) else pairs_of_table(pairs, by_spelling)
    found: dict[str, str | int] = {}
    for spelling, value in pairs:
        meant = by_spelling.get(composed(spelling), [])
        if len(meant) != 1 or value == "":  # a name that several files have says nothing
            continue
        if found.setdefault(meant[0], value) != value:
            raise UserError(
                f"{printable(file)} names {printable(spelling)} twice, as of {found[meant[0]]} and "
                f"of {value}. Mend it, or move it away to train without."
            )
    if not found:
        raise UserError(
            f"{printable(file)} names no image that is there, or none by a name that only one has: "
            f"it begins with {printable(pairs[0][0]) if pairs else 'nothing'}, and the images with "
            f"{printable(min(names, key=natural_key))}. Mend it, or move it away to train without."
        )
    return found


def spellings_of(names: Sequence[str], folder: PurePosixPath) -> dict[str, list[str]]:
    """The files that may be meant by each path, name, and either without suffix."""
    found: dict[str, list[str]] = {}
    for name in names:
        path = PurePosixPath(composed(name))
        inside = path.relative_to(folder) if path.is_relative_to(folder) else path
        for spelling in {str(inside), str(inside.with_suffix("")), path.name, path.stem}:
            found.setdefault(spelling, []).append(name)
    return found


def parse_json(text: str) -> list[tuple[str, str | int]] | None:
    """Read the dataset.json of the StyleGAN tools."""
    labels = json_of(text)["labels"]
    if labels is None:
        return None
    pairs = [(str(file).replace("\\", "/"), value) for file, value in labels]
    for file, value in pairs:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(
                f"the label of {printable(file)} is {value!r:.50}, neither a number nor a name"
            )
    return pairs


@dataclass(frozen=True)
class LabelTable:
    """The rows of a table of labels, texts without blanks around them."""

    rows: list[list[str]]


def parse_csv(text: str) -> LabelTable:
    """Read a table of files and classes, with commas, semicolons or tabs between."""
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(io.StringIO(text), delimiter=separator)
        if row
    ]
    if not rows or len(rows[0]) < 2:
        raise ValueError("it has no two columns")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise ValueError(f"row {number} has {len(row)} columns, and the first {len(rows[0])}")
    return LabelTable(rows)


def pairs_of_table(
    table: LabelTable, by_spelling: Mapping[str, Sequence[str]]
) -> list[tuple[str, str | int]]:
    """Find the columns of files and of classes: by their names, or else by what they hold.

    Raises:
        UserError: it is not clear which is which.
    """
    head = [cell.lower() for cell in table.rows[0]]
    rows = [[cell.replace("\\", "/") for cell in row] for row in table.rows]
    known = [composed(cell) in by_spelling for cell in rows[0]]
    has_head = not any(known)
    body = rows[1:] if has_head else rows
    # A number may be the name of a class and of a file: files are all different.
    hits = [
        len({row[column] for row in body if composed(row[column]) in by_spelling})
        for column in range(len(head))
    ]
    file_column = max(range(len(head)), key=lambda column: hits[column])
    others = [column for column in range(len(head)) if column != file_column]
    named = [column for column in others if head[column] in LABEL_COLUMNS] if has_head else []
    if not named and len(others) > 1:  # a column that numbers the rows is none of classes
        others = [column for column in others if len({row[column] for row in body}) < len(body)]
    if len(named or others) != 1:
        raise UserError(
            f"Of the columns {', '.join(map(repr, head))} of labels it is not clear which holds "
            f"the classes: expected one that is called {', '.join(LABEL_COLUMNS[:3])}."
        )
    label_column = (named or others)[0]
    pairs: list[tuple[str, str | int]] = [(row[file_column], row[label_column]) for row in body]
    if all(is_whole(str(value)) for _, value in pairs if value != ""):
        return [(file, int(value) if value != "" else "") for file, value in pairs]
    return pairs


def is_whole(text: str) -> bool:
    """Whether a text is a whole number, written as a program would: "007" is none."""
    return text.removeprefix("-").isdecimal() and str(int(text)) == text


def index_labels(
    values: NDArray[Any], *, names: Sequence[str] | None, source: object
) -> tuple[Tensor, tuple[str, ...]]:
    """Number the labels of an array that occur, each under its own name.

    Args:
        values: (n,), integers of any size, or texts.
        names: of the classes 0, 1, ..., where they are known.
        source: what holds them, for messages.

    Returns:
        int64 (n,), and the classes that they are indices into.

    Raises:
        UserError: they are neither, a class has no name, or there are so many that they are none.
    """
    if values.ndim != 1 or values.dtype.kind not in "iuUSb":
        raise UserError(
            f"The labels in {source} are {values.dtype} of shape {values.shape}; expected integers "
            "or texts, one for each image."
        )
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    occurring, labels = np.unique(values, return_inverse=True)
    if values.dtype.kind in "US":
        order = sorted(range(len(occurring)), key=lambda row: natural_key(str(occurring[row])))
        occurring, labels = occurring[order], np.argsort(order)[labels]
    if len(occurring) > MAX_CLASSES:
        raise UserError(
            f"The labels in {source} have {len(occurring):,} different values: expected classes, "
            f"at most {MAX_CLASSES:,} of them."
        )
    if names is not None and values.dtype.kind in "iub":
        if occurring.min() < 0 or occurring.max() >= len(names):
            raise UserError(
                f"The labels in {source} go from {occurring.min()} to {occurring.max()}, and it "
                f"names {len(names)} classes: expected 0 to {len(names) - 1}."
            )
        classes = tuple(printable(names[int(value)]) for value in occurring)
    else:
        classes = tuple(printable(str(value)) for value in occurring)
    return torch.from_numpy(labels.reshape(-1).astype(np.int64)), classes
