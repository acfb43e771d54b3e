"""A run's samples as files: a grid, a folder, an array or a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zerosum.arrays import Pixels
from zerosum.errors import UserError
from zerosum.reporting.film import save_film
from zerosum.reporting.grids import comfortable_scale, grid, to_picture
from zerosum.run import Run

WALK_STEPS = 60
WALK_MILLISECONDS = 80


def write_samples(
    run: Run, out: Path, *, count: int, seed: int, raw: bool, checkpoint: str
) -> Path:
    """Make images and write them in the form that the file's name asks for.

    Args:
        run: whose generator makes them.
        out: `.png` for one grid; `.gif` for a walk through z that ends where it began; `.npz` for
            the array `images`, uint8 (n, h, w, c); without a suffix, a folder of PNGs.
        count: how many images; for a walk, how many walk side by side.
        seed: decides z.
        raw: use G's own weights instead of their moving average.
        checkpoint: as `Run.sample` takes it.

    Raises:
        UserError: the suffix is none of these, the folder is not empty, nothing can be written
            there, or the run cannot be sampled.
    """
    writers = {".png": write_grid, ".npz": write_array, "": write_folder}
    suffix = out.suffix.lower()
    if suffix not in {*writers, ".gif"}:
        raise UserError(
            f"Samples cannot be written as '{out.name}': expected a name that ends in .png, .gif "
            "or .npz, or a folder's name without a suffix."
        )
    if suffix == "" and out.is_dir() and any(out.iterdir()):
        raise UserError(
            f"The folder '{out}' is not empty: samples would mix with what is there. Choose "
            "another with --out."
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".gif":
            frames = run.interpolate(
                WALK_STEPS, count=count, seed=seed, raw=raw, checkpoint=checkpoint
            )
            write_walk(frames, out)
        else:
            images = run.sample(count, seed=seed, raw=raw, checkpoint=checkpoint)
            writers[suffix](images, out)
    except OSError as error:
        raise UserError(
            f"Could not write '{out}': {error.strerror}. Choose another place with --out."
        ) from None
    return out


def write_grid(images: Pixels, out: Path) -> None:
    """Write one picture of all images."""
    grid(images, scale=comfortable_scale(*images.shape[1:3])).save(out, format="PNG")


def write_array(images: Pixels, out: Path) -> None:
    """Write the array `images`, compressed."""
    np.savez_compressed(out, images=images)


def write_folder(images: Pixels, out: Path) -> None:
    """Write one PNG an image, numbered from 0."""
    out.mkdir(exist_ok=True)
    for index, image in enumerate(images):
        to_picture(image).save(out / f"{index:06d}.png", format="PNG")


def write_walk(frames: Pixels, out: Path) -> None:
    """Write a film of grids, from uint8 (steps, n, h, w, c)."""
    scale = comfortable_scale(*frames.shape[2:4])
    pictures = [grid(images, scale=scale) for images in frames]
    save_film(pictures, out, frame_milliseconds=WALK_MILLISECONDS)
