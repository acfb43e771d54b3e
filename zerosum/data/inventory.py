"""What the files of a source are good for: images, what tells of them, and all else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zerosum.data.decode import (
    Undecodable,
)
from zerosum.data.labels import LABEL_FILES, read_labels
from zerosum.data.names import SUFFIXES, is_hidden, is_image, natural_key, printable
from zerosum.data.report import Note, Tally
from zerosum.errors import UserError, and_more
from zerosum.reading import parse_json

HEIF_ADVICE = " (convert them to JPEG, or pip install 'zerosum[heif]')"
ADVICE = {".heic": HEIF_ADVICE, ".heif": HEIF_ADVICE}
"""What makes files readable that may well be meant, by their suffix."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The files of a source by what they are good for."""

    images: list[str]
    companions: list[str]  # files that tell of the images
    left_out: tuple[Note, ...]


def take_stock(files: Iterable[str], read: Callable[[str], bytes], *, source: Path) -> Inventory:
    """Tell images from all else, and say what else there is.

    What lies in a run directory of ours, pictures among it, is no data, wherever it is.

    Raises:
        UserError: no image is left.
    """
    files = list(files)
    runs = [
        folder
        for folder, name in ((str(PurePosixPath(name).parent), name) for name in files)
        if PurePosixPath(name).name == "config.json" and is_of_a_run(read, name)
    ]
    if "." in runs:
        raise UserError(
            f"{source} is a run directory, whose pictures are no data to train on or to compare "
            "with. Give the folder of the images themselves."
        )
    inside = tuple(f"{folder}/" for folder in runs)
    outside = [name for name in files if not name.startswith(inside)] if inside else files
    images = [name for name in outside if is_image(name)]
    companions = [
        name
        for name in outside
        if PurePosixPath(name).name.lower() in LABEL_FILES and not is_hidden(name)
    ]
    others = Tally()
    for name in set(outside) - set(images) - set(companions):
        if not is_hidden(name):
            suffix = PurePosixPath(name).suffix.lower()
            kind = printable(suffix) if suffix else "without a suffix"
            advice = ADVICE.get(suffix, "")
            others.add(f"files of a kind that is not read here, {kind}{advice}", name)
    if runs:
        noun = "run directory" if len(runs) == 1 else "run directories"
        example = printable(min(runs, key=natural_key))
        run_note = [Note(what=f"{noun} of zerosum", count=len(runs), example=example)]
    else:
        run_note = []
    left_out = (*others.notes(), *run_note)
    if not images:
        there = f" It holds {and_more([str(note) for note in left_out])}." if left_out else ""
        raise UserError(
            f"{source} holds no images: expected files ending in {' '.join(SUFFIXES)}.{there}"
        )
    return Inventory(images=images, companions=companions, left_out=left_out)


def is_of_a_run(read: Callable[[str], bytes], name: str) -> bool:
    """Whether a config.json is that of a run directory."""
    try:
        config = parse_json(read(name))
    except (Undecodable, ValueError):
        return False
    return isinstance(config, dict) and {"format", "recipe", "config"} <= config.keys()


def read_label_file(
    companions: Sequence[str],
    read: Callable[[str], bytes],
    names: Sequence[str],
    images: Sequence[str],
) -> dict[str, str | int] | None:
    """Read the file of labels that lies nearest above all images of a split, where there is one.

    Args:
        companions: the files of labels.
        read: gives a file's content.
        names: of the split's images.
        images: of all images, of which it may tell some of other splits.

    Raises:
        UserError: it cannot be read, or is not what its name says.
    """

    def tells_of(file: str, name: str) -> bool:
        folder = str(PurePosixPath(file).parent)
        return folder == "." or name.startswith(f"{folder}/")

    above = [file for file in companions if all(tells_of(file, name) for name in names)]
    if not above:
        return None
    file = max(
        above,
        key=lambda name: (
            name.count("/"),
            -LABEL_FILES.index(PurePosixPath(name).name.lower()),
        ),
    )
    try:
        content = read(file)
    except Undecodable as problem:
        raise UserError(f"The labels in {printable(file)} cannot be read: {problem}.") from None
    return read_labels(file, content, [name for name in images if tells_of(file, name)])
