"""One image file's bytes to pixels of the wanted shape: the one home of decoding.

Whatever a file holds, be it palette, CMYK, transparency, 16 bits or a rotation noted in EXIF, what
comes out is uint8 gray, RGB or RGBA, upright. Files come from strangers, so formats are an
allow-list and pixel counts are checked before any pixel is decoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from zerosum.config.specs import Fit, Tier
from zerosum.data.arrays import Pixels
from zerosum.data.names import printable
from zerosum.data.report import Note, Report, Size, ValueRange
from zerosum.errors import UserError, unknown_name
from zerosum.hardware import memory_bytes, require_memory

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
ORIENTATION = 0x0112  # of EXIF
GRAY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}


SHEET = "zerosum: samples, and no data"
"""What the pictures and films of samples that we write carry with them, so that they are not taken
for images to learn from, when they come to lie among them."""
SAMPLE = "zerosum: a sample"
"""What each image that G made carries with it, which is no data where it lies among others."""
SOFTWARE = 0x0131  # of EXIF


class Undecodable(Exception):
    """One file is no image that we can use; the message is the reason, in one line."""


class OwnSheet(Undecodable):
    """A picture or film of samples that we have made ourselves."""


FITTED: dict[Fit, str] = {
    "crop": "cropped to the aspect of",
    "pad": "padded to the aspect of",
    "squash": "squashed to",
    "short-side": "resized, the shorter side to that of",
}
"""What is done to images of another aspect, in words that follow their number."""


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
        value_range: the values that become black and white, of gray images of more than 8 bits;
            "auto" for the lowest and the highest of the whole set, which readers put in its place;
            None for what their type can hold, 0 to 65535, and for floats 0 to 1.
        all_frames: whether each frame of an animation, or page of a stack, is an image.
        tier: where they are kept, which changes none of them.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    fit: Fit = "crop"
    value_range: ValueRange | None = None
    all_frames: bool = False
    tier: Tier = field(default="auto", compare=False)

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


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One image, and what there is to know of the file that it was in.

    Attributes:
        pixels: (h, w, c), as they were wanted.
        size: (height, width) in the file, upright.
        changes: what was done to the image, in words that follow a number of images.
        values: the lowest and the highest of its values, and the highest that its type can hold,
            where it has more than 8 bits; None where it has 8.
        is_sample: whether it says of itself that zerosum made it.
    """

    pixels: Pixels
    size: tuple[int, int]
    changes: tuple[str, ...] = ()
    values: tuple[float, float, float] | None = None
    is_sample: bool = False


def decode(content: bytes, wanted: Format) -> Pixels:
    """Decode one image file to its pixels alone, (h, w, c), see `read_image`."""
    return read_image(content, wanted).pixels


def read_image(content: bytes, wanted: Format, *, frame: int = 0) -> Decoded:
    """Decode one image file, or of an animation or a stack of pages one frame.

    Args:
        content: the whole file.
        wanted: the shape to bring it to.
        frame: which one, counted from 0.

    Raises:
        Undecodable: the content is damaged, too large or no image.
    """
    with opened(content) as image:
        if frame:
            image.seek(frame)
        changes = list(oddities(image, wanted))
        is_sample = SAMPLE in software_of(image)  # before a rotation is undone, and EXIF gone
        image.load()
        if image.getexif().get(ORIENTATION) in range(2, 9):
            changes.append("turned upright as their EXIF says")
        ImageOps.exif_transpose(image, in_place=True)
        size = image.height, image.width
        return Decoded(
            pixels=fit(image, wanted),
            size=size,
            changes=(*changes, *described(size, wanted)),
            values=values_of(image),
            is_sample=is_sample,
        )


def num_frames(content: bytes) -> int:
    """Count the frames of an animation or the pages of a stack, 1 of all other images.

    Raises:
        Undecodable: the content is damaged, too large or no image.
    """
    with opened(content) as image:
        # The others of an MPO, as cameras write it, are previews of the first.
        return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def values_in(content: bytes) -> tuple[float, float, float] | None:
    """The lowest and the highest value of an image, and what its type can hold, see `Decoded`.

    Raises:
        Undecodable: the content is damaged, too large or no image.
    """
    with opened(content) as image:
        image.load()
        return values_of(image)


@contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """Open an image whose pixels are few enough to be decoded.

    Raises:
        Undecodable: the content is damaged, too large or no image, found here or inside.
    """
    if not content:
        raise Undecodable("the file is empty")
    if content[4:8] == b"ftyp":  # as HEIC and AVIF begin
        read_heif_too()
    try:
        with Image.open(io.BytesIO(content), formats=readable()) as image:
            _check_pixel_count(image)
            if SHEET in software_of(image):
                raise OwnSheet("a sheet of samples that zerosum made, and no single image")
            yield image
    except Undecodable:
        raise
    except UnidentifiedImageError:
        raise Undecodable(f"not an image in any of the formats {', '.join(readable())}") from None
    except Exception as error:  # Pillow raises nearly anything when a file is damaged
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Undecodable(reason) from error


@cache
def read_heif_too() -> None:
    """Teach Pillow HEIC, the photographs of iPhones, where the package for it is installed."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()


def readable() -> list[str]:
    """The formats of those allowed that this Pillow can read: it may lack AVIF, and HEIF."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def software_of(image: Image.Image) -> set[str]:
    """What an image says of the program that made it."""
    comment = image.info.get("comment")
    comment = comment.decode("latin-1") if isinstance(comment, bytes) else comment
    told = [comment, image.info.get("Software")]  # of GIF and of PNG
    if image.format in ("WEBP", "JPEG"):
        told.append(image.getexif().get(SOFTWARE))
    return {each for each in told if isinstance(each, str)}


def oddities(image: Image.Image, wanted: Format) -> Iterator[str]:
    """Say what decoding will change of an image that was opened, but for its size."""
    if getattr(image, "n_frames", 1) > 1 and not wanted.all_frames:
        yield "of several frames or pages, of which the first is used"
    if wanted.channels != 4 and image.has_transparency_data:
        yield "with transparency, composed on white"
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        yield f"converted from {image.mode} to RGB"
    is_gray = image.mode in GRAY_MODES
    if wanted.channels == 1 and not is_gray:
        yield "made gray"
    # Pillow itself drops the lower 8 bits of colours of 16.
    if image.mode in ("RGB", "RGBA") and any(
        ";16" in str(tile) for tile in getattr(image, "tile", ())
    ):
        yield "of 16 bits a colour, of which the upper 8 are used"


def described(size: tuple[int, int], wanted: Format) -> Iterator[str]:
    """Say what bringing an image from one size to the wanted one does."""
    if wanted.size is None or wanted.size == size:
        return
    goal = f"{wanted.size[0]}×{wanted.size[1]}"
    if size[0] * wanted.size[1] != size[1] * wanted.size[0]:
        yield f"{FITTED[wanted.fit]} {goal}"
    if any(new > old for new, old in zip(fitted_size(size, wanted), size, strict=True)):
        yield f"enlarged to {goal}"


def report_of_arrays(size: Size, count: int, wanted: Format) -> Report:
    """What there is to tell of images that came as one array, of one size."""
    changes = [Note(what=change, count=count, example="") for change in described(size, wanted)]
    return Report(sizes=(size,) if changes else (), changed=tuple(changes))


def size_mismatch(one: str, size: Sequence[int], two: str, other: Sequence[int]) -> UserError:
    """Build the error for two files, one and two, whose images differ in (height, width)."""
    return UserError(
        f"The images differ in size (height×width): {printable(one)} is {size[0]}×{size[1]}, "
        f"{printable(two)} is {other[0]}×{other[1]}. Choose one size for all with --size N."
    )


def values_of(image: Image.Image) -> tuple[float, float, float] | None:
    """The lowest and the highest value, and what the type can hold, of more than 8 bits."""
    if not (image.mode in GRAY_MODES and image.mode[0] in "IF"):
        return None
    pixels = np.asarray(image)
    return float(pixels.min()), float(pixels.max()), 1.0 if image.mode == "F" else 65535.0


def kind_of(content: bytes) -> str:
    """What an image file, which can be decoded, holds: "gray" or "color", "with opacity" or not."""
    with Image.open(io.BytesIO(content), formats=readable()) as image:
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
    image = _convert(image, channels, wanted.value_range)
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
    count, rows, columns, channels = images.shape
    if channels not in MODES:  # no colours, each of which is an image by itself
        planes = images.transpose(0, 3, 1, 2).reshape(-1, rows, columns, 1)
        fitted = fit_array(planes, replace(wanted, channels=1))
        return fitted.reshape(count, channels, *fitted.shape[2:])
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
            f"{image.width}×{image.height} pixels are more than the {limit:,} that are safe; make "
            "it smaller"
        )


def _convert(image: Image.Image, channels: int, value_range: ValueRange | None) -> Image.Image:
    """Convert to mode L, RGB or RGBA, composing transparency on white for the first two."""
    if image.mode in GRAY_MODES and image.mode[0] in "IF":
        image = _to_eight_bits(image, value_range)
    if channels != 4 and image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    if image.mode in ("CMYK", "YCbCr", "HSV", "LAB"):
        image = image.convert("RGB")  # not every one of them converts to L or RGBA directly
    return image.convert(MODES[channels])


def _to_eight_bits(image: Image.Image, value_range: ValueRange | None) -> Image.Image:
    """Scale 16-bit or float gray to mode L.

    Pillow's own conversion clips at 255, which turns a 16-bit image white. It also opens some
    16-bit files as 32-bit ones, hence one scale for both.
    """
    return Image.fromarray(to_eight_bits(np.asarray(image), value_range))


def to_eight_bits(values: NDArray[Any], value_range: ValueRange | None) -> Pixels:
    """Scale values of any number type to pixels of the same shape.

    Args:
        values: not complex.
        value_range: what becomes 0 and 255; beyond it values are clipped. None for what whole
            numbers of 16 bits and floats usually mean, 0 to 65535 and 0 to 1, beyond which there
            must be none; "auto" for the lowest and highest of these values.

    Raises:
        Undecodable: a value is outside of what it can mean, or is no number.
    """
    usual = (0.0, 1.0 if values.dtype.kind == "f" else 65535.0)
    lowest, highest = values.min(), values.max()
    if value_range is None:
        # Written so that NaN fails it.
        if not (lowest >= usual[0] and highest <= usual[1]):
            raise Undecodable(
                f"gray values from {lowest:g} to {highest:g}, where {usual[0]:g} to {usual[1]:g} "
                f"were expected; --range {lowest:g}:{highest:g} says what is black and white, and "
                "auto finds it for the whole set"
            )
        return (values * (255 / usual[1])).round().astype(np.uint8)
    if not np.isfinite(values.astype(np.float64)).all():
        raise Undecodable("values that are no finite numbers (NaN or infinite); mend them first")
    low, high = (float(lowest), float(highest)) if value_range == "auto" else value_range
    scaled = (values.astype(np.float64) - low) * (255 / max(high - low, 1e-300))
    return scaled.clip(0, 255).round().astype(np.uint8)
