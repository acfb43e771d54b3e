"""One image file's bytes to pixels of the wanted shape: the one home of decoding.

Whatever a file holds, be it palette, CMYK, transparency, 16 bits or a rotation noted in EXIF, what
comes out is uint8 gray, RGB or RGBA, upright. Files come from strangers, so formats are an
allow-list and pixel counts are checked before any pixel is decoded.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zerosum.config.specs import Fit
from zerosum.data.arrays import Pixels
from zerosum.errors import UserError, unknown_name
from zerosum.hardware import memory_bytes, require_memory

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
GRAY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}


class Undecodable(Exception):
    """One file is no image that we can use; the message is the reason, in one line."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """The shape that images are brought to.

    Attributes:
        size: (height, width), reached by resizing with Lanczos' filter, which does not alias; None
            keeps each image's own size.
        channels: 1 gray, 3 RGB, 4 RGBA; None takes 1 for a gray image and 3 for any other.
            Transparency is composed on white unless channels is 4.
        fit: what is done about another aspect than that of `size`. "crop" takes the middle of the
            image; "pad" puts all of it in the middle of a black canvas, which is transparent where
            channels is 4; "squash" distorts it; "short-side" keeps the aspect and makes the
            shorter side as long as `size`, a square, so that images keep sizes of their own.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        if self.fit not in get_args(Fit):
            raise unknown_name("fit", self.fit, get_args(Fit))
        if self.fit != "crop" and self.size is None:
            raise UserError(
                f"Images cannot be fitted by '{self.fit}' to no size. Name one with --size, or "
                "leave --fit out."
            )
        if self.fit == "short-side" and self.size is not None and self.size[0] != self.size[1]:
            height, width = self.size
            raise UserError(
                f"The size was {height}×{width}, but 'short-side' keeps each image's aspect and "
                "takes one number: --size N."
            )
        if self.size is not None and min(self.size) < 1:
            height, width = self.size
            raise UserError(f"Images cannot have the size {height}×{width}: both must be >= 1.")
        if self.channels is not None and self.channels not in MODES:
            raise UserError(
                f"Images cannot have {self.channels} channels: "
                "expected 1 (gray), 3 (RGB) or 4 (RGB and opacity)."
            )


def decode(content: bytes, wanted: Format) -> Pixels:
    """Decode one image file; of an animation, its first frame.

    Args:
        content: the whole file.
        wanted: the shape to bring it to.

    Returns:
        Pixels (h, w, c).

    Raises:
        Undecodable: the content is damaged, too large or no image.
    """
    if not content:
        raise Undecodable("the file is empty")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_pixel_count(image)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return fit(image, wanted)
    except Undecodable:
        raise
    except UnidentifiedImageError:
        raise Undecodable(f"not an image in any of the formats {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow raises nearly anything when a file is damaged
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Undecodable(reason) from error


def kind_of(content: bytes) -> str:
    """What an image file, which can be decoded, holds: "gray" or "color", "with opacity" or not."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        kind = "gray" if image.mode in GRAY_MODES else "color"
        return f"{kind} with opacity" if image.has_transparency_data else kind


def fit(image: Image.Image, wanted: Format) -> Pixels:
    """Bring an image of any mode and size to the wanted shape.

    Returns:
        Pixels (h, w, c).

    Raises:
        Undecodable: its numbers have no known scale.
    """
    channels = wanted.channels or (1 if image.mode in GRAY_MODES else 3)
    image = _convert(image, channels)
    if wanted.size is not None:
        image = _resize(image, wanted)
    return np.asarray(image).reshape(image.height, image.width, channels)


def fit_array(images: Pixels, wanted: Format) -> Pixels:
    """Bring an array of gray, RGB or RGBA images to the wanted shape, as `fit` does for one.

    Args:
        images: pixels (n, h, w, c), c one of 1, 3 and 4.
        wanted: the shape to bring them to.

    Returns:
        Pixels (n, c, h, w), contiguous.
    """
    channels = wanted.channels or (1 if images.shape[3] == 1 else 3)
    if images.shape[3] != channels or wanted.size not in (None, images.shape[1:3]):
        height, width = fitted_size(images.shape[1:3], wanted)
        require_memory(
            2 * len(images) * channels * height * width,  # the list, and the stack of it
            memory=memory_bytes(),
            what=f"{len(images):,} images of {height}×{width} pixels",
        )
        squeezed = images[..., 0] if images.shape[3] == 1 else images
        images = np.stack([fit(Image.fromarray(image), wanted) for image in squeezed])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def fitted_size(size: Sequence[int], wanted: Format) -> tuple[int, int]:
    """The (height, width) that an image of this (height, width) has in the wanted shape."""
    height, width = size
    if wanted.size is None:
        return height, width
    if wanted.fit != "short-side":
        return wanted.size
    scale = wanted.size[0] / min(height, width)
    return round(height * scale), round(width * scale)


def kept_part(size: Sequence[int], wanted: Format) -> tuple[int, int]:
    """The (height, width) of an image's middle that is kept of it, all but where it is cropped."""
    height, width = size
    if wanted.size is None or wanted.fit != "crop":
        return height, width
    return (
        max(1, min(height, round(width * wanted.size[0] / wanted.size[1]))),
        max(1, min(width, round(height * wanted.size[1] / wanted.size[0]))),
    )


def place_in_canvas(size: Sequence[int], canvas: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a canvas (height, width) that all of an image takes by "pad"."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    sides = []
    for length, whole in zip(size, canvas, strict=True):
        scaled = max(1, round(length * scale))
        start = (whole - scaled) // 2
        sides.append(slice(start, start + scaled))
    rows, columns = sides
    return rows, columns


def _resize(image: Image.Image, wanted: Format) -> Image.Image:
    """Bring an image of mode L, RGB or RGBA to the wanted size, which there is."""
    own = image.height, image.width
    height, width = fitted_size(own, wanted)
    if wanted.fit == "crop":
        return ImageOps.fit(image, (width, height), method=Image.Resampling.LANCZOS)
    if wanted.fit != "pad":
        return image.resize((width, height), Image.Resampling.LANCZOS)
    rows, columns = place_in_canvas(own, (height, width))
    scaled = (columns.stop - columns.start, rows.stop - rows.start)
    canvas = Image.new(image.mode, (width, height))  # zeros: black, or transparent
    canvas.paste(image.resize(scaled, Image.Resampling.LANCZOS), (columns.start, rows.start))
    return canvas


def _check_pixel_count(image: Image.Image) -> None:
    """Refuse a decompression bomb: Pillow itself only warns below twice its limit."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Undecodable(
            f"{image.width}×{image.height} pixels are more than the {limit:,} that are safe"
        )


def _convert(image: Image.Image, channels: int) -> Image.Image:
    """Convert to mode L, RGB or RGBA, composing transparency on white for the first two."""
    if image.mode in GRAY_MODES and image.mode[0] in "IF":
        image = _to_eight_bits(image)
    if channels != 4 and image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    if image.mode in ("CMYK", "YCbCr", "HSV", "LAB"):
        image = image.convert("RGB")  # not every one of them converts to L or RGBA directly
    return image.convert(MODES[channels])


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit gray in [0, 65535], or float gray in [0, 1], to mode L.

    Pillow's own conversion clips at 255, which turns a 16-bit image white. It also opens some
    16-bit files as 32-bit ones, hence one scale for both.
    """
    pixels = np.asarray(image)
    highest = 1 if image.mode == "F" else 65535
    # Written so that NaN fails it.
    if not (pixels.min() >= 0 and pixels.max() <= highest):
        raise Undecodable(
            f"gray values from {pixels.min():g} to {pixels.max():g}, "
            f"where 0 to {highest} were expected"
        )
    return Image.fromarray((pixels * (255 / highest)).round().astype(np.uint8))
