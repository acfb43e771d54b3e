"""Two folders of images that belong together by name, such as results and what they should be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zerosum.data.folder import list_files
from zerosum.data.names import composed, is_image, natural_key, printable
from zerosum.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Match:
    """Which files of two folders belong together."""

    pairs: tuple[tuple[Path, Path], ...]  # a file of the first folder and its partner
    alone: tuple[Path, ...]  # files of either without a partner


def match_folders(first: Path, second: Path) -> Match:
    """Match images by their path inside the folder without the suffix: a/1.png to a/1.jpg.

    Raises:
        UserError: a folder is none or cannot be listed, two of its images have the same name but
            for the suffix, or no name is in both.
    """
    ones, others = images_by_name(first), images_by_name(second)
    shared = sorted(ones.keys() & others.keys(), key=natural_key)
    if not shared:
        raise UserError(
            f"No image in {first} has a partner in {second}: {example(first, ones)}, "
            f"{example(second, others)}. Partners have the same path inside their folder, except "
            "for the suffix."
        )
    alone = [
        folder / files[name]
        for folder, files in ((first, ones), (second, others))
        for name in sorted(files.keys() - set(shared), key=natural_key)
    ]
    pairs = [(first / ones[name], second / others[name]) for name in shared]
    return Match(pairs=tuple(pairs), alone=tuple(alone))


def images_by_name(folder: Path) -> dict[str, str]:
    """List a folder's images, with their path inside it by that path without the suffix."""
    if not folder.is_dir():
        raise UserError(f"Pairs are matched between two folders, and '{folder}' is none.")
    found: dict[str, str] = {}
    for file in filter(is_image, list_files(folder)):
        name = composed(str(PurePosixPath(file).with_suffix("")))
        if name in found:
            raise UserError(
                f"{folder} holds both {printable(found[name])} and {printable(file)}: which of "
                "them belongs to the image of that name in the other folder is not known. Move "
                "one away."
            )
        found[name] = file
    return found


def example(folder: Path, files: dict[str, str]) -> str:
    """Name one of a folder's images, in a message."""
    if not files:
        return f"{folder} holds no images"
    return f"{folder} holds {printable(min(files.values(), key=natural_key))}"
