import base64
import hashlib
import html
import io
import re

import numpy as np
import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.pages import (
    MOST_PIXELS,
    picture_url,
    render,
    require_html,
    svg_url,
    text_of,
    write_html,
)
from zerosum.report.words import words_of

NOTHING = {
    "words": words_of("en"),
    "live": False,
    "title": "a",
    "facts": None,
    "waiting": {"title": "a", "text": "b"},
}


def content_of(url):
    kind, _, content = url.partition(";base64,")
    return kind, base64.b64decode(content)


def ramp(width, height):
    """A picture in which no pixel is enlarged."""
    row = np.arange(width, dtype=np.uint32) * 7 % 251
    return Image.fromarray(np.tile(row.astype(np.uint8), (height, 1)))


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        (ramp(2 * MOST_PIXELS, 100), (MOST_PIXELS, 50)),
        (ramp(10 * MOST_PIXELS, 1), (MOST_PIXELS, 1)),
        (ramp(30, 20).convert("RGBA"), (30, 20)),
        (ramp(31, 23).convert("P"), (31, 23)),
    ],
)
def test_large_pictures_are_made_smaller(picture, size):
    url, *shown_size = picture_url(picture)
    kind, content = content_of(url)
    assert kind == "data:image/png"
    assert tuple(shown_size) == size
    with Image.open(io.BytesIO(content)) as shown:
        assert shown.size == size


@pytest.mark.parametrize("side", [1, 2, 3, 12])
def test_enlarged_pixels_become_one_again_and_none_is_lost(side):
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8))
    enlarged = small.resize((17 * side, 13 * side), Image.Resampling.NEAREST)
    _, content = content_of(picture_url(enlarged)[0])
    with Image.open(io.BytesIO(content)) as shown:
        assert np.array_equal(np.asarray(shown), np.asarray(small))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_photographs_take_less_room_than_as_png(mode):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    photograph = Image.fromarray(noise).resize((401, 401), Image.Resampling.BICUBIC).convert(mode)
    kind, content = content_of(picture_url(photograph)[0])
    assert kind == "data:image/webp"
    assert len(content) < 40_000


def test_only_our_style_and_script_run():
    page = render("report.html.jinja", script="report.js", connect=True, **NOTHING)
    digest = base64.b64encode(hashlib.sha256(text_of("report.js").encode()).digest()).decode()
    policy = html.unescape(re.search('Policy" content="([^"]+)"', page)[1])
    assert f"script-src 'sha256-{digest}';" in policy
    assert "connect-src 'self';" in policy
    assert "unsafe" not in policy
    # What the page holds is what was counted: no line was trimmed.
    assert f"<script>{text_of('report.js')}</script>" in page


def test_a_chart_is_kept_as_it_is():
    assert content_of(svg_url("<svg>学</svg>")) == ("data:image/svg+xml", "<svg>学</svg>".encode())


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    out = tmp_path / "new" / "page.html"
    for content in ("first", "second"):
        write_html(content, out)
        assert out.read_text("utf-8") == content
        assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("out", ["page", "config.json", "runs/base-seed-0"])
def test_only_html_is_written_over(tmp_path, out):
    with pytest.raises(UserError, match=r"ends in \.html"):
        require_html(tmp_path / out)
    require_html(tmp_path / "page.HTML")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Could not write"):
        write_html("page", tmp_path / "file" / "page.html")
