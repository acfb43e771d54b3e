"""A run's samples as files: a picture, a folder, an array or a film."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerosum.data.arrays import Samples
from zerosum.data.decode import MODES
from zerosum.errors import UserError
from zerosum.files import cannot_write
from zerosum.inference.model import DEFAULT_COUNT, Model, Sampled
from zerosum.inference.run import print_notice
from zerosum.plots.film import FILMS, require_film, save_film
from zerosum.plots.grids import Presentation, save_sample, save_sheet, to_picture

WALK_STEPS = 60
WALK_MILLISECONDS = 80
MIX_STEPS = WALK_STEPS // 2 + 1
"""Of a film that goes to another sample and back."""
MIX_COLUMNS = 16
"""Images that lead from a sample to another stand in one row, if there are no more of them."""
MAX_PART = 48
"""Letters of a class in a file's name, which may have 255 bytes, up to four a letter."""
ENDINGS = ".png, .npz, .gif, .webp or .mp4"


def write_samples(
    run: Model,
    out: Path,
    *,
    presentation: Presentation,
    count: int | None = None,
    seed: int = 0,
    z: NDArray[Any] | None = None,
    classes: NDArray[Any] | None = None,
    mix: tuple[int, int] | None = None,
    as_grid: bool = False,
    **how: Any,
) -> None:
    """Make images and write them in the form that the file's name asks for.

    Args:
        run: whose generator makes them; an exported one serves as well.
        out: `.png` for one picture of all, which of a single image is that image; `.gif`, `.webp`
            or `.mp4` for a walk through z that ends where it began; `.npz` for what `Run.sample`
            gives, with the latents as `z`, and where G was told classes `labels`, int64 (n,), or of
            mixtures `class_weights`, float32 (n, num_classes), and their names, `classes`; without
            a suffix, a folder of PNGs, named by index, seed and class.
        presentation: what the samples look like, of the run's task.
        count: how many images; for a walk, how many walk side by side. None as for `Run.sample`.
        seed: decides z.
        z: the latents, instead of drawing them.
        classes: the class of each of these, as `Run.sample` takes them.
        mix: the numbers of two samples. `count` images lead from one to the other; in a film one
            image goes there and back.
        as_grid: whether a single image is laid out as several are, enlarged and with a border.
        how: what else `Run.sample` takes.

    Raises:
        UserError: the suffix is none of these, the folder is not empty, nothing can be written
            there, the samples are no images, or the run cannot be sampled.
    """
    walks_given = z is not None and mix is None
    require_out(out, presentation, walks_given=walks_given, as_grid=as_grid)
    given: dict[str, Any] = {"seed": seed, "z": z, "classes": classes, "mix": mix, **how}
    suffix = out.suffix.lower()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if suffix in FILMS and mix is not None:
            made = run.sample_with_inputs(MIX_STEPS if count is None else count, **given)
            there = [presentation.picture(each[None], data=run.data) for each in made.samples]
            save_film([*there, *there[-2::-1]], out, frame_milliseconds=WALK_MILLISECONDS)
            return
        if suffix in FILMS:
            number = DEFAULT_COUNT if count is None else count
            frames = run.interpolate(WALK_STEPS, count=number, seed=seed, **how)
            pictures = [presentation.picture(samples, data=run.data) for samples in frames]
            save_film(pictures, out, frame_milliseconds=WALK_MILLISECONDS)
            return
        made = run.sample_with_inputs(count, **given)
        if suffix == ".png":
            warn_of_channels(made.samples, presentation)
            one = len(made.samples) == 1 and not as_grid and not presentation.no_images
            if one:
                save_sample(to_picture(made.samples[0]), out)
            else:
                columns = None if mix is None else min(len(made.samples), MIX_COLUMNS)
                picture = presentation.picture(made.samples, data=run.data, columns=columns)
                save_sheet(picture, out)
        elif suffix == ".npz":
            arrays: dict[str, Any] = arrays_of(made, run.classes, presentation.array)
            np.savez_compressed(out, **arrays)
        else:
            out.mkdir(exist_ok=True)
            warn_of_channels(made.samples, presentation)
            names = classes_of(made, run.classes)
            drawn_by = f"_seed{seed}" if z is None and mix is None else ""
            parts = class_parts(run.classes)
            for index, image in enumerate(made.samples):
                part = parts[names[index]] if names else ""
                file = f"{index:06d}{drawn_by}{'_' * bool(part)}{part}.png"
                save_sample(to_picture(image), out / file)
    except OSError as error:
        raise cannot_write(out, error) from None


def warn_of_channels(samples: Samples, presentation: Presentation) -> None:
    """Say that pictures do not show all channels of the samples, where they do not."""
    channels = samples.shape[-1]
    if not presentation.no_images and channels not in MODES:
        print_notice(
            f"Pictures show the first {min(channels, 3)} of the {channels} channels; an .npz has "
            "all of them (--out FILE.npz)."
            if channels > 3
            else "Pictures show the 2 channels as red and green, and the first as blue too; an "
            ".npz has them as they are (--out FILE.npz)."
        )


def class_parts(classes: Sequence[str]) -> dict[str, str]:
    """Make a part of a file name of each class, which tells it from the others.

    Letters of any script stay, and the sign of a number. Where nothing is left of a name, or the
    same of two, the class's index is added.
    """
    parts = [class_part(name) for name in classes]
    unclear = {part for part, times in Counter(parts).items() if times > 1 or not part}
    numbered = [
        f"{part}_{index}".strip("_") if part in unclear else part
        for index, part in enumerate(parts)
    ]
    if len(set(numbered)) < len(classes):  # a name may look like another with its index
        numbered = [f"{index}_{part}".strip("_") for index, part in enumerate(parts)]
    return dict(zip(classes, numbered, strict=True))


def class_part(name: str) -> str:
    """Make a class's name safe as a part of a file name; "" where nothing of it is."""
    if re.fullmatch(r"[-+]\d[\w.]*", name):
        return name[:MAX_PART].rstrip(".")
    # Marks are the vowels of some scripts, and no \w.
    kept = [
        each if unicodedata.category(each)[0] in "LMN" or each in "_.-" else " " for each in name
    ]
    return re.sub(r" +", "-", "".join(kept)).strip("-.")[:MAX_PART]


def require_out(out: Path, presentation: Presentation, *, walks_given: bool, as_grid: bool) -> None:
    """Refuse, before any work, a place for samples that would not do.

    Raises:
        UserError: it would not; the message says why.
    """
    suffix = out.suffix.lower()
    if suffix not in ("", ".png", ".npz", *FILMS):
        raise UserError(
            f"Samples cannot be written as '{out.name}': expected a name that ends in {ENDINGS}, "
            "or a folder's name without a suffix."
        )
    if suffix == "" and out.is_dir() and any(out.iterdir()):
        raise UserError(
            f"The folder '{out}' is not empty: samples would mix with what is there. Choose "
            "another with --out."
        )
    if suffix == "" and presentation.no_images:
        raise UserError(
            f"{presentation.no_images} and make no folder of images. Choose a name for --out that "
            f"ends in {ENDINGS}."
        )
    if as_grid and (suffix != ".png" or presentation.no_images):
        why = presentation.no_images or f"'{out.name}' is none"
        raise UserError(f"--grid is for a .png of images: {why}. Leave it out.")
    if suffix in FILMS:
        if walks_given:
            raise UserError(
                "A film walks through z of its own: received --z too. Leave it out, say with --mix "
                "between which of them it shall go, or choose a name that ends in .png or .npz."
            )
        require_film(out)


def arrays_of(made: Sampled, names: tuple[str, ...], array: str) -> dict[str, NDArray[Any]]:
    """What an .npz of samples holds, which are called `array` in it."""
    arrays = {array: made.samples, "z": made.z}
    if classes_of(made, names):
        assert made.classes is not None
        arrays["labels"] = made.classes.argmax(axis=1).astype(np.int64)
    elif made.classes is not None:
        arrays["class_weights"] = made.classes
    if made.classes is not None:
        arrays["classes"] = np.array(names)
    return arrays


def classes_of(made: Sampled, names: tuple[str, ...]) -> list[str]:
    """The name of each sample's class; [] where G is told none, or a mix of several."""
    if made.classes is None or made.classes.max(axis=1).min() < 1:
        return []
    return [names[index] for index in made.classes.argmax(axis=1)]
