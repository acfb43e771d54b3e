"""Data sets of Hugging Face by their names: `hf:owner/name`.

The package `datasets` gets them, or finds them in its own cache where there is no connection. What
it hands over are the images' files, which are decoded here as all others are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from torch import Tensor

from zerosum.data.addresses import HUGGING_FACE
from zerosum.data.decode import Decoded, Format, Undecodable, read_image
from zerosum.data.folder import read_file
from zerosum.data.gather import (
    MAX_FILE_BYTES,
    find_range,
    gather_pixels,
    one_image,
    require_range_read,
)
from zerosum.data.images import ImageSet, safe_part
from zerosum.data.labels import LABEL_COLUMNS, index_labels
from zerosum.data.names import printable
from zerosum.data.report import Note
from zerosum.data.splits import ORDER, split_of
from zerosum.data.store import subset
from zerosum.errors import UserError, did_you_mean, pip_install

FORM = "hf:owner/name, or with columns 'hf:owner/name?image=COLUMN&label=COLUMN'"
OPTIONS = ("image", "label", "config")
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, kw_only=True)
class Address:
    """What `hf:owner/name?image=COLUMN&label=COLUMN&config=NAME` says.

    Attributes:
        name: of the data set, "owner/name".
        image: the column of images; None to find it.
        label: the column of classes; None to find it, "" for none.
        config: which of several configurations; None for the only one.
    """

    name: str
    image: str | None = None
    label: str | None = None
    config: str | None = None


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        UserError: it is none.
    """
    name, _, query = text.removeprefix(HUGGING_FACE).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    foreign = [option for option in options if option not in OPTIONS]
    if foreign:
        hint = did_you_mean(foreign[0], OPTIONS)
        raise UserError(
            f"'{text}' has an option '{printable(foreign[0])}'.{hint} Expected {', '.join(OPTIONS)}"
            ", each as NAME=VALUE, with & between, and the whole in quotes."
        )
    if not NAME.fullmatch(name) or ".." in name:
        raise UserError(f"'{text}' is no name of a data set of Hugging Face: expected {FORM}.")
    return Address(name=name, **options)


def load_hugging_face(source: str, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load one split of a data set of Hugging Face.

    Args:
        source: its address, see `parse_address`.
        split: "train", "val" or "test".
        wanted: the shape to bring the images to, and where they are kept.
        strict: whether an image that cannot be decoded is an error.

    Raises:
        UserError: it cannot be got, or it is not clear which column is which.
    """
    address = parse_address(source)
    if wanted.all_frames:
        raise UserError("--all-frames is not read for a data set of Hugging Face. Leave it out.")
    splits = splits_of(address)
    found = next((splits[each] for each in ORDER[split] if each in splits), splits["train"])
    table = found.table
    image = image_column(table.features, address)
    read = files_of(table, image)
    if wanted.value_range == "auto":  # of what is trained on, for every split
        to_train = splits["train"].table
        names = names_of(to_train)
        wanted = replace(wanted, value_range=find_range(names, files_of(to_train, image)))
    stamp = getattr(table, "_fingerprint", None)
    gathered = gather_pixels(
        names_of(table),
        read,
        decode,
        source=Path(source),
        wanted=wanted,
        strict=strict,
        stamp=None if stamp is None else lambda _: str(stamp),
    )
    require_range_read(wanted, gathered.report.values, source)
    rows = [int(name) for name in gathered.names]
    labels, classes, kept = labels_of(table, label_column(table.features, address), rows, source)
    left_out = [Note(what="images without a class", count=len(rows) - len(kept), example="")]
    held_out = next((splits[each].name for each in ("val", "test") if each in splits), "")
    return ImageSet(
        images=gathered.images
        if len(kept) == len(rows)
        else subset(gathered.images, torch.tensor(kept)),
        content=tuple(gathered.content[place] for place in kept),
        labels=labels,
        classes=classes,
        name=safe_part(address.name),
        skipped=gathered.skipped,
        report=gathered.report.with_more(
            origin=f"{source}, its split {found.name}",
            held_out=f"its split {held_out}" if held_out else "",
            left_out=left_out if left_out[0].count else (),
        ),
    )


def hugging_face_has_splits(source: str) -> bool:
    """Whether a data set has images to train on and others."""
    return len(splits_of(parse_address(source))) > 1


@dataclass(frozen=True)
class HubSplit:
    """A split as the data set has it."""

    name: str
    table: Any  # a datasets.Dataset


def splits_of(address: Address) -> Mapping[str, HubSplit]:
    """The splits of a data set by what they are for: "train", and "val" and "test" if there are.

    Raises:
        UserError: there is no such data set here, or none to train on.
    """
    tables = tables_of(address.name, address.config)
    by_kind: dict[str, HubSplit] = {}
    for name, table in tables.items():
        kind = split_of(name)
        if kind and kind not in by_kind and len(table):
            by_kind[kind] = HubSplit(name, table)
    if "train" not in by_kind and len(tables) == 1:
        by_kind = {"train": HubSplit(*next(iter(tables.items())))}
    if "train" not in by_kind or not len(by_kind["train"].table):
        raise UserError(
            f"'{HUGGING_FACE}{address.name}' has no split to train on: expected one called train, "
            f"and it has {', '.join(map(printable, tables)) or 'none'}."
        )
    return by_kind


@cache
def tables_of(name: str, config: str | None) -> Mapping[str, Any]:
    """All splits of a data set, mapped into memory; got once in a program.

    Raises:
        UserError: it cannot be had.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"Data sets of Hugging Face need a package that is not installed ({error}). Install "
            f"it: {pip_install('hf')}."
        ) from None
    try:
        found: Mapping[str, Any] = datasets.load_dataset(name, config)
    except Exception as error:  # of many kinds, from several packages
        reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise UserError(
            f"'{HUGGING_FACE}{name}' could not be had, neither from the hub nor from the cache on "
            f"this machine: {printable(reason)}. Check its name and the connection; choose one of "
            "several configurations by '?config=NAME'; one that asks for consent needs `hf auth "
            "login`."
        ) from error
    return found


def image_column(features: Mapping[str, Any], address: Address) -> str:
    """Find the column of images, or take the one that was named.

    Raises:
        UserError: there is none of them, or several.
    """
    images = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if address.image in images:
        return str(address.image)
    there = ", ".join(map(printable, features))
    if address.image is not None:
        raise UserError(
            f"'{HUGGING_FACE}{address.name}' has no column of images '{address.image}'."
            f"{did_you_mean(address.image, images)} Its columns: {there}; of images: "
            f"{', '.join(map(printable, images)) or 'none'}."
        )
    if len(images) != 1:
        raise UserError(
            f"'{HUGGING_FACE}{address.name}' has {len(images) or 'no'} columns of images; its "
            f"columns: {there}."
            + (" Say which: " if images else "")
            + " or ".join(f"'{HUGGING_FACE}{address.name}?image={name}'" for name in images)
            + "." * bool(images)
        )
    return images[0]


def label_column(features: Mapping[str, Any], address: Address) -> str | None:
    """Find the column of classes, or take the one that was named; None where there is none.

    Raises:
        UserError: there is not the one that was named, or several that may be meant.
    """
    if address.label == "":
        return None
    if address.label is not None:
        if address.label not in features:
            raise UserError(
                f"'{HUGGING_FACE}{address.name}' has no column '{address.label}'."
                f"{did_you_mean(address.label, features)} Its columns: "
                f"{', '.join(map(printable, features))}."
            )
        return address.label
    classes = [name for name, each in features.items() if type(each).__name__ == "ClassLabel"]
    named = [name for name in LABEL_COLUMNS if name in (classes or features)]
    if named:
        return named[0]
    if len(classes) > 1:
        ways = " or ".join(f"'{HUGGING_FACE}{address.name}?label={name}'" for name in classes)
        raise UserError(
            f"'{HUGGING_FACE}{address.name}' has {len(classes)} columns of classes. Say which: "
            f"{ways}; or '{HUGGING_FACE}{address.name}?label=' for none."
        )
    return classes[0] if classes else None


def labels_of(
    table: Any, column: str | None, rows: Sequence[int], source: str
) -> tuple[Tensor | None, tuple[str, ...], list[int]]:
    """The classes of images.

    Args:
        table: the split.
        column: which holds them; None where there are none.
        rows: of the images.
        source: what was named, for messages.

    Returns:
        Labels, int64 (n,), or None; the names of the classes; and which of the rows, by their
        places, have a class, all of them where there are no labels.

    Raises:
        UserError: they are no classes.
    """
    everything = list(range(len(rows)))
    if column is None:
        return None, (), everything
    all_values = table.with_format(None)[column][:]  # at once: row by row takes long
    values = [all_values[row] for row in rows]
    kept = [place for place, value in enumerate(values) if value is not None and value != -1]
    if not kept:  # as many a split to test on keeps its classes to itself
        return None, (), everything
    names = getattr(table.features[column], "names", None)
    labels, classes = index_labels(
        np.array([values[place] for place in kept]),
        names=names,
        source=f"the column '{column}' of {source}",
    )
    return labels, classes, kept


def names_of(table: Any) -> list[str]:
    """Name each row as if it were a file."""
    return [f"{row:09d}" for row in range(len(table))]


def files_of(table: Any, column: str) -> Any:
    """What reads an image's file, by the name of its row."""
    import datasets

    plain = table.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    config = datasets.config
    homes = [Path(home).resolve() for home in (config.HF_CACHE_HOME, config.HF_DATASETS_CACHE)]

    def read(name: str) -> bytes:
        value = plain[int(name)][column]
        if value is None:
            raise Undecodable("no image")
        content, path = value.get("bytes"), value.get("path")
        if content is None and path:
            # A stranger's table may name any file of this machine.
            whole = Path(path).resolve()
            if not any(whole.is_relative_to(home) for home in homes):
                raise Undecodable("its file lies outside of the cache of data sets")
            return read_file(whole)
        if content is None:
            raise Undecodable("no image")
        if len(content) > MAX_FILE_BYTES:
            raise Undecodable(f"larger than {MAX_FILE_BYTES:,} bytes")
        return bytes(content)

    return read


def decode(name: str, content: bytes, wanted: Format) -> Decoded:
    """Decode an image's file."""
    return one_image(read_image(content, wanted))
