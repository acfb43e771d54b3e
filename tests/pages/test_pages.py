import base64
import io

import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.pages import MOST_PIXELS, picture_url, require_html, svg_url, write_html


def content_of(url):
    kind, _, content = url.partition(";base64,")
    return kind, base64.b64decode(content)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        (Image.new("L", (2 * MOST_PIXELS, 100)), (MOST_PIXELS, 50)),
        (Image.new("L", (10 * MOST_PIXELS, 1)), (MOST_PIXELS, 1)),
        (Image.new("RGBA", (30, 20)), (30, 20)),
    ],
)
def test_large_pictures_are_made_smaller(picture, size):
    kind, content = content_of(picture_url(picture))
    assert kind == "data:image/png"
    with Image.open(io.BytesIO(content)) as shown:
        assert shown.size == size


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
