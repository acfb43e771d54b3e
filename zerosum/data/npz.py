"""Images in a numpy archive (.npz) or array (.npy), such as other programs write, and `sample`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zerosum.data.arrays import Pixels, Points
from zerosum.data.decode import (
    MODES,
    Format,
    Undecodable,
    fit_array,
    report_of_arrays,
    to_eight_bits,
)
from zerosum.data.images import ImageSet, safe_name, to_tensor
from zerosum.data.labels import index_labels
from zerosum.data.names import printable
from zerosum.data.npz_members import form_of, open_arrays, read_array
from zerosum.data.report import Note, Report, few_levels, values_in_words
from zerosum.data.splits import HELD_OUT, SPLITS
from zerosum.errors import UserError, and_more, unknown_name
from zerosum.hardware import SMALLER
from zerosum.reading import open_file

EXPECTED = (
    "expected an array 'images' of uint8 with the shape (n, h, w), (n, h, w, c) or (n, c, h, w)"
)
# What numpy raises on damage, and on headers that announce more than fits into memory.
DAMAGE = (
    *(OSError, EOFError, ValueError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
MAX_CHANNELS = 16
CHANNELS_LAST, CHANNELS_FIRST = "NHWC", "NCHW"
"""What an array `layout` may say of the order of the dimensions of `images`."""
IMAGES, LABELS = ("images", "x", "arr_0"), ("labels", "label", "y")
"""How images without splits are called, and their labels."""
SPELLINGS = (
    ("{split}_images", "{split}_labels"),
    ("images_{split}", "labels_{split}"),
    ("x_{split}", "y_{split}"),
    ("{split}_x", "{split}_y"),
)
"""How the arrays of a split are called: as MedMNIST has it, or Keras."""
SPELLED = (
    f"Images may be called {', '.join(IMAGES[:-1])} or {IMAGES[-1]}, or be the only array of 3 or "
    f"4 dimensions, and their labels {', '.join(LABELS[:-1])} or {LABELS[-1]}; of splits "
    + ", ".join(" and ".join(pair).format(split="train") for pair in SPELLINGS)
    + ", and so on with val or test; in letters of either case."
)
MOST_NAMED = 10
"""Arrays that are not used, of which a report has the names."""


def load_npz(path: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load the images of an .npz or .npy file, and its labels where there are any.

    Args:
        path: holds images (n, h, w), (n, h, w, c) or (n, c, h, w), c up to 16, as `images`, as `x`
            or `arr_0`, or as its only array of 3 or 4 dimensions; or points in the plane, floats
            (n, 2), as `points`; and maybe `labels` (n,), `label` or `y`, whole numbers or texts,
            and `classes`, the names of the classes 0, 1, .... Images are uint8, whole numbers of
            16 bits, or, with `wanted.value_range`, of any number type. Where the channels are
            follows from the shape, see `find_channels`, or from `layout`, the text NHWC or NCHW.
            Arrays may be of splits, `train_images`, `train_labels`, `test_images` and so on, or
            `x_train`, `y_train`. Names are read in letters of either case; arrays of other names
            are left out, which the report says.
        split: which one, of such a file.
        wanted: the shape to bring the images to.
        strict: means nothing here.

    Raises:
        UserError: the file is damaged or holds something else.
    """
    try:
        # Given the path, numpy leaves the file open when it is damaged.
        with open_file(path) as file:
            archive = open_arrays(file)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                arrays = {"images": archive}
                return set_of_arrays(arrays, path, wanted=wanted, name=safe_name(path))
            names, held_out = choose_arrays(archive, split, path)
            arrays = {meaning: read_array(archive, name, path) for meaning, name in names.items()}
            if wanted.value_range == "auto" and held_out:  # of what is trained on, for every split
                of_train = choose_arrays(archive, "train", path)[0]["images"]
                to_train = read_array(archive, of_train, path)
                if to_train.dtype != np.uint8:
                    lowest, highest = float(np.nanmin(to_train)), float(np.nanmax(to_train))
                    wanted = replace(wanted, value_range=(lowest, highest))
            loaded = set_of_arrays(arrays, path, wanted=wanted, name=safe_name(path))
            left_out = unused(archive.files, used=names.values())
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path} holds more than there is memory for. {SMALLER}") from error
    except DAMAGE as error:
        raise UserError(
            f"{path} is damaged, or holds pickled objects, which are never loaded: {error}. "
            f"{EXPECTED.capitalize()}."
        ) from error
    origin = f"{path}, its {split} split" if held_out else str(path)
    return replace(
        loaded, report=loaded.report.with_more(origin=origin, held_out=held_out, left_out=left_out)
    )


def npz_has_splits(path: Path) -> bool:
    """Whether an .npz file holds arrays of a training and of a held-out split."""
    if path.suffix.lower() != ".npz":
        return False
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            found = archive.namelist()
    except (OSError, zipfile.BadZipFile):  # which whoever reads its images tells
        return False
    names = spelled([name.removesuffix(".npy") for name in found])
    return find_split(names, "train") is not None and find_split(names, "val") is not None


def choose_arrays(
    archive: np.lib.npyio.NpzFile[Any], split: str, source: object
) -> tuple[dict[str, str], str]:
    """Choose the arrays of a split.

    Returns:
        The names in the file of `images` or `points`, and of `labels`, `classes` and `layout` where
        there are any; and what holds the held-out images, "" where there are no splits.

    Raises:
        UserError: none, or several, may be the images.
    """
    names = spelled(archive.files)
    chosen: dict[str, str] = {key: names[key] for key in ("classes", "layout") if key in names}
    to_train, held_out = find_split(names, "train"), find_split(names, "val")
    if to_train and held_out:
        images, labels = find_split(names, split) or to_train
        chosen["images"] = names[images]
        if labels in names:
            chosen["labels"] = names[labels]
        return chosen, f"{names[held_out[0]]} in it"
    own_labels: tuple[str, ...] = LABELS
    if "points" in names:
        chosen["points"] = names["points"]
    elif "images" in names:
        chosen["images"] = names["images"]
    elif one := to_train or held_out:
        chosen["images"], own_labels = names[one[0]], (one[1], *LABELS)
    else:
        chosen["images"] = only_images(archive, names, source)
    found = next((names[key] for key in own_labels if key in names), None)
    if found is not None:
        chosen["labels"] = found
    return chosen, ""


def only_images(
    archive: np.lib.npyio.NpzFile[Any], names: Mapping[str, str], source: object
) -> str:
    """Find the array of images by a name that others have too, or by being the only one."""
    dimensions = {name: form_of(archive, name)[0] for name in archive.files}
    candidates = [name for name, shape in dimensions.items() if len(shape) in (3, 4)]
    for key in IMAGES:
        if names.get(key) in candidates:
            return names[key]
    if len(candidates) != 1:
        found = [f"{name} {shape}" for name, shape in dimensions.items()]
        raise UserError(
            f"{source} holds {and_more(found, MOST_NAMED) or 'nothing'}; {EXPECTED}. {SPELLED}"
        )
    return candidates[0]


def spelled(names: Iterable[str]) -> dict[str, str]:
    """Names by themselves in small letters; where several are alike, the first in small letters."""
    return {name.lower(): name for name in sorted(names)}


def unused(names: Sequence[str], *, used: Iterable[str]) -> list[Note]:
    """Name the arrays that are neither used nor another split's."""
    by_key = spelled(names)
    of_splits = {
        by_key.get(name.format(split=folder))
        for folder in SPLITS["train"] + HELD_OUT
        for pair in SPELLINGS
        for name in pair
    }
    has_splits = find_split(by_key, "train") is not None and find_split(by_key, "val") is not None
    left = [name for name in names if name not in used and not (has_splits and name in of_splits)]
    if not left:
        return []
    named = ", ".join(map(printable, left[:MOST_NAMED]))
    more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
    return [Note(what=f"of its arrays, not read: {named}{more}", count=len(left), example="")]


def find_split(names: Container[str], split: str) -> tuple[str, str] | None:
    """Find the names, in small letters, of a split's images and labels."""
    for folder in SPLITS[split]:
        for images, labels in SPELLINGS:
            if images.format(split=folder) in names:
                return images.format(split=folder), labels.format(split=folder)
    return None


def set_of_arrays(
    arrays: Mapping[str, NDArray[Any]], source: object, *, wanted: Format, name: str
) -> ImageSet:
    """Make a set of images, labels and the names of classes, or of points, see `load_npz`.

    Args:
        arrays: by what they are, see `choose_arrays`.
        source: what holds them, for messages.
        wanted: the shape to bring the images to.
        name: of the set.

    Raises:
        UserError: they are no images, or labels do not fit them.
    """
    if "points" in arrays:
        images, report = to_tensor(_points(arrays["points"], source, wanted)), Report()
    else:
        pixels, report = to_pixels(
            np.asarray(arrays["images"]), source, wanted, layout=str(arrays.get("layout", ""))
        )
        images = torch.from_numpy(fit_array(pixels, wanted))
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    if "labels" in arrays:
        values = np.asarray(arrays["labels"])
        if values.shape == (len(images), 1):
            values = values[:, 0]
        if values.shape != (len(images),):
            raise UserError(
                f"The labels in {source} are {values.dtype} of shape {values.shape}; "
                f"expected one for each image, of shape ({len(images)},)."
            )
        names = [str(each) for each in arrays["classes"]] if "classes" in arrays else None
        labels, classes = index_labels(values, names=names, source=source)
    return ImageSet(images=images, labels=labels, classes=classes, name=name, report=report)


def to_pixels(
    images: NDArray[Any], source: object, wanted: Format, *, layout: str = ""
) -> tuple[NDArray[np.uint8], Report]:
    """Check the images, and bring any accepted shape and type to uint8 (n, h, w, c).

    Args:
        images: see `load_npz`.
        source: what holds them, for messages.
        wanted: the shape to bring them to.
        layout: the order of their dimensions; "" finds it.

    Raises:
        UserError: they have another shape, or values that could mean anything.
    """
    found = f"{images.dtype} of shape {images.shape}"
    guess: list[str] = []
    if images.ndim == 3:
        images = images[..., np.newaxis]
    elif images.ndim == 4:
        images, guess = with_channels_last(images, layout)
    if images.ndim != 4 or images.size == 0 or not images.shape[3] <= MAX_CHANNELS:
        raise UserError(
            f"{source} holds {found}; {EXPECTED}, c up to {MAX_CHANNELS}, none of them 0."
        )
    if images.shape[3] not in MODES and wanted.channels is not None:
        raise UserError(
            f"{source} holds images of {images.shape[3]} channels, which are no colours and cannot "
            f"be brought to {wanted.channels}. Leave --channels out."
        )
    size = images.shape[1:3]
    report = report_of_arrays((int(size[0]), int(size[1])), len(images), wanted).with_more(
        warnings=guess
    )
    if images.dtype == np.uint8:
        if wanted.value_range is not None:
            raise UserError(
                f"--range would change nothing: {source} holds pixels of 8 bits. Leave it out."
            )
        return images, report.with_more(warnings=flat(images, ""))
    if images.dtype.kind not in "iufb":
        raise UserError(f"{source} holds {found}; {EXPECTED}.")
    lowest, highest = float(np.nanmin(images)), float(np.nanmax(images))
    if wanted.value_range is None and images.dtype != np.uint16:
        low, high = suggested_range(lowest, highest)
        raise UserError(
            f"{source} holds {found}, with values from {lowest:g} to {highest:g}. Say which of "
            f"them are black and white, as --range {low:g}:{high:g}, or --range auto."
        )
    try:
        pixels = to_eight_bits(images, wanted.value_range)
    except Undecodable as problem:
        raise UserError(f"{source} holds {problem}.") from None
    values = values_in_words(lowest, highest, 65535, wanted.value_range)
    return pixels, report.with_more(values=values, warnings=flat(pixels, values))


def with_channels_last(images: NDArray[Any], layout: str) -> tuple[NDArray[Any], list[str]]:
    """Bring images (n, h, w, c) or (n, c, h, w) to the former.

    Returns:
        The images, and a warning where their order was a guess.

    Raises:
        UserError: nobody knows such a layout.
    """
    if layout not in ("", CHANNELS_LAST, CHANNELS_FIRST):
        raise unknown_name("layout", layout, (CHANNELS_LAST, CHANNELS_FIRST))
    axis, is_guess = find_channels(images.shape)
    if layout:
        axis, is_guess = (3 if layout == CHANNELS_LAST else 1), False
    brought = images if axis == 3 else images.transpose(0, 2, 3, 1)
    if not is_guess:
        return brought, []
    order, other = (CHANNELS_LAST, CHANNELS_FIRST)[:: 1 if axis == 3 else -1]
    _, height, width, channels = brought.shape
    return brought, [
        f"Images of shape {images.shape} may have their channels last or first: they are read as "
        f"{order}, {height}×{width} pixels of {channels} channels. If that is wrong, keep them in "
        f"an .npz with a second array, layout='{other}'."
    ]


def find_channels(shape: Sequence[int]) -> tuple[int, bool]:
    """Find which dimension of images (n, h, w, c) or (n, c, h, w) is the channels: 3 or 1.

    It is the one of up to 16. Of two such, it is the last if that is 1, 3 or 4, else the second if
    that is; else the smaller one, if that makes images square, else the last.

    Returns:
        The dimension, and whether it is a guess: both may be channels, and both or neither are
        those of gray, RGB or RGBA.
    """
    second, last = shape[1], shape[3]
    if second > MAX_CHANNELS or last > MAX_CHANNELS:
        return (1 if second <= MAX_CHANNELS else 3), False
    if last in MODES or second in MODES:
        return (3 if last in MODES else 1), last in MODES and second in MODES
    return (1 if second < last == shape[2] else 3), True


def flat(pixels: Pixels, values: str) -> list[str]:
    """Warn of images that are nearly flat, see `few_levels`."""
    brightest = int(pixels.max())
    warning = few_levels(len(pixels), brightest, brightest - int(pixels.min()) + 1, values)
    return [warning] if warning else []


def suggested_range(lowest: float, highest: float) -> tuple[float, float]:
    """The range that values most likely have: 0 to 1, -1 to 1, 0 to 255, or their own."""
    for low, high in ((0, 1), (-1, 1), (0, 255)):
        if low <= lowest and highest <= high:
            return low, high
    return lowest, highest


def _points(points: NDArray[Any], source: object, wanted: Format) -> Points:
    """Check points in the plane, which need not be within [-1, 1]."""
    if wanted != Format():
        raise UserError(
            f"{source} holds points in the plane, which have no pixels. Leave --size, --channels, "
            "--fit and --range out."
        )
    shaped = points.ndim == 2 and points.shape[1] == 2 and len(points) > 0
    if not shaped or points.dtype.kind != "f" or not np.isfinite(points).all():
        raise UserError(
            f"{source} holds points of {points.dtype} and the shape {points.shape}; expected "
            "finite floats of the shape (n, 2), n not 0."
        )
    return points.astype(np.float32)
