"""A run's samples as files: a picture, a folder, an array or a film."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zerosum.data.decode import MODES
from zerosum.errors import UserError
from zerosum.files import cannot_write
from zerosum.game.sampling import CHUNK
from zerosum.inference.model import DEFAULT_COUNT, Model
from zerosum.inference.run import print_notice
from zerosum.inference.sample_forms import (
    FORMS,
    Arrays,
    FormName,
    Naming,
    images_a_unit,
    is_unfinished,
    require_parquet,
)
from zerosum.inference.sample_sets import GO_ON, begun, not_empty, remove_set, write_set
from zerosum.inference.sampler import Sampler
from zerosum.inference.work_share import WorkShare, own_work_share
from zerosum.plots.film import FILMS, require_film, save_film
from zerosum.plots.grids import Presentation, save_sample, save_sheet, to_picture
from zerosum.training.torchrun import own_device

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
    form: FormName | None = None,
    count: int | None = None,
    seed: int = 0,
    z: NDArray[Any] | None = None,
    classes: NDArray[Any] | None = None,
    mix: tuple[int, int] | None = None,
    as_grid: bool = False,
    batch_size: int = CHUNK,
    **how: Any,
) -> str:
    """Make images and write them in the form that the file's name asks for.

    A folder or an `.npz` may be larger than memory. Where making one was stopped, the same call
    goes on with it; several processes, as torchrun starts them, share the work.

    Args:
        run: whose generator makes them; an exported one serves as well.
        out: `.png` for one picture of all, which of a single image is that image; `.gif`, `.webp`
            or `.mp4` for a walk through z that ends where it began; `.npz` for what `Run.sample`
            gives, with the latents as `z`, and where G was told classes `labels`, int64 (n,), or of
            mixtures `class_weights`, float32 (n, num_classes), and their names, `classes`; without
            a suffix, a folder.
        presentation: what the samples look like, of the run's task.
        form: what the folder holds: PNGs, named by index, seed and class, which is the default,
            or shards of them, see `sample_forms`.
        count: how many images; for a walk, how many walk side by side. None as for `Run.sample`.
        seed: decides z.
        z: the latents, instead of drawing them.
        classes: the class of each of these, as `Run.sample` takes them.
        mix: the numbers of two samples. `count` images lead from one to the other; in a film one
            image goes there and back.
        as_grid: whether a single image is laid out as several are, enlarged and with a border.
        batch_size: how many images G makes at a time, at most 256.
        how: what else `Run.sample` takes; of several processes each has a GPU of its own.

    Returns:
        What was written, in words; "" in a process that leaves it to another to say.

    Raises:
        UserError: the suffix is none of these, the folder holds other things or was begun
            otherwise, nothing can be written there, the samples are no images, or the run cannot
            be sampled.
    """
    walks_given = z is not None and mix is None
    require_out(out, presentation, form=form, walks_given=walks_given, as_grid=as_grid)
    how["device"] = own_device(str(how.get("device", "auto")))
    given = {"seed": seed, "z": z, "classes": classes, "mix": mix, "batch_size": batch_size, **how}
    suffix, share = out.suffix.lower(), own_work_share()
    if suffix in (".png", *FILMS) and share.rank > 0:
        return ""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if suffix in FILMS and mix is not None:
            made = run.sample_with_inputs(MIX_STEPS if count is None else count, **given)
            there = [presentation.picture(each[None], data=run.data) for each in made.samples]
            save_film([*there, *there[-2::-1]], out, frame_milliseconds=WALK_MILLISECONDS)
            return str(out)
        if suffix in FILMS:
            number = DEFAULT_COUNT if count is None else count
            frames = run.interpolate(WALK_STEPS, count=number, seed=seed, **how)
            pictures = [presentation.picture(samples, data=run.data) for samples in frames]
            save_film(pictures, out, frame_milliseconds=WALK_MILLISECONDS)
            return str(out)
        if suffix == ".png":
            samples = run.sample_with_inputs(count, **given).samples
            warn_of_channels(samples.shape[-1], presentation)
            one = len(samples) == 1 and not as_grid and not presentation.no_images
            if one:
                save_sample(to_picture(samples[0]), out)
            else:
                columns = None if mix is None else min(len(samples), MIX_COLUMNS)
                picture = presentation.picture(samples, data=run.data, columns=columns)
                save_sheet(picture, out)
            return str(out)
        sampler = run.sampler(count, **given)
        naming = Naming(
            seed=seed if z is None and mix is None else None,
            classes=run.classes,
            parts=class_parts(run.classes),
            labelled=sampler.one_hot,
        )
        if suffix == ".npz":
            return write_arrays(run, sampler, out, naming, presentation.array, given, share)
        if share.rank == 0:
            warn_of_channels(run.spec.shape[0], presentation)
        return write_folder(run, sampler, out, naming, form or "png", given, share)
    except OSError as error:
        raise cannot_write(out, error) from None


def write_folder(
    run: Model,
    sampler: Sampler,
    out: Path,
    naming: Naming,
    name: FormName,
    how: Mapping[str, Any],
    share: WorkShare,
) -> str:
    """Write a folder of PNGs or of shards; see `write_samples`."""
    kind = FORMS[name]
    if name == "parquet":
        require_parquet()
    form = kind(
        out, count=sampler.count, images_a_unit=images_a_unit(kind, run.spec.shape), naming=naming
    )
    before = write_set(sampler, form, decided_by(run, sampler, how), share)
    return "" if share.rank > 0 else result_in_words(out, form.count, before)


def write_arrays(
    run: Model,
    sampler: Sampler,
    out: Path,
    naming: Naming,
    array: str,
    how: Mapping[str, Any],
    share: WorkShare,
) -> str:
    """Write an `.npz`; of many samples in parts, which are then joined; see `write_samples`."""
    folder = out.with_name(f"{out.name}.parts")
    size = images_a_unit(Arrays, run.spec.shape)
    form = Arrays(folder, count=sampler.count, images_a_unit=size, naming=naming, array=array)
    if form.num_units == 1 and not begun(folder):
        if share.rank == 0:
            whole = form.arrays_of(sampler.pieces(*form.bounds(0)))
            form.join(out, lambda unit: whole)
        return "" if share.rank > 0 else str(out)
    before = write_set(sampler, form, decided_by(run, sampler, how), share)
    if share.rank > 0:
        return ""
    try:
        form.join(out, form.read)
    except OSError as error:
        raise cannot_write(out, error, GO_ON) from None
    remove_set(form)
    return result_in_words(out, form.count, before)


def result_in_words(out: Path, count: int, before: int) -> str:
    """What was written of a set of samples."""
    there = f", of which {before:,} were there" if before else ""
    return f"{out}: {count:,} images{there}"


def decided_by(run: Model, sampler: Sampler, how: Mapping[str, Any]) -> dict[str, Any]:
    """What decides samples beside G's weights and their number, as JSON can tell it."""
    told = {name: value for name, value in how.items() if value is not None}
    for better_known in ("ema", "checkpoint", "z", "classes", "mix", "directions", "along"):
        told.pop(better_known, None)  # by the sha256 of the weights, and of what is given
    if (given := sampler.fingerprint_of_given()) is not None:
        told["given_sha256"] = given
    told["device"] = run.choose_device(str(told.get("device", "auto"))).type
    return told


def warn_of_channels(channels: int, presentation: Presentation) -> None:
    """Say that pictures do not show all channels of the samples, where they do not."""
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


def require_out(
    out: Path,
    presentation: Presentation,
    *,
    form: FormName | None,
    walks_given: bool,
    as_grid: bool,
) -> None:
    """Refuse, before any work, a place for samples that would not do.

    Raises:
        UserError: it would not; the message says why.
    """
    suffix = out.suffix.lower()
    if suffix not in ("", ".png", ".npz", *FILMS):
        raise UserError(
            f"Samples cannot be written as '{out.name}': expected a name that ends in {ENDINGS}, "
            "or a folder's name without a suffix. For shards, tars or Parquet, name a folder and "
            "add --format."
        )
    if form is not None and suffix:
        raise UserError(
            f"--format {form} is for what a folder holds, and '{out.name}' is a file's name. Leave "
            "one of the two out."
        )
    # In this order: another process may just begin the set, whose record comes before its images.
    if suffix == "" and out.is_dir() and any(map(foreign, out.iterdir())) and not begun(out):
        raise not_empty(out)
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


def foreign(path: Path) -> bool:
    """Whether a file is none that a process left half written."""
    return not is_unfinished(path.name)
