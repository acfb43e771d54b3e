"""Translating what lies in files, or comes through a pipe, with a run."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from zerosum.config.specs import Fit, read_size
from zerosum.data.decode import (
    SAMPLE,
    SOFTWARE,
    Format,
    Undecodable,
    decode,
    fit,
    fitted_size,
    kept_part,
    kind_of,
    place_in_canvas,
)
from zerosum.data.folder import read_file
from zerosum.data.gather import MAX_FILE_BYTES
from zerosum.data.names import printable
from zerosum.errors import UserError, and_more
from zerosum.files import cannot_write
from zerosum.hardware import memory_bytes, require_memory
from zerosum.inference.model import Model
from zerosum.inference.tiff import encode_tiff
from zerosum.inference.tiles import Translator
from zerosum.inference.translate_plan import EXACT, FOLDER, PICTURES, Job, names_folder, plan
from zerosum.plots.grids import marked, to_picture

QUALITY = 95
"""Of JPEG and WebP, of 100: what is lost is not seen."""
MOST_NOTES = 5
"""How many kinds of notes are told one by one."""

Notice = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How images are brought to the scale of a net, and their translations to the user's.

    Attributes:
        wanted: the size, the channels that the net takes, and what becomes of another aspect.
        restore: whether a translation gets the size back that its image had.
    """

    wanted: Format
    restore: bool = False


def write_translations(
    run: Model,
    images: Sequence[str],
    out: str | None = None,
    *,
    size: str | None = None,
    fit: Fit | None = None,
    restore: bool = False,
    notice: Notice,
    **how: Any,
) -> str:
    """Translate images and folders of them, and write the results.

    Args:
        run: whose generator translates.
        images: files and folders, or "-" alone for standard input.
        out: where to, see `plan`. A TIFF holds 16 bits a channel, and an `.npy` floats in [-1, 1],
            float32 (h, w, c).
        size: N or HEIGHTxWIDTH, to which images are brought; None for their own.
        fit: what becomes of another aspect, see `Format`; None crops.
        restore: whether each result gets its image's own size back; not with cropping.
        notice: told what was cropped or converted, and which of several cannot be decoded.
        how: what `Run.translator` takes.

    Returns:
        What was written, in words.

    Raises:
        UserError: there is no such image, it cannot be decoded, it would be overwritten, nothing
            can be written there, or the run cannot translate it.
    """
    jobs = plan(images, out)
    alone = len(images) == 1 and not names_folder(images[0])
    shape = read_shape(size, fit, restore)
    translator = run.translator(**how)
    shape = replace(shape, wanted=replace(shape.wanted, channels=translator.source_channels))
    if shape.wanted.size is not None:
        require_room(shape.wanted.size, translator)
    notes: dict[str, list[str]] = {}
    skipped = []
    for job in jobs if alone else with_bar(jobs):
        try:
            for note in perform(job, translator, shape):
                notes.setdefault(note, []).append(job.name)
        except Undecodable as problem:
            skipped.append(f"{job.name}: {printable(str(problem))}")
    if notes:
        tell(notes, notice, alone=alone)
    if skipped:
        report_skipped(skipped, jobs, images, notice, alone=alone)
    if alone:
        return str(jobs[0].target or "standard output")
    count = len(jobs) - len(skipped)
    return f"{count} image{'s' * (count != 1)} to {FOLDER if out is None else out}"


def read_shape(size: str | None, fit: Fit | None, restore: bool) -> Shape:
    """Settle what `--size`, `--fit` and `--restore` say, but for the channels.

    Raises:
        UserError: they do not go together, or one of them is no such thing.
    """
    sides = read_size(size)
    if sides is None and (fit is not None or restore):
        flag = "--fit" if fit is not None else "--restore"
        raise UserError(
            f"Received {flag} without --size: images keep their own size. Name a size, such as "
            "--size 256, or leave it out."
        )
    if restore and fit in (None, "crop"):
        raise UserError(
            "What was cropped away cannot be restored: received --restore with --fit crop, the "
            "default. Choose --fit short-side, pad or squash."
        )
    return Shape(wanted=Format(size=sides, fit=fit or "crop"), restore=restore)


def require_room(sides: tuple[int, int], translator: Translator) -> None:
    """Refuse a size (height, width) that memory does not hold.

    Raises:
        UserError: it does not.
    """
    require_memory(
        2 * sides[0] * sides[1] * (translator.source_channels + translator.target_channels),
        memory=memory_bytes(),
        what=f"An image of {sides[0]}×{sides[1]} pixels",
    )


def tell(notes: dict[str, list[str]], notice: Notice, *, alone: bool) -> None:
    """Say what was done to images besides translating them, each kind once, with examples."""
    found = [note if alone else f"{note}: {and_more(names)}" for note, names in notes.items()]
    for text in found[:MOST_NOTES]:
        notice(f"{text}.")
    if len(found) > MOST_NOTES:
        notice(f"And {len(found) - MOST_NOTES} more of such kinds.")
    if any(note.startswith("Cropped") for note in notes):
        notice("Sizes are width×height. --fit short-side, pad or squash leaves nothing out.")


def report_skipped(
    skipped: list[str], jobs: list[Job], images: Sequence[str], notice: Notice, *, alone: bool
) -> None:
    """Say which of several files were left out.

    Raises:
        UserError: all of them were, or the only image was.
    """
    if alone:
        raise UserError(f"The image cannot be decoded: {skipped[0]}.")
    which = and_more(skipped)
    if len(skipped) == len(jobs):
        where = f" in {images[0]}" if len(images) == 1 else ""
        raise UserError(f"None of the {len(jobs)} images{where} can be decoded: {which}.")
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


def perform(job: Job, translator: Translator, shape: Shape) -> list[str]:
    """Read, translate and write one image.

    Returns:
        What was done to it besides, in words that a colon and its name may follow.

    Raises:
        Undecodable: the source is no image, or one of its aspect does not fit into memory.
        UserError: the target cannot be written.
    """
    content = read_pipe() if job.source is None else read_file(job.source)
    wanted = shape.wanted
    with warnings.catch_warnings(action="ignore"):  # about damage, or of no concern
        whole = decode(content, Format(channels=wanted.channels))
        notes = list(conversions(kind_of(content), wanted.channels or 3))
    size = whole.shape[:2]
    try:
        require_room(fitted_size(size, wanted), translator)
    except UserError as problem:  # which is this image's alone
        raise Undecodable(str(problem).rstrip(".")) from None
    kept = kept_part(size, wanted)
    if kept != size:
        notes.append(f"Cropped {size[1]}×{size[0]} to its middle {kept[1]}×{kept[0]}")
    image = fit(to_picture(whole), wanted)
    suffix = ".png" if job.target is None else job.target.suffix.lower()
    exact = suffix in EXACT
    result = translator.translate_exactly(image) if exact else translator.translate(image)
    if shape.restore:
        result = restored(result, size, wanted)
    file = encode(result, suffix)
    if job.target is None:
        sys.stdout.buffer.write(file)
        sys.stdout.buffer.flush()
        return notes
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.write_bytes(file)
    except OSError as error:
        raise cannot_write(job.target, error) from None
    return notes


def conversions(kind: str, channels: int) -> Iterator[str]:
    """Say what happens to an image of a kind, see `kind_of`, that is brought to these channels."""
    if kind.endswith("with opacity") and channels != 4:
        yield "Composed transparency on white"
    if kind.startswith("gray") and channels != 1:
        yield "Converted gray to color"
    if kind.startswith("color") and channels == 1:
        yield "Converted color to gray"


def restored(result: NDArray[Any], size: tuple[int, int], wanted: Format) -> NDArray[Any]:
    """Bring a translation, (h, w, c) of uint8 or float32, to the size that its image had.

    Args:
        result: of an image in the wanted shape.
        size: (height, width) of the image before.
        wanted: the shape, not by cropping.
    """
    if wanted.fit == "pad" and wanted.size is not None:
        result = result[place_in_canvas(size, wanted.size)]
    height, width = size
    channels = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.LANCZOS))
        for channel in np.ascontiguousarray(result.transpose(2, 0, 1))
    ]
    whole = np.stack(channels, axis=-1)
    return whole.clip(-1, 1) if whole.dtype == np.float32 else whole  # the filter rings


def read_pipe() -> bytes:
    """Read an image's file from standard input.

    Raises:
        Undecodable: it is of no sensible size.
    """
    content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise Undecodable(f"there are more than {MAX_FILE_BYTES:,} bytes")
    return content


def encode(image: NDArray[Any], suffix: str) -> bytes:
    """An image (h, w, c) as a file of the kind that the suffix asks for.

    Args:
        image: uint8, or for one of `EXACT` float32 in [-1, 1].
        suffix: one of `WRITABLE`.

    Raises:
        UserError: that kind cannot hold the image.
    """
    content = io.BytesIO()
    if suffix == ".npy":
        np.save(content, image)
        return content.getvalue()
    if suffix in EXACT:
        return encode_tiff(((image + 1) * 32767.5).round().astype(np.uint16))
    exif = Image.Exif()
    exif[SOFTWARE] = SAMPLE
    told: dict[str, Any] = {"pnginfo": marked(SAMPLE)} if suffix == ".png" else {"exif": exif}
    try:
        to_picture(image).save(content, format=PICTURES[suffix], quality=QUALITY, **told)
    except (OSError, ValueError) as error:  # opacity in a JPEG, sides beyond what a format can say
        raise UserError(
            f"An image of {image.shape[0]}×{image.shape[1]} pixels and {image.shape[2]} channels "
            f"cannot be written as {suffix}: {error}. Choose a name that ends in .png."
        ) from None
    return content.getvalue()
