"""TIFFs of 16 bits, as other programs read them."""

import io

import numpy as np
import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.inference import tiff


def ramp(channels):
    return np.arange(5 * 7 * channels, dtype=np.uint16).reshape(5, 7, channels) * 311


def test_gray_is_read_as_it_was():
    with Image.open(io.BytesIO(tiff.encode_tiff(ramp(1)))) as image:
        assert (image.format, image.mode, image.size) == ("TIFF", "I;16", (7, 5))
        assert np.array_equal(np.asarray(image), ramp(1)[..., 0])


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (4, "RGBA")])
def test_of_color_pillow_reads_the_upper_eight_bits(channels, mode):
    content = tiff.encode_tiff(ramp(channels))
    with Image.open(io.BytesIO(content)) as image:
        assert (image.mode, image.size) == (mode, (7, 5))
        assert image.tag_v2[258] == (16,) * channels
        assert np.array_equal(np.asarray(image), ramp(channels) >> 8)
    assert content.endswith(ramp(channels).astype("<u2").tobytes())  # and all sixteen are there


def test_what_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(tiff, "MOST_BYTES", 100)
    with pytest.raises(UserError, match=r"5×7 pixels and 3 channels is too large.*\.npy"):
        tiff.encode_tiff(ramp(3))
