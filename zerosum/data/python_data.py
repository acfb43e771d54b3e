"""Images that a Python program has already: arrays, tensors, datasets of torch.

They are kept as a file in the cache, named by their content, so that a run of them is resumed and
evaluated like any other, from the command line too.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from zerosum.data.images import ImageSet, to_array
from zerosum.errors import UserError, shown
from zerosum.files import cache_folder, cannot_write, write_whole

EXPECTED = (
    "Expected a data set's name, a path, images as an array (n, h, w) or (n, h, w, c) or a tensor "
    "(n, c, h, w), a pair (images, labels), or a torch Dataset of such images."
)


def keep_python_data(data: Any) -> Path:
    """Keep images of a Python program as an .npz, which `zerosum.data.load` reads.

    Args:
        data: images, uint8 or floats in [0, 1] or [-1, 1], as an array (n, h, w) or (n, h, w, c) or
            a tensor (n, c, h, w); or (images, labels); or an `ImageSet`; or a torch Dataset, whose
            items are images of one size, PIL's among them, or (image, label).

    Returns:
        The file.

    Raises:
        UserError: it is nothing of that kind, or the cache cannot be written.
    """
    arrays = arrays_of(data)
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(
            np.ascontiguousarray(array).data
            if array.dtype.kind != "U"
            else "\0".join(array.tolist()).encode()
        )
    path = cache_folder() / "arrays" / f"array-{digest.hexdigest()[:12]}.npz"
    if not path.is_file():
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content.getvalue())
        except OSError as error:
            advice = "Choose another cache folder with the environment variable ZEROSUM_CACHE."
            raise cannot_write(path, error, advice) from None
    return path


def arrays_of(data: Any) -> dict[str, NDArray[Any]]:
    """Take images, and labels and the names of classes where there are any, as `load_npz` does."""
    labels: Any = None
    classes: Sequence[str] = ()
    if isinstance(data, ImageSet):
        labels, classes = data.labels, data.classes
        images: Any = to_array(data.images)
        if data.spec.are_points:
            return {"points": images}
    elif isinstance(data, tuple) and len(data) == 2:
        images, labels = data
        images = pixels_of(images)
    elif isinstance(data, np.ndarray | Tensor):
        images = pixels_of(data)
    elif hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, dict):
        images, labels = items_of(data)
        classes = getattr(data, "classes", ())
    else:
        raise UserError(f"The data: received {shown(data)}. {EXPECTED}")
    arrays = {"images": images}
    if labels is not None:
        numbers = labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels)
        if numbers.shape != (len(images),):
            raise UserError(
                f"The labels are {numbers.dtype} of shape {numbers.shape}: expected one for each "
                f"of the {len(images):,} images."
            )
        arrays["labels"] = numbers
    if labels is not None and len(classes):
        arrays["classes"] = np.array([str(name) for name in classes])
    return arrays


def items_of(dataset: Any) -> tuple[NDArray[np.uint8], list[Any] | None]:
    """Collect the images of a torch Dataset, or of any sequence, and their labels."""
    images: list[NDArray[np.uint8]] = []
    labels: list[Any] = []
    for index in range(len(dataset)):
        item = dataset[index]
        if isinstance(item, tuple | list) and item:
            labels.append(item[1] if len(item) > 1 else None)
            item = item[0]
        image = np.asarray(item) if isinstance(item, Image.Image) else item
        if not isinstance(image, np.ndarray | Tensor) or image.ndim not in (2, 3):
            raise UserError(f"The data: item {index} is {shown(item)}. {EXPECTED}")
        if isinstance(image, Tensor) and image.ndim == 2:
            image = image[None]
        images.append(pixels_of(image[None])[0])
        if images[-1].shape != images[0].shape:
            raise UserError(
                f"The images differ in size: item 0 is {images[0].shape}, item {index} "
                f"{images[-1].shape}. Give the dataset a transform that makes them alike."
            )
    if not images:
        raise UserError(f"The data hold no images. {EXPECTED}")
    numbers = [int(label) if isinstance(label, Tensor) else label for label in labels]
    known = len(numbers) == len(images) and None not in numbers
    return np.stack(images), numbers if known else None


def pixels_of(images: Any) -> NDArray[np.uint8]:
    """Bring images to uint8 with their channels last, or to gray without."""
    if isinstance(images, Tensor):
        array = images.detach().cpu().numpy()
        array = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
    else:
        array = np.asarray(images)
    if array.ndim not in (3, 4) or array.size == 0 or array.dtype.kind not in "iufb":
        raise UserError(
            f"The data are {array.dtype} of shape {array.shape}. {EXPECTED}"
            if array.dtype != object
            else f"The data: received {shown(images)}. {EXPECTED}"
        )
    if array.dtype == np.uint8:
        return array
    lowest, highest = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and lowest >= -1 and highest <= 1:
        low = -1.0 if lowest < 0 else 0.0
        return ((array - low) * (255 / (1 - low))).round().astype(np.uint8)
    if array.dtype.kind != "f" and lowest >= 0 and highest <= 255:
        return array.astype(np.uint8)
    raise UserError(
        f"The data are {array.dtype} with values from {lowest:g} to {highest:g}: expected uint8, "
        "or floats in [0, 1] or [-1, 1]."
    )
