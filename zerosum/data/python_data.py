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
from PIL import Image, ImageOps
from torch import Tensor

from zerosum.data.decode import MODES, Format, Undecodable, fit
from zerosum.data.images import ImageSet, to_array
from zerosum.data.labels import index_labels
from zerosum.data.npz import CHANNELS_LAST, MAX_CHANNELS
from zerosum.data.store import in_memory
from zerosum.errors import UserError, shown
from zerosum.files import cache_folder, cannot_write, write_whole

EXPECTED = (
    "Expected a data set's name, a path, images as an array (n, h, w) or (n, h, w, c) or a tensor "
    "(n, c, h, w), a pair (images, labels), or a torch Dataset of such images."
)


def keep_python_data(data: Any) -> Path:
    """Keep images of a Python program as an .npz, which `zerosum.data.load` reads.

    Whether floats are in [0, 1] or in [-1, 1] is decided once, by all of them.

    Args:
        data: images, uint8 or floats in [0, 1] or [-1, 1], as an array (n, h, w) or (n, h, w, c) or
            a tensor (n, c, h, w); or (images, labels); or an `ImageSet`; or a torch Dataset, whose
            items are images of one size, PIL's among them, or (image, label). Labels are whole
            numbers or texts, one for each image.

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
    classes: Sequence[Any] = ()
    labels: Any
    channels_last = True
    if isinstance(data, ImageSet):
        images, labels, classes = to_array(in_memory(data.images)), data.labels, data.classes
    else:
        given, labels = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
        if isinstance(given, np.ndarray | Tensor):
            require_many(given)
            images, channels_last = to_pixels(plain(given)), isinstance(given, Tensor)
        elif is_sequence(given):
            images, found, channels_last = items_of(given)
            labels = found if labels is None else labels
            named = getattr(given, "classes", ())
            classes = named if isinstance(named, list | tuple) else ()
        else:
            raise UserError(f"The data: received {shown(given)}. {EXPECTED}")
    arrays = {"points" if images.ndim == 2 else "images": images}
    if images.ndim == 4 and channels_last and images.shape[3] not in MODES:
        arrays["layout"] = np.array(CHANNELS_LAST)  # of other counts, sizes alone may not tell
    if labels is not None:
        arrays["labels"] = labels_of(labels, len(images))
        names = [str(name) for name in classes] or None
        index_labels(arrays["labels"], names=names, source="the data")  # refuses what is no class
        if names:
            arrays["classes"] = np.array(names)
    return arrays


def is_sequence(data: Any) -> bool:
    """Whether data has items that are counted from 0."""
    sized = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    return sized and not isinstance(data, dict | str | bytes)


def items_of(dataset: Any) -> tuple[NDArray[np.uint8], list[Any] | None, bool]:
    """Collect the images of a torch Dataset, or of any sequence, and their labels.

    Returns:
        Images, as `to_pixels` gives them; labels; and whether the channels are known to be last.
    """
    images: list[NDArray[Any]] = []
    labels: list[Any] = []
    tensors = 0
    for index in range(len(dataset)):
        item = dataset[index]
        is_pair = isinstance(item, tuple | list) and len(item) > 0
        labels.append(item[1] if is_pair and len(item) > 1 else None)
        image = item[0] if is_pair else item
        if isinstance(image, Image.Image):
            image = from_pillow(image, index)
        if not isinstance(image, np.ndarray | Tensor) or image.ndim not in (2, 3):
            raise UserError(f"The data: item {index} is {shown(image)}. {EXPECTED}")
        tensors += isinstance(image, Tensor)
        images.append(plain(image[None])[0])
        first = images[0]
        if images[-1].shape != first.shape:
            raise UserError(
                f"The images differ in size: item 0 is {first.shape}, item {index} "
                f"{images[-1].shape}. Give the dataset a transform that makes them alike."
            )
        if images[-1].dtype != first.dtype:  # together, the values of one could mean another's
            raise UserError(
                f"The images differ in type: item 0 is {first.dtype}, item {index} "
                f"{images[-1].dtype}. Give the dataset a transform that makes them alike."
            )
    if not images:
        raise UserError(f"The data hold no images. {EXPECTED}")
    known = any(label is not None for label in labels)
    return to_pixels(np.stack(images)), labels if known else None, tensors == len(images)


def from_pillow(image: Image.Image, index: int) -> NDArray[np.uint8]:
    """Bring an image of any mode to gray or RGB (h, w, c), upright, as files are."""
    try:
        return fit(ImageOps.exif_transpose(image), Format())
    except Undecodable as problem:
        raise UserError(f"The data: item {index} holds {problem}.") from None


def require_many(images: NDArray[Any] | Tensor) -> None:
    """Refuse one image of several channels, which would pass for several gray ones."""
    if images.ndim != 3 or 0 in images.shape:
        return
    shape = tuple(images.shape)
    if isinstance(images, Tensor) and shape[0] in MODES:
        several, gray = "(n, c, h, w)", f"({shape[0]}, 1, {shape[1]}, {shape[2]})"
    elif not isinstance(images, Tensor) and shape[2] in (3, 4):
        several, gray = "(n, h, w, c)", f"{(*shape, 1)}"
    else:
        return
    raise UserError(
        f"The data are of shape {shape}, which looks like a single image. Give several, "
        f"{several}; or if these are gray images, {gray}."
    )


def plain(images: NDArray[Any] | Tensor) -> NDArray[Any]:
    """Images as an array of numpy, a tensor's channels last.

    Raises:
        UserError: they have no shape of images.
    """
    shape = tuple(images.shape)
    if isinstance(images, Tensor):
        if len(shape) == 4 and shape[1] not in MODES and shape[3] in MODES:
            raise UserError(
                f"The data are a tensor of shape {shape}, whose channels seem to be last: expected "
                "(n, c, h, w). Give .permute(0, 3, 1, 2) of it."
            )
        array = numbers_of(images)
        array = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
        channels = shape[1:2]
    else:
        array, channels = images, shape[1:4:2]
    too_many = len(shape) == 4 and min(channels) > MAX_CHANNELS
    if array.ndim not in (3, 4) or array.size == 0 or array.dtype.kind not in "iufb" or too_many:
        most = f" c is at most {MAX_CHANNELS}." if too_many else ""
        raise UserError(f"The data are {images.dtype} of shape {shape}. {EXPECTED}{most}")
    return array


def numbers_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor of any kind as an array; numpy knows no bfloat16."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def to_pixels(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring all images together to uint8, of the same shape.

    Raises:
        UserError: their values are in no range that is known.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * 255
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


def labels_of(labels: Any, count: int) -> NDArray[Any]:
    """Labels as an array (n,), of whatever they were given as.

    Raises:
        UserError: they are not one number or text for each image.
    """
    array = numbers_of(labels) if isinstance(labels, Tensor) else None
    if array is None and hasattr(labels, "__array__"):  # numpy's own, and pandas'
        array = np.asarray(labels)
    if array is None or array.dtype == object:
        if isinstance(labels, str | bytes | dict) or not hasattr(labels, "__iter__"):
            raise UserError(
                f"The labels: received {shown(labels)}, expected one for each of the {count:,} "
                "images."
            )
        each = list(labels)
        if missing := sum(label is None for label in each):
            raise UserError(
                f"{missing:,} of the {len(each):,} labels are missing (None), the first that of "
                f"image {next(i for i, label in enumerate(each) if label is None)}: expected one "
                "for each image. Leave those images out, or give no labels."
            )
        array = np.array([label_of(label, index) for index, label in enumerate(each)])
    if array.shape == (count, 1):  # as MedMNIST has them
        array = array[:, 0]
    if array.shape != (count,):
        advice = " Of one-hot labels, give .argmax(1)." if array.ndim == 2 else ""
        raise UserError(
            f"The labels are {array.dtype} of shape {array.shape}: expected one for each "
            f"of the {count:,} images.{advice}"
        )
    return array


def label_of(label: Any, index: int) -> Any:
    """One label as a whole number or a text, of whatever it was given as."""
    value = label
    if isinstance(label, np.ndarray | Tensor | np.generic) and np.prod(label.shape) == 1:
        value = label.item()
    if isinstance(value, int | str | bytes):
        return value
    advice = " Of one-hot labels, give .argmax()." if getattr(value, "ndim", 0) else ""
    raise UserError(
        f"The label of image {index} is {shown(label)}: expected a whole number or a text.{advice}"
    )
