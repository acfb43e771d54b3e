"""One image file's bytes to pixels of the wanted shape: the one home of decoding.

Whatever a file holds, be it palette, CMYK, transparency, 16 bits or a rotation noted in EXIF, what
comes out is uint8 gray, RGB or RGBA, upright. Files come from strangers, so formats are an
allow-list and pixel counts are checked before any pixel is decoded.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zerosum.data.arrays import Pixels
from zerosum.errors import UserError
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
        size: (height, width), reached by cropping the centre to the aspect and then resizing with
            Lanczos' filter, which does not alias; None keeps each image's own size.
        channels: 1 gray, 3 RGB, 4 RGBA; None takes 1 for a gray image and 3 for any other.
            Transparency is composed on white unless channels is 4.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
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
        height, width = wanted.size
        image = ImageOps.fit(image, (width, height), method=Image.Resampling.LANCZOS)
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
        height, width = wanted.size or images.shape[1:3]
        require_memory(
            2 * len(images) * channels * height * width,  # the list, and the stack of it
            memory=memory_bytes(),
            what=f"{len(images):,} images of {height}×{width} pixels",
        )
        squeezed = images[..., 0] if images.shape[3] == 1 else images
        images = np.stack([fit(Image.fromarray(image), wanted) for image in squeezed])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


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
