"""Which images to translate into which files: settled, and mistakes found, before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zerosum.data.decode import SUFFIXES
from zerosum.data.folder import list_files
from zerosum.data.gather import is_image, natural_key, printable
from zerosum.data.sources import is_folder
from zerosum.errors import UserError
from zerosum.files import cannot_write

PIPE = "-"
"""What stands for standard input and output."""
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
EXACT = (".tif", ".tiff", ".npy")
"""What holds more than 8 bits a channel."""
WRITABLE = (*PICTURES, *EXACT)
FOLDER = "translated"
"""Where several images go by default."""


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


def plan(images: Sequence[str], out: str | None = None) -> list[Job]:
    """Say what is to be translated into what.

    Args:
        images: files and folders, or "-" alone for standard input.
        out: for one image, a file that ends in one of `WRITABLE`, "-" for a PNG on standard output,
            or a folder, where it keeps its name and becomes a PNG; for several, a folder where none
            of them is yet; for folders, one that is empty or not there yet, where all images keep
            their names and subfolders. None takes `NAME-translated.png` in the working folder for
            one image, the folder `FOLDER` for more, and standard output for standard input.

    Raises:
        UserError: there is no such image, it would be overwritten, or `out` is nothing of that.
    """
    if not images:
        raise UserError("Received no image: expected files, folders, or - for standard input.")
    if len(images) > 1 and PIPE in images:
        raise UserError(
            "Standard input, -, can only be translated alone: received other images beside it."
        )
    if len(images) == 1 and not names_folder(images[0]):
        out = default_out(images[0]) if out is None else out
    out = FOLDER if out is None else out
    try:
        if len(images) == 1 and not names_folder(images[0]):
            return [job_of_image(images[0], out)]
        return jobs_of_several(images, out)
    except OSError as error:  # of the target; the sources have been looked at
        raise cannot_write(Path(out), error) from None


def default_out(image: str) -> str:
    """Where one image goes if nobody says: beside nothing of that name, in the working folder.

    Raises:
        UserError: there is something of that name.
    """
    if image == PIPE:
        return PIPE
    name = f"{Path(image).stem}-translated.png"
    if Path(name).exists():
        raise UserError(
            f"'{name}' exists already. To overwrite it, name it with --out, or choose another name."
        )
    return name


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
    if source is not None and in_folder:  # where nobody asked to overwrite anything
        require_new(target, source)
    elif source is not None and target.exists() and target.samefile(source):
        raise UserError(
            f"'{target}' is the image itself, which would be lost. Choose another --out."
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


def jobs_of_several(images: Sequence[str], out: str) -> list[Job]:
    """Plan for images, and for all images in folders and in their subfolders.

    Raises:
        UserError: there are none, two would get one name, or they cannot be written there.
    """
    target = Path(out)
    folders = [Path(image) for image in images if names_folder(image)]
    if not out or out == PIPE or target.suffix.lower() in WRITABLE or target.is_file():
        what = "A folder of images becomes" if len(images) == 1 else "Several images become"
        raise UserError(
            f"{what} a folder: received --out '{out}', expected the name of a folder that is empty "
            "or not there yet."
        )
    if folders and target.is_dir():
        require_empty(target, folders)
    named: dict[str, Job] = {}
    for image in images:
        path = Path(image)
        for name, file in files_of(path) if path in folders else [(path.name, path)]:
            result = PurePosixPath(name).with_suffix(".png").as_posix()
            job = Job(file, target / result, printable(name if len(images) == 1 else str(file)))
            if result in named:
                where = f"{path} holds" if len(images) == 1 else "There are"
                raise UserError(
                    f"{where} both {named[result].name} and {job.name}, and both would become "
                    f"{printable(result)}. Rename one, or move it away."
                )
            if not folders:
                require_new(target / result, path)
            named[result] = job
    return list(named.values())


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """The images in a folder and its subfolders, each with its name in there, in natural order.

    Raises:
        UserError: there are none.
    """
    files = sorted(filter(is_image, list_files(folder)), key=natural_key)
    if not files:
        raise UserError(f"{folder} holds no images: expected files ending in {' '.join(SUFFIXES)}.")
    return [(file, folder / file) for file in files]


def require_new(target: Path, source: Path) -> None:
    """Refuse to write over what is there, in a folder where nobody named it.

    Raises:
        UserError: there is something.
    """
    if not target.exists():
        return
    if target.samefile(source):
        raise UserError(
            f"'{target}' is the image itself, which would be lost. Choose another --out."
        )
    raise UserError(
        f"'{target}' exists already. To overwrite it, name it with --out, or choose another folder."
    )


def require_empty(target: Path, folders: Sequence[Path]) -> None:
    """Refuse to mix results with what is in a folder.

    Raises:
        UserError: the folder holds something, or is one of the images.
    """
    if any(target.samefile(folder) for folder in folders):
        raise UserError(
            f"'{target}' is the folder of the images itself. Choose another with --out."
        )
    if any(target.iterdir()):
        raise UserError(
            f"The folder '{target}' is not empty: translations would mix with what is there. "
            "Choose another with --out."
        )
