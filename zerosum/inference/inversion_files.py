"""Inverting what lies in files: the latents, what G makes of them, and the search as a film."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from zerosum.data.arrays import Pixels
from zerosum.data.decode import Format, Undecodable, decode
from zerosum.data.folder import read_file
from zerosum.data.names import printable
from zerosum.errors import UserError
from zerosum.files import cannot_write, whole_file
from zerosum.inference.inversion import Inverted, invert
from zerosum.inference.model import Model
from zerosum.inference.translate_plan import files_of, names_folder
from zerosum.plots.film import save_film
from zerosum.plots.grids import comfortable_scale, grid, save_sheet

LATENTS, SHEET, FILM = "latents.npz", "inverted.png", "search.gif"
MOST_SHOWN = 16
"""Images in the sheet and in the film, the first ones."""
COLUMNS = 8
FRAME_MILLISECONDS = 120
Notice = Callable[[str], None]


def write_inversions(
    run: Model, source: str, out: Path, *, notice: Notice, **how: Any
) -> tuple[Inverted, list[str]]:
    """Find the z of an image, or of all images in a folder, and write what was found.

    Args:
        run: whose G makes images of noise.
        source: a file or a folder.
        out: a folder that is empty or not there yet. It gets `latents.npz`, with the arrays z,
            psnr, files, images and, where G is told classes, labels and classes; `inverted.png`,
            targets above what G makes; and the film `search.gif`.
        notice: told which images cannot be decoded.
        how: what `invert` takes.

    Returns:
        What was found, and the name of each image.

    Raises:
        UserError: there is no such image, none can be decoded, `out` is not empty or cannot be
            written, or `invert` refuses.
    """
    require_empty_folder(out)
    images, names = read_images(source, run, notice)
    found = with_progress(len(images), lambda report: invert(run, images, report=report, **how))
    arrays: dict[str, Any] = {
        "z": found.z,
        "psnr": found.psnr,
        "files": np.array(names),
        "images": found.samples,
    }
    if found.classes is not None:
        arrays["labels"] = found.classes.argmax(axis=1).astype(np.int64)
        arrays["classes"] = np.array(run.classes)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with whole_file(out / LATENTS) as file:
            np.savez_compressed(file, **arrays)
        with whole_file(out / SHEET) as file:
            save_sheet(sheet(found.targets, found.samples), file)
        frames = [sheet(found.targets, moment) for moment in found.search]
        save_film(frames, out / FILM, frame_milliseconds=FRAME_MILLISECONDS)
    except OSError as error:
        raise cannot_write(out, error) from None
    return found, names


def require_empty_folder(out: Path) -> None:
    """Refuse to mix results with what is in a folder.

    Raises:
        UserError: it is a file, or a folder that is not empty.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(
            f"'{out}' is not an empty folder: results would mix with what is there. Choose another "
            "with --out."
        )


def read_images(source: str, run: Model, notice: Notice) -> tuple[Pixels, list[str]]:
    """Read an image, or a folder of them, in the form of the run's own: uint8 (n, h, w, c).

    Raises:
        UserError: there is none, or none that can be decoded.
    """
    channels, height, width = run.spec.shape
    wanted = Format(size=(height, width), channels=channels)
    in_folder = names_folder(source)
    files = files_of(Path(source)) if in_folder else [(Path(source).name, Path(source))]
    pixels, names = [], []
    for name, file in files:
        try:
            pixels.append(decode(read_file(file), wanted))
            names.append(printable(name))
        except Undecodable as problem:
            if not in_folder:
                raise UserError(f"'{printable(source)}' is no image: {problem}.") from None
            notice(f"Left out {printable(name)}: {printable(str(problem))}.")
    if not pixels:
        raise UserError(f"No image in '{source}' can be decoded.")
    return np.stack(pixels), names


def sheet(targets: Pixels, made: Pixels) -> Any:
    """A picture of targets, each row above what G makes of their z."""
    shown = min(len(targets), MOST_SHOWN)
    columns = min(shown, COLUMNS)
    rows = []
    for start in range(0, shown, columns):
        for images in (targets, made):
            row = images[start : min(start + columns, shown)]
            blank = np.full((columns - len(row), *row.shape[1:]), 255, np.uint8)
            rows.append(np.concatenate([row, blank]))
    scale = comfortable_scale(*targets.shape[1:3])
    return grid(np.concatenate(rows), columns=columns, scale=scale)


def with_progress(count: int, work: Callable[[Any], Inverted]) -> Inverted:
    """Show how far the search is, on standard error if that is a terminal."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[psnr]}"),
    )
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task(f"Searching z of {count}", total=None, psnr="")

        def report(done: int, total: int, psnr: float) -> None:
            progress.update(task, completed=done, total=total, psnr=f"{psnr:.1f} dB")

        return work(report)
