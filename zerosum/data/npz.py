"""Images in a numpy archive (.npz) or array (.npy), such as other programs write, and `sample`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
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
from zerosum.data.report import Report, few_levels, values_in_words
from zerosum.data.splits import SPLITS
from zerosum.errors import UserError

EXPECTED = "expected an array 'images' of uint8 with the shape (n, h, w) or (n, h, w, c)"
# What numpy raises on damage, and on headers that announce more than fits into memory.
DAMAGE = (
    *(OSError, EOFError, ValueError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
MAX_CHANNELS = 16
SPELLINGS = (
    ("{split}_images", "{split}_labels"),
    ("images_{split}", "labels_{split}"),
    ("x_{split}", "y_{split}"),
    ("{split}_x", "{split}_y"),
)
"""How the arrays of a split are called: as MedMNIST has it, or Keras."""


def load_npz(path: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load the images of an .npz or .npy file, and its labels where there are any.

    Args:
        path: holds images (n, h, w), (n, h, w, c) or (n, c, h, w), c up to 16, as `images`, as
            `arr_0`, or as its only array of 3 or 4 dimensions; or points in the plane, floats
            (n, 2), as `points`; and maybe `labels` (n,), whole numbers or texts, and `classes`,
            the names of the classes 0, 1, .... Images are uint8, whole numbers of 16 bits, or, with
            `wanted.value_range`, of any number type. Where the last dimension can be channels, it
            is. Arrays may be of splits, `train_images`, `train_labels`, `test_images` and so on, or
            `x_train`, `y_train`.
        split: which one, of such a file.
        wanted: the shape to bring the images to.
        strict: means nothing here.

    Raises:
        UserError: the file is damaged or holds something else.
    """
    try:
        # Given the path, numpy leaves the file open when it is damaged.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                arrays = {"images": archive}
                return set_of_arrays(arrays, path, wanted=wanted, name=safe_name(path))
            arrays, held_out = of_split(archive, split)
            loaded = set_of_arrays(arrays, path, wanted=wanted, name=safe_name(path))
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(
            f"{path} is damaged, or holds pickled objects, which are never loaded: {error}. "
            f"{EXPECTED.capitalize()}."
        ) from error
    origin = f"{path}, its {split} split" if held_out else str(path)
    return replace(loaded, report=loaded.report.with_more(origin=origin, held_out=held_out))


def npz_has_splits(path: Path) -> bool:
    """Whether an .npz file holds arrays of a training and of a held-out split."""
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
    return find_split(names, "train") is not None and find_split(names, "val") is not None


def of_split(archive: np.lib.npyio.NpzFile[Any], split: str) -> tuple[dict[str, NDArray[Any]], str]:
    """Take what belongs to a split, under the names that arrays without splits have.

    Returns:
        The arrays, and what holds the held-out ones, "" where there are no splits.
    """
    names = set(archive.files)
    held_out = find_split(names, "val")
    found = find_split(names, split)
    if found is None or held_out is None or find_split(names, "train") is None:
        return {name: archive[name] for name in archive.files}, ""
    arrays = {"images": archive[found[0]]}
    if found[1] in names:
        arrays["labels"] = archive[found[1]]
    if "classes" in names:
        arrays["classes"] = archive["classes"]
    return arrays, f"{held_out[0]} in it"


def find_split(names: set[str], split: str) -> tuple[str, str] | None:
    """Find the names of a split's images and labels."""
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
        arrays: by name.
        source: what holds them, for messages.
        wanted: the shape to bring the images to.
        name: of the set.

    Raises:
        UserError: they are no images, or labels do not fit them.
    """
    if "points" in arrays:
        images, report = to_tensor(_points(arrays["points"], source, wanted)), Report()
    else:
        pixels, report = to_pixels(_choose(arrays, source), source, wanted)
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


def _choose(arrays: Mapping[str, NDArray[Any]], source: object) -> NDArray[Any]:
    """Find the array of images by its name, or by being the only one of its kind."""
    for name in ("images", "arr_0"):
        if name in arrays:
            return np.asarray(arrays[name])
    candidates = [array for array in arrays.values() if array.ndim in (3, 4)]
    if len(candidates) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise UserError(f"{source} holds {found}; {EXPECTED}.")
    return candidates[0]


def to_pixels(
    images: NDArray[Any], source: object, wanted: Format
) -> tuple[NDArray[np.uint8], Report]:
    """Check the images, and bring any accepted shape and type to uint8 (n, h, w, c).

    Raises:
        UserError: they have another shape, or values that could mean anything.
    """
    found = f"{images.dtype} of shape {images.shape}"
    if images.ndim == 3:
        images = images[..., np.newaxis]
    elif images.ndim == 4 and images.shape[3] not in MODES and images.shape[1] in MODES:
        images = images.transpose(0, 2, 3, 1)
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
    report = report_of_arrays((int(size[0]), int(size[1])), len(images), wanted)
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
