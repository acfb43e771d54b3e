"""Translating what lies in files, or comes through a pipe, with a run."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.progress import track

from zerosum.config.specs import read_size
from zerosum.data.arrays import Pixels
from zerosum.data.decode import Format, Undecodable, decode
from zerosum.data.folder import read_file
from zerosum.data.gather import MAX_FILE_BYTES
from zerosum.data.names import printable
from zerosum.errors import UserError, and_more
from zerosum.files import cannot_write
from zerosum.hardware import memory_bytes, require_memory
from zerosum.inference.run import Run
from zerosum.inference.tiles import Translator
from zerosum.inference.translate_plan import WRITABLE, Job, names_folder, plan
from zerosum.plots.grids import to_picture

QUALITY = 95
"""Of JPEG and WebP, of 100: what is lost is not seen."""

Notice = Callable[[str], None]


def write_translations(
    run: Run, image: str, out: str, *, size: str | None = None, notice: Notice, **how: Any
) -> str:
    """Translate an image or a folder of them, and write the results.

    Args:
        run: whose generator translates.
        image: a file, a folder, or "-" for standard input.
        out: where to, see `plan`.
        size: N or HEIGHTxWIDTH, to which images are cropped and resized; None for their own.
        notice: told which files of a folder cannot be decoded.
        how: what `Run.translator` takes.

    Returns:
        What was written, in words.

    Raises:
        UserError: there is no such image, it cannot be decoded, it would be overwritten, nothing
            can be written there, or the run cannot translate it.
    """
    jobs = plan(image, out)
    of_folder = names_folder(image)
    sides = read_size(size)
    translator = run.translator(**how)
    wanted = Format(size=sides, channels=translator.source_channels)
    if sides is not None:
        require_memory(
            2 * sides[0] * sides[1] * (translator.source_channels + translator.target_channels),
            memory=memory_bytes(),
            what=f"An image of {sides[0]}×{sides[1]} pixels",
        )
    skipped = []
    for job in with_bar(jobs) if of_folder else jobs:
        try:
            perform(job, translator, wanted)
        except Undecodable as problem:
            skipped.append(f"{job.name}: {printable(str(problem))}")
    if skipped:
        report_skipped(skipped, jobs, image if of_folder else None, notice)
    if of_folder:
        count = len(jobs) - len(skipped)
        return f"{count} image{'s' * (count != 1)} to {out}"
    return str(jobs[0].target or "standard output")


def report_skipped(skipped: list[str], jobs: list[Job], folder: str | None, notice: Notice) -> None:
    """Say which files of a folder were left out.

    Raises:
        UserError: all of them were, or the only image was.
    """
    if folder is None:
        raise UserError(f"The image cannot be decoded: {skipped[0]}.")
    which = and_more(skipped)
    if len(skipped) == len(jobs):
        raise UserError(f"None of the {len(jobs)} images in {folder} can be decoded: {which}.")
    notice(f"Skipped {len(skipped)} of {len(jobs)} images that cannot be decoded: {which}.")


def with_bar(jobs: list[Job]) -> Iterable[Job]:
    """Show how far it is, on standard error and only to a person."""
    console = Console(stderr=True)
    return track(
        jobs,
        description="Translating",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def perform(job: Job, translator: Translator, wanted: Format) -> None:
    """Read, translate and write one image.

    Raises:
        Undecodable: the source is no image.
        UserError: the target cannot be written.
    """
    content = read_pipe() if job.source is None else read_file(job.source)
    with warnings.catch_warnings(action="ignore"):  # about damage, or of no concern
        image = decode(content, wanted)
    result = translator.translate(image)
    if job.target is None:
        sys.stdout.buffer.write(encode(result, ".png"))
        sys.stdout.buffer.flush()
        return
    file = encode(result, job.target.suffix)
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.write_bytes(file)
    except OSError as error:
        raise cannot_write(job.target, error) from None


def read_pipe() -> bytes:
    """Read an image's file from standard input.

    Raises:
        Undecodable: it is of no sensible size.
    """
    content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise Undecodable(f"there are more than {MAX_FILE_BYTES:,} bytes")
    return content


def encode(image: Pixels, suffix: str) -> bytes:
    """An image (h, w, c) as a file of the kind that the suffix asks for.

    Raises:
        UserError: that kind cannot hold the image.
    """
    content = io.BytesIO()
    try:
        to_picture(image).save(content, format=WRITABLE[suffix.lower()], quality=QUALITY)
    except (OSError, ValueError) as error:  # opacity in a JPEG, sides beyond what a format can say
        raise UserError(
            f"An image of {image.shape[0]}×{image.shape[1]} pixels and {image.shape[2]} channels "
            f"cannot be written as {suffix}: {error}. Choose a name that ends in .png."
        ) from None
    return content.getvalue()
