"""Samples as one picture: images side by side; what is no image is presented by its task."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from zerosum.data.arrays import Pixels, Samples
from zerosum.data.decode import MODES, SAMPLE, SHEET

GAP = 2
BORDER_VALUE = 255


class Presentation:
    """Samples that are images; a task whose samples are none has a presentation of its own.

    Attributes:
        array: what an .npz file calls them.
        no_images: says that they are no images, where they are not.
    """

    array = "images"
    no_images = ""

    def picture(self, samples: Samples, *, data: str, columns: int | None = None) -> Image.Image:
        """Draw samples: uint8 (n, h, w, c) in a grid, whatever data G was trained on."""
        return grid(samples, columns=columns, scale=comfortable_scale(*samples.shape[1:3]))


def grid(images: Pixels, *, columns: int | None = None, scale: int = 1) -> Image.Image:
    """Lay images out in rows, with a thin white line around each.

    Args:
        images: uint8 (n, h, w, c), shown by `as_colors`.
        columns: images a row; by default as square as it gets.
        scale: side of the square of pixels that shows one pixel.
    """
    images = as_colors(images)
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cell_height, cell_width = height + GAP, width + GAP
    canvas = np.full(
        (rows * cell_height + GAP, columns * cell_width + GAP, channels), BORDER_VALUE, np.uint8
    )
    for index, image in enumerate(images):
        top = GAP + (index // columns) * cell_height
        left = GAP + (index % columns) * cell_width
        canvas[top : top + height, left : left + width] = image
    picture = to_picture(canvas)
    size = (picture.width * scale, picture.height * scale)
    return picture.resize(size, Image.Resampling.NEAREST) if scale > 1 else picture


def as_colors(images: Pixels) -> Pixels:
    """Choose the channels that pictures show of images (..., c): all, where c is 1, 3 or 4.

    Of channels that are no colours the first three are shown, of two the first one twice.
    """
    if images.shape[-1] in MODES:
        return images
    return images[..., :3] if images.shape[-1] > 3 else images[..., [0, 1, 0]]


def save_sheet(picture: Image.Image, path: Path | BinaryIO) -> None:
    """Write a picture of samples as a PNG that is not taken for data where it lies among them.

    Raises:
        OSError: it cannot be written.
    """
    picture.save(path, format="PNG", pnginfo=marked(SHEET))


def save_sample(image: Image.Image, path: Path | BinaryIO) -> None:
    """Write one sample as a PNG, which is data only where there is nothing else.

    Raises:
        OSError: it cannot be written.
    """
    image.save(path, format="PNG", pnginfo=marked(SAMPLE))


def marked(software: str) -> PngInfo:
    """What a PNG says of the program that made it."""
    told = PngInfo()
    told.add_text("Software", software)
    return told


def to_picture(image: Pixels) -> Image.Image:
    """One image, uint8 (h, w, c), for Pillow: gray, RGB or RGBA by its channels, or `as_colors`."""
    image = as_colors(image)
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def comfortable_scale(*sides: int) -> int:
    """How often to enlarge pixels so that small images can be looked at: 28 pixels to 84."""
    return max(1, 84 // max(sides))
