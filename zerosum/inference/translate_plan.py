"""Which images to translate into which files: settled, and mistakes found, before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zerosum.data.folder import list_files
from zerosum.data.names import SUFFIXES, is_image, natural_key, printable
from zerosum.data.sources import is_folder
from zerosum.errors import UserError
from zerosum.files import cannot_write

PIPE = "-"
"""What stands for standard input and output."""
WRITABLE = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


@dataclass(frozen=True)
class Job:
    """One image to translate.

    Attributes:
        source: its file, or None for standard input.
        target: the file for its translation, or None for standard output.
        name: of the source, in messages.
    """

    source: Path | None
    target: Path | None
    name: str


def plan(image: str, out: str) -> list[Job]:
    """Say what is to be translated into what.

    Args:
        image: a file, a folder, or "-" for standard input.
        out: for an image, a file that ends in one of `WRITABLE`, "-" for a PNG on standard output,
            or a folder, where it keeps its name and becomes a PNG; for a folder, a folder that is
            empty or not there yet, where all images keep their names and subfolders.

    Raises:
        UserError: there is no such image, it would be overwritten, or `out` is nothing of that.
    """
    of_folder = names_folder(image)
    try:
        return jobs_of_folder(Path(image), out) if of_folder else [job_of_image(image, out)]
    except OSError as error:  # of the target; the source has been looked at
        raise cannot_write(Path(out), error) from None


def names_folder(image: str) -> bool:
    """Whether what a user gave as IMAGE is a folder, and not a file or standard input.

    Raises:
        UserError: it is nothing; the closest match is suggested.
    """
    if image == PIPE:
        return False
    if not image:  # or Path would take it for the working folder
        raise UserError("The name of the image was empty: expected a file, a folder, or -.")
    path = Path(image)
    return is_folder(path, path)


def job_of_image(image: str, out: str) -> Job:
    """Plan for one image.

    Raises:
        UserError: the result would have no name, one of no known kind, or one that is taken.
    """
    source = None if image == PIPE else Path(image)
    name = "standard input" if source is None else printable(image)
    if out == PIPE:
        return Job(source, None, name)
    target = Path(out)
    ends_as_folder = out.endswith(("/", os.sep))  # Path drops it
    in_folder = (
        not out or ends_as_folder or target.is_dir() or not (target.suffix or target.is_file())
    )
    if in_folder:
        target = target_in_folder(source, out)
    elif target.suffix.lower() not in WRITABLE:
        raise UserError(
            f"An image cannot be written as '{target.name}': expected a name that ends in "
            f"{' '.join(WRITABLE)}, a folder's name, or - for standard output."
        )
    if source is not None and target.exists():
        if target.samefile(source):
            raise UserError(
                f"'{target}' is the image itself, which would be lost. Choose another --out."
            )
        if in_folder:  # nobody asked to overwrite that
            raise UserError(
                f"'{target}' exists already. To overwrite it, name it with --out, or choose "
                "another folder."
            )
    return Job(source, target, name)


def target_in_folder(source: Path | None, out: str) -> Path:
    """Name the translation of an image, in a folder.

    Raises:
        UserError: the image has no name itself, or the folder has none.
    """
    if source is None or not out:
        raise UserError(
            f"There is no file to write to: received --out '{out}', expected one that ends in "
            f"{' '.join(WRITABLE)}, or - for standard output."
        )
    return Path(out) / f"{source.stem}.png"


def jobs_of_folder(folder: Path, out: str) -> list[Job]:
    """Plan for all images in a folder and in its subfolders.

    Raises:
        UserError: there are none, two would get one name, or they cannot be written there.
    """
    target = Path(out)
    if not out or out == PIPE or target.suffix.lower() in WRITABLE or target.is_file():
        raise UserError(
            f"A folder of images becomes a folder: received --out '{out}', expected the name of a "
            "folder that is empty or not there yet."
        )
    if target.is_dir():
        require_empty(target, folder)
    files = sorted(filter(is_image, list_files(folder)), key=natural_key)
    if not files:
        raise UserError(f"{folder} holds no images: expected files ending in {' '.join(SUFFIXES)}.")
    named: dict[str, str] = {}
    for file in files:
        result = PurePosixPath(file).with_suffix(".png").as_posix()
        if result in named:
            raise UserError(
                f"{folder} holds both {printable(named[result])} and {printable(file)}, and both "
                f"would become {printable(result)}. Rename one, or move it away."
            )
        named[result] = file
    return [Job(folder / file, target / result, printable(file)) for result, file in named.items()]


def require_empty(target: Path, folder: Path) -> None:
    """Refuse to mix results with what is in a folder.

    Raises:
        UserError: the folder holds something, or is that of the images.
    """
    if target.samefile(folder):
        raise UserError(
            f"'{target}' is the folder of the images itself. Choose another with --out."
        )
    if any(target.iterdir()):
        raise UserError(
            f"The folder '{target}' is not empty: translations would mix with what is there. "
            "Choose another with --out."
        )
