"""Images in a numpy archive (.npz), such as other programs and our own `sample` write."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zerosum.data.arrays import Pixels, Points
from zerosum.data.decode import MODES, Format, fit_array
from zerosum.data.images import ImageSet, safe_name, to_tensor
from zerosum.errors import UserError

EXPECTED = "expected an array 'images' of uint8 with the shape (n, h, w) or (n, h, w, c)"
# What numpy raises on damage, and on headers that announce more than fits into memory.
DAMAGE = (
    *(OSError, EOFError, ValueError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
MAX_CLASSES = 2**16  # a label beyond it is no class number but some other metric


def load_npz(path: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load the images of an .npz file, and its labels where there are any.

    Args:
        path: holds uint8 images (n, h, w), (n, h, w, c) or (n, c, h, w), c one of 1, 3 and 4, as
            `images`, as `arr_0`, or as its only array of 3 or 4 dimensions; or points in the
            plane, floats (n, 2), as `points`; and maybe integers (n,) as `labels`. Where the last
            dimension can be channels, it is.
        split: means nothing here.
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
                raise UserError(f"{path} is a single .npy array; {EXPECTED} in an .npz file.")
            if "points" in archive.files:
                images = to_tensor(_points(archive["points"], path, wanted))
            else:
                pixels = _channels_last(_choose(archive, path), path)
                images = torch.from_numpy(fit_array(pixels, wanted))
            labels = archive["labels"] if "labels" in archive.files else None
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(
            f"{path} is damaged, or holds pickled objects, which are never loaded: {error}. "
            f"{EXPECTED.capitalize()}."
        ) from error
    if labels is not None:
        _check_labels(labels, len(images), path)
    return ImageSet(
        images=images,
        labels=None if labels is None else torch.from_numpy(labels.astype(np.int64)),
        classes=() if labels is None else tuple(map(str, range(int(labels.max()) + 1))),
        name=safe_name(path),
    )


def _choose(archive: np.lib.npyio.NpzFile[Any], path: Path) -> NDArray[Any]:
    """Find the array of images by its name, or by being the only one of its kind."""
    for name in ("images", "arr_0"):
        if name in archive.files:
            return np.asarray(archive[name])
    arrays = {name: np.asarray(archive[name]) for name in archive.files}
    candidates = [array for array in arrays.values() if array.ndim in (3, 4)]
    if len(candidates) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise UserError(f"{path} holds {found}; {EXPECTED}.")
    return candidates[0]


def _channels_last(images: NDArray[Any], path: Path) -> Pixels:
    """Check the images, and bring any accepted shape to (n, h, w, c)."""
    found = f"{images.dtype} of shape {images.shape}"
    if images.dtype != np.uint8:
        raise UserError(
            f"{path} holds {found}; {EXPECTED}. Scale floats to 0…255 and round them first."
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    elif images.ndim == 4 and images.shape[3] not in MODES and images.shape[1] in MODES:
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[3] not in MODES or images.size == 0:
        raise UserError(f"{path} holds {found}; {EXPECTED}, c one of 1, 3 and 4, none of them 0.")
    return images


def _points(points: NDArray[Any], path: Path, wanted: Format) -> Points:
    """Check points in the plane, which need not be within [-1, 1]."""
    if wanted != Format():
        raise UserError(
            f"{path} holds points in the plane, which have no pixels. Leave --size and --channels "
            "out."
        )
    shaped = points.ndim == 2 and points.shape[1] == 2 and len(points) > 0
    if not shaped or points.dtype.kind != "f" or not np.isfinite(points).all():
        raise UserError(
            f"{path} holds points of {points.dtype} and the shape {points.shape}; expected finite "
            "floats of the shape (n, 2), n not 0."
        )
    return points.astype(np.float32)


def _check_labels(labels: NDArray[Any], num_images: int, path: Path) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (num_images,):
        raise UserError(
            f"The labels in {path} are {labels.dtype} of shape {labels.shape}; "
            f"expected integers of shape ({num_images},)."
        )
    if labels.min() < 0 or labels.max() >= MAX_CLASSES:
        raise UserError(
            f"The labels in {path} go from {labels.min()} to {labels.max()}; "
            f"expected class numbers from 0 to at most {MAX_CLASSES - 1}."
        )
