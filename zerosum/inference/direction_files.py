"""Principal directions as files: a sheet of images that move along them, and the vectors."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zerosum.data.arrays import Pixels
from zerosum.data.npz import DAMAGE
from zerosum.data.npz_members import open_arrays, read_array
from zerosum.errors import UserError
from zerosum.files import cannot_write, whole_file
from zerosum.inference.directions import Directions
from zerosum.inference.inversion_files import require_empty_folder
from zerosum.inference.model import Model
from zerosum.inference.run import Run
from zerosum.plots.grids import comfortable_scale, grid, save_sheet
from zerosum.reading import open_file

SHEET, ARRAYS = "directions.png", "directions.npz"
LEAST_SEED, MOST_SEED = -(2**63), 2**63 - 1
STEPS = (-3, -2, -1, 0, 1, 2, 3)
MOST_IMAGES = 3
"""Images that are moved side by side, or fewer, so that the sheet is not too wide."""
MOST_WIDTH = 2100
"""Pixels that they may take together."""
MARGIN, ROW_MARGIN, BETWEEN, LETTERS = 28, 120, 14, 15
"""Pixels above the images and to their left, between two of those that are moved, and of texts."""


def write_directions(
    model: Model,
    out: Path,
    *,
    count: int = 10,
    label: int | str | None = None,
    seed: int = 0,
    ema: bool = True,
    checkpoint: str | int = "newest",
    device: str = "auto",
) -> Directions:
    """Find a generator's principal directions, and write them and a sheet of them.

    Args:
        model: whose G makes images of noise.
        out: a folder that is empty or not there yet. It gets `directions.png`, a row a direction,
            in which the first few of `Model.sample(seed=seed)` are moved by `STEPS`; and
            `directions.npz`, with vectors (count, latent_size) and shares (count,), the seed of
            the images in the sheet, and whose weights these are: checkpoint, the images that G had
            seen or -1 where that is not known, and ema.
        count: how many; no more than z has entries.
        label: the class of the images in the sheet.
        seed: decides these images.
        ema: the moving average of G's weights, and not G's own of the last step.
        checkpoint: "newest", "best", or the images seen at one of those kept.
        device: where G computes.

    Returns:
        What was found.

    Raises:
        UserError: `out` is not empty or cannot be written, the model makes points, the seed is
            more than the file can hold, or `Model.directions` or `Model.sample` refuses.
    """
    require_empty_folder(out)
    if not LEAST_SEED <= seed <= MOST_SEED:
        raise UserError(
            f"The seed was {seed}: expected one from {LEAST_SEED} to {MOST_SEED}, as {ARRAYS} "
            "holds it in 64 bits."
        )
    if model.spec.are_points:
        path = shlex.quote(str(model.path))
        raise UserError(
            f"'{model.path}' makes points in the plane, which make no sheet of images. Move them: "
            f"zerosum sample {path} --direction 1:+2, or zerosum play {path}, which has a slider "
            "for each direction."
        )
    if isinstance(model, Run):  # while it trains on, both halves are of the same weights
        checkpoint = model.directory.checkpoints.resolve(checkpoint)
    which: dict[str, Any] = {"ema": ema, "checkpoint": checkpoint, "device": device}
    height, width = model.spec.shape[1:]
    across = len(STEPS) * width * comfortable_scale(height, width)
    num_images = min(MOST_IMAGES, max(1, MOST_WIDTH // across))
    given = model.sample_with_inputs(num_images, label=label, seed=seed, **which)
    found = model.directions(count, **which)
    images = moved(model, found, given.z, given.classes, **which)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with whole_file(out / SHEET) as file:
            save_sheet(sheet(images, found), file)
        with whole_file(out / ARRAYS) as file:
            np.savez_compressed(
                file,
                vectors=found.vectors,
                shares=found.shares,
                seed=np.int64(seed),
                checkpoint=np.int64(checkpoint if isinstance(model, Run) else seen_by(model)),
                ema=np.bool_(ema),
            )
    except OSError as error:
        raise cannot_write(out, error) from None
    return found


def seen_by(model: Model) -> int:
    """The images that an exported G had seen when it was exported; -1 where it does not say."""
    seen = getattr(model, "facts", {}).get("seen")
    return seen if isinstance(seen, int) and 0 <= seen < 2**63 else -1


def moved(model: Model, found: Directions, z: Any, classes: Any, **which: Any) -> Pixels:
    """Move samples along each direction: uint8 (directions, samples, steps, h, w, c).

    Args:
        model: whose G makes the images.
        found: the directions.
        z: of the samples, (n, latent_size).
        classes: what G is told with them, (n, num_classes), or None.
        which: the weights of G, and where it computes.
    """
    moves = [
        [found.move({number: step}) for step in STEPS]
        for number in range(1, len(found.vectors) + 1)
    ]
    rows = z[None, :, None] + np.array(moves)[:, None]  # (directions, samples, steps, latent_size)
    told = None
    if classes is not None:
        told = np.broadcast_to(classes[None, :, None], (*rows.shape[:3], classes.shape[1]))
        told = told.reshape(-1, classes.shape[1])
    images = model.sample(z=rows.reshape(-1, rows.shape[-1]), classes=told, **which)
    return np.asarray(images).reshape(*rows.shape[:3], *images.shape[1:])


def sheet(images: Pixels, found: Directions) -> Image.Image:
    """A picture of samples that are moved along directions: a row a direction, a block a sample.

    Args:
        images: uint8 (directions, samples, steps, h, w, c).
        found: the directions, whose numbers and shares stand before the rows.
    """
    num_samples, num_steps = images.shape[1:3]
    scale = comfortable_scale(*images.shape[3:5])
    blocks = [
        grid(images[:, sample].reshape(-1, *images.shape[3:]), columns=num_steps, scale=scale)
        for sample in range(num_samples)
    ]
    width, height = blocks[0].size
    size = ROW_MARGIN + num_samples * (width + BETWEEN) - BETWEEN, MARGIN + height
    canvas = Image.new(blocks[0].mode, size, "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(LETTERS)
    for index, block in enumerate(blocks):
        left = ROW_MARGIN + index * (width + BETWEEN)
        canvas.paste(block, (left, MARGIN))
        for column, step in enumerate(STEPS):
            middle = left + (column + 0.5) * width / num_steps
            text = f"{step:+d}" if step else "0"
            draw.text((middle, MARGIN / 2), text, "black", font, anchor="mm")
    for row, share in enumerate(found.shares):
        middle = MARGIN + (row + 0.5) * height / len(found.shares)
        text = f"{row + 1} · {percent(share)}"
        draw.text((ROW_MARGIN - LETTERS, middle), text, "black", font, anchor="rm")
    return canvas


def percent(share: float) -> str:
    """A share as people read it, as the playground does: 35 %, 4.2 %."""
    return f"{100 * share:.{1 if share < 0.1 else 0}f} %"


def read_directions(path: Path) -> Directions:
    """Read the directions that `write_directions` wrote, or any with vectors of z.

    Vectors of one's own need neither shares nor the length 1.

    Raises:
        UserError: there is no such file, or it holds none.
    """
    expected = "expected an .npz with an array 'vectors' of shape (n, latent_size), as zerosum "
    expected += "directions writes it"
    try:
        with open_file(path) as file:
            found = open_arrays(file)
            if not isinstance(found, np.lib.npyio.NpzFile) or "vectors" not in found.files:
                raise UserError(f"'{path}' holds no directions: {expected}.")
            vectors = read_array(found, "vectors", path)
            shares = (
                read_array(found, "shares", path)
                if "shares" in found.files
                else np.zeros(vectors.shape[:1])
            )
    except UserError:
        raise
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"The directions '{path}' cannot be read: {reason}; {expected}.") from None
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not vectors.size:
        raise UserError(
            f"The vectors in '{path}' are {vectors.dtype} of shape {vectors.shape}: {expected}."
        )
    if shares.shape != vectors.shape[:1] or shares.dtype.kind != "f":
        raise UserError(
            f"The shares in '{path}' are {shares.dtype} of shape {shares.shape}: expected a float "
            f"for each of its {len(vectors)} directions."
        )
    return Directions(vectors.astype(np.float32), shares.astype(np.float32))
