import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from zerosum.data.decode import (
    Format,
    Undecodable,
    decode,
    fit_array,
    fitted_size,
    kept_part,
    kind_of,
    place_in_canvas,
)
from zerosum.errors import UserError

AS_IT_IS = Format()


def encode(image: Image.Image, format: str = "PNG", **options) -> bytes:  # noqa: A002 - Pillow's
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def flat(mode: str, color, size=(4, 2)) -> Image.Image:
    return Image.new(mode, size, color)


@pytest.mark.parametrize(
    ("content", "pixel"),
    [
        (encode(flat("1", 1)), [255]),
        (encode(flat("L", 7)), [7]),
        (encode(flat("LA", (7, 255))), [7]),
        (encode(flat("I;16", 128 * 257)), [128]),
        (encode(flat("I;16", 65535), "TIFF"), [255]),
        (encode(flat("I", 65535), "TIFF"), [255]),
        (encode(flat("F", 0.5), "TIFF"), [128]),
        (b"P5 4 2 65535\n" + b"\x80\x80" * 8, [128]),
        (encode(flat("RGB", (1, 2, 3))), [1, 2, 3]),
        (encode(flat("RGB", (1, 2, 3)), "BMP"), [1, 2, 3]),
        (encode(flat("RGB", (1, 2, 3)), "WEBP", lossless=True), [1, 2, 3]),
        (encode(flat("RGB", (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE)), [1, 2, 3]),
        (encode(flat("CMYK", (255, 0, 0, 0)), "TIFF"), [0, 255, 255]),
        # Uncompressed, it can be read by Pillow 13 only.
        (
            encode(flat("YCbCr", (255, 128, 128)), "TIFF", compression="tiff_deflate"),
            [255, 255, 255],
        ),
        (encode(flat("LAB", (255, 128, 128)), "TIFF"), [254, 255, 254]),
    ],
)
def test_every_mode_becomes_gray_or_rgb(content, pixel):
    pixels = decode(content, AS_IT_IS)
    assert pixels.shape == (2, 4, len(pixel))
    assert pixels[0, 0].tolist() == pixel
    for channels in (1, 3, 4):
        assert decode(content, Format(channels=channels)).shape == (2, 4, channels)


@pytest.mark.parametrize(
    "content",
    [
        encode(flat("RGBA", (0, 0, 0, 0))),
        encode(flat("LA", (0, 0))),
        encode(flat("P", 0), transparency=0),
        encode(flat("RGB", (0, 0, 0)), transparency=(0, 0, 0)),
        encode(flat("L", 0), transparency=0),
        encode(flat("P", 0), "GIF", transparency=0),
    ],
)
def test_transparency_is_composed_on_white_or_kept(content):
    assert decode(content, Format(channels=1)).min() == 255
    assert decode(content, Format(channels=3)).min() == 255
    assert decode(content, Format(channels=4))[0, 0].tolist() == [0, 0, 0, 0]


def test_sixteen_bit_gray_is_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    pixels = decode(encode(Image.fromarray(ramp)), AS_IT_IS)
    assert np.array_equal(pixels.ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (flat("I", 70000), "70000 to 70000, where 0 to 65535"),
        (flat("F", 200.0), "200 to 200, where 0 to 1 "),
        (flat("F", float("nan")), "nan to nan"),
    ],
)
def test_gray_of_unknown_scale_is_refused(image, found):
    with pytest.raises(Undecodable, match=found):
        decode(encode(image, "TIFF"), AS_IT_IS)


def test_exif_orientation_is_respected():
    image = Image.fromarray(np.array([[0, 255]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    assert decode(encode(image, exif=exif), AS_IT_IS).squeeze(-1).tolist() == [[0], [255]]


def test_an_animation_gives_its_first_frame():
    frames = [flat("RGB", "red"), flat("RGB", "blue")]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, AS_IT_IS)[0, 0].tolist() == [255, 0, 0]


def test_a_stereo_photograph_of_a_telephone_is_a_jpeg():
    content = encode(flat("RGB", "white"), "MPO", save_all=True, append_images=[flat("RGB", "red")])
    assert decode(content, AS_IT_IS).min() == 255


def test_size_crops_the_centre_and_then_resizes():
    stripes = np.zeros((10, 30), np.uint8)
    stripes[:, 10:20] = 200
    pixels = decode(encode(Image.fromarray(stripes)), Format(size=(5, 5)))
    assert pixels.shape == (5, 5, 1)
    assert abs(pixels.astype(int) - 200).max() < 15


def test_resizing_does_not_alias():
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = decode(encode(Image.fromarray(checkers)), Format(size=(8, 8)))
    assert abs(pixels.astype(int) - 127).max() < 8


def test_the_wanted_size_leaves_pixels_untouched():
    noise = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    assert np.array_equal(decode(encode(Image.fromarray(noise)), Format(size=(6, 5))), noise)


def bomb() -> bytes:
    """A valid PNG header of 30,000×30,000 pixels without any."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello", "not an image in any of the formats PNG, JPEG"),
        (encode(flat("RGB", "red", (64, 64)), "JPEG")[:-400], "(?i)truncated"),
        (encode(flat("RGB", "red"))[:-30], "."),
        (bomb(), "exceeds limit|more than"),
        (encode(flat("RGB", "red"), "ICO"), "not an image in any of the formats"),
    ],
    ids=["empty", "text", "truncated-jpeg", "truncated-png", "bomb", "format-not-allowed"],
)
def test_what_cannot_be_decoded_says_why(content, reason):
    with pytest.raises(Undecodable, match=reason) as caught:
        decode(content, AS_IT_IS)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_pixel_count_at_which_pillow_only_warns_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    with pytest.raises(Undecodable, match="4×2 pixels are more than the 7 that are safe"):
        decode(encode(flat("L", 0)), AS_IT_IS)


def test_pillows_limit_may_be_lifted(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert decode(encode(flat("L", 0)), AS_IT_IS).shape == (2, 4, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 5)}, "cannot have the size 0×5"),
        ({"channels": 2}, r"cannot have 2 channels: expected 1 \(gray\), 3"),
        ({"size": (4, 4), "fit": "padd"}, "no fit 'padd'. Did you mean 'pad'?"),
        ({"fit": "pad"}, "Name one with --size"),
        ({"size": (4, 5), "fit": "short-side"}, "4×5, but 'short-side' keeps"),
    ],
)
def test_an_impossible_format_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        Format(**options)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_are_brought_to_a_format_too(channels):
    images = np.full((2, 4, 6, channels), 255, np.uint8)
    assert fit_array(images, AS_IT_IS).shape == (2, 3 if channels > 1 else 1, 4, 6)
    fitted = fit_array(images, Format(size=(3, 3), channels=1))
    assert fitted.shape == (2, 1, 3, 3)
    assert fitted.min() == 255


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (flat("L", 1), "gray"),
        (flat("I;16", 1), "gray"),
        (flat("LA", (1, 2)), "gray with opacity"),
        (flat("RGB", "red"), "color"),
        (flat("RGBA", "red"), "color with opacity"),
    ],
)
def test_what_kind_a_file_holds(image, kind):
    assert kind_of(encode(image)) == kind


class TestFit:
    """An image of 12×24 pixels, white on the left and gray on the right, brought to a square."""

    @staticmethod
    def halves(channels):
        pixels = np.full((1, 12, 24, channels), 255, np.uint8)
        pixels[:, :, 12:] = 128
        return pixels

    def fitted(self, fit, channels=3, size=(6, 6)):
        wanted = Format(size=size, channels=channels, fit=fit)
        image = fit_array(self.halves(channels), wanted)[0].transpose(1, 2, 0)
        squeezed = self.halves(channels)[0]
        content = encode(Image.fromarray(squeezed[..., 0] if channels == 1 else squeezed))
        assert np.array_equal(decode(content, wanted), image)
        assert image.shape == (*fitted_size((12, 24), wanted), channels)
        return image

    def test_crop_takes_the_middle(self):
        image = self.fitted("crop")
        assert image.shape == (6, 6, 3)
        assert image[0, 0].tolist() == [255] * 3
        assert image[0, 5].tolist() == [128] * 3

    @pytest.mark.parametrize(("channels", "border"), [(1, [0]), (3, [0, 0, 0]), (4, [0, 0, 0, 0])])
    def test_pad_keeps_all_of_it_on_black_or_on_nothing(self, channels, border):
        image = self.fitted("pad", channels)
        rows, columns = place_in_canvas((12, 24), (6, 6))
        assert (rows, columns) == (slice(1, 4), slice(0, 6))
        assert image[0, 0].tolist() == image[4, 0].tolist() == image[5, 5].tolist() == border
        assert image[rows, columns].min() >= 128 - 12  # what Lanczos' filter rings by

    def test_squash_distorts(self):
        image = self.fitted("squash", size=(24, 6))
        assert image.shape == (24, 6, 3)
        assert image[:, 0].min() >= 250  # what is white, but for the ringing
        assert image[:, 5].max() <= 133

    def test_short_side_keeps_the_aspect(self):
        assert self.fitted("short-side").shape == (6, 12, 3)

    @pytest.mark.parametrize(
        ("size", "wanted", "kept"),
        [
            ((800, 1200), Format(size=(64, 64)), (800, 800)),
            ((1200, 800), Format(size=(64, 64)), (800, 800)),
            ((800, 1200), Format(size=(64, 96)), (800, 1200)),
            ((800, 1200), Format(size=(64, 64), fit="pad"), (800, 1200)),
            ((800, 1200), Format(), (800, 1200)),
            ((1, 9), Format(size=(90, 1)), (1, 1)),
        ],
    )
    def test_what_cropping_keeps(self, size, wanted, kept):
        assert kept_part(size, wanted) == kept

    @pytest.mark.parametrize("size", [(1, 9000), (9000, 1), (37, 41)])
    @pytest.mark.parametrize("fit", ["pad", "squash", "short-side"])
    def test_any_aspect_goes(self, size, fit):
        wanted = Format(size=(3, 3), channels=1, fit=fit)
        image = fit_array(np.full((1, *size, 1), 9, np.uint8), wanted)
        assert image.shape[2:] == fitted_size(size, wanted)
        assert image.max() == 9
