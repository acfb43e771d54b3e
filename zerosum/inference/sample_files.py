"""A run's samples as files: a picture, a folder, an array or a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zerosum.errors import UserError
from zerosum.files import cannot_write
from zerosum.inference.run import Run
from zerosum.plots.film import save_film
from zerosum.plots.grids import Presentation, to_picture

WALK_STEPS = 60
WALK_MILLISECONDS = 80


def write_samples(
    run: Run,
    out: Path,
    *,
    presentation: Presentation,
    count: int,
    label: int | None = None,
    **how: Any,
) -> None:
    """Make images and write them in the form that the file's name asks for.

    Args:
        run: whose generator makes them.
        out: `.png` for one picture of all; `.gif` for a walk through z that ends where it began;
            `.npz` for what `Run.sample` gives, and where G was told classes `labels`, int64 (n,);
            without a suffix, a folder of PNGs.
        presentation: what the samples look like, of the run's task.
        count: how many images; for a walk, how many walk side by side.
        label: the class of all of them; None for all classes in turn.
        how: what else `Run.sample` takes.

    Raises:
        UserError: the suffix is none of these, the folder is not empty, nothing can be written
            there, the samples are no images, or the run cannot be sampled.
    """
    suffix = out.suffix.lower()
    if suffix not in ("", ".png", ".gif", ".npz"):
        raise UserError(
            f"Samples cannot be written as '{out.name}': expected a name that ends in .png, .gif "
            "or .npz, or a folder's name without a suffix."
        )
    if suffix == "" and out.is_dir() and any(out.iterdir()):
        raise UserError(
            f"The folder '{out}' is not empty: samples would mix with what is there. Choose "
            "another with --out."
        )
    if suffix == "" and presentation.no_images:
        raise UserError(
            f"{presentation.no_images} and make no folder of images. Choose a name for --out that "
            "ends in .png, .gif or .npz."
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".gif":
            frames = run.interpolate(WALK_STEPS, count=count, label=label, **how)
            pictures = [presentation.picture(samples, data=run.config.data) for samples in frames]
            save_film(pictures, out, frame_milliseconds=WALK_MILLISECONDS)
            return
        samples = run.sample(count, label=label, **how)
        if suffix == ".png":
            presentation.picture(samples, data=run.config.data).save(out, format="PNG")
        elif suffix == ".npz":
            labels = run.labels(count, label=label)
            arrays: dict[str, Any] = {presentation.array: samples}
            if labels is not None:
                arrays["labels"] = labels
            np.savez_compressed(out, **arrays)
        else:
            out.mkdir(exist_ok=True)
            for index, image in enumerate(samples):
                to_picture(image).save(out / f"{index:06d}.png", format="PNG")
    except OSError as error:
        raise cannot_write(out, error) from None
