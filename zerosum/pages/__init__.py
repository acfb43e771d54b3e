"""HTML files that stand by themselves: nothing in them is loaded from elsewhere.

What users have named, paths and settings, is escaped by the templates, and a strict content
security policy, which allows one style and one script of ours by their sha256, would keep even what
slipped through from running.
"""

from __future__ import annotations

import base64
import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from zerosum._version import __version__
from zerosum.errors import UserError
from zerosum.files import cannot_write, write_whole

MOST_PIXELS = 480
"""Wider pictures are made smaller: a page of many runs should stay light."""
SHARPER_BELOW = 400
"""Pictures of fewer pixels across are enlarged with their pixels' edges kept: class `pixels`."""
LARGE_PNG, WEBP_QUALITY = 40_000, 85
TURNING = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
MOST_ENLARGED = 12
"""The sides of the squares that a picture's pixels may have been enlarged to."""


def render(template: str, *, script: str = "", connect: bool = False, **values: Any) -> str:
    """Fill in a template of this folder.

    Args:
        template: its file, such as compare.html.jinja.
        script: the file of the script that runs in it, if any does.
        connect: whether that may ask the server that the page is from.
        values: what the template names, besides its style `css`, its `script`, the `policy` that
            allows these and pictures in the file itself and nothing else, and the `version` of
            zerosum.
    """
    css = text_of("page.css")
    code = text_of(script) if script else ""
    policy = f"default-src 'none'; img-src data:; style-src {allowed(css)}; "
    policy += f"script-src {allowed(code)}; " * bool(code) + "connect-src 'self'; " * connect
    policy += "base-uri 'none'; form-action 'none'"
    made = environment().get_template(template)
    return made.render(
        policy=policy, css=Markup(css), script=Markup(code), version=__version__, **values
    )


def environment() -> Environment:
    """Where templates are found; it escapes what they are given, and refuses what they are not."""
    return Environment(
        loader=PackageLoader("zerosum", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def readable(value: object) -> object:
    """What a template is given, with its controls of direction shown: they would turn text round.

    `zerosum.data.names` shows them the same way.
    """
    return value.translate(TURNING) if type(value) is str else value


def text_of(name: str) -> str:
    """A file of this folder."""
    return resources.files("zerosum").joinpath(f"pages/{name}").read_text("utf-8")


def allowed(content: str) -> str:
    """How a policy names a style or script: by its sha256."""
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def svg_url(svg: str) -> str:
    """An SVG as a data URL. As an image it keeps its own style, and could run nothing."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def picture_url(picture: Image.Image, *, widest: int = MOST_PIXELS) -> tuple[str, int, int]:
    """A picture as a data URL, encoded anew so that it holds nothing but its pixels.

    Pixels that were enlarged are made small again, for the page to enlarge; what is wider than
    `widest` is made smaller; photographs, which as PNG take many times the room, become WebP.

    Returns:
        The URL, the width and the height in pixels.
    """
    if picture.mode == "P":
        picture = picture.convert("RGBA")
    picture = shrunk(picture)
    if picture.width > widest:
        height = max(1, round(picture.height * widest / picture.width))
        picture = picture.resize((widest, height), Image.Resampling.LANCZOS)
    made, kind = encoded(picture, format="PNG"), "png"
    if len(made) > LARGE_PNG and picture.mode in ("RGB", "RGBA", "L"):
        made, kind = encoded(picture, format="WEBP", quality=WEBP_QUALITY), "webp"
    elif len(made) < LARGE_PNG:
        made = encoded(picture, format="PNG", optimize=True)
    url = f"data:image/{kind};base64," + base64.b64encode(made).decode("ascii")
    return url, *picture.size


def shrunk(picture: Image.Image) -> Image.Image:
    """A picture whose every pixel was enlarged to a square, with pixels of one again."""
    pixels = np.asarray(picture)
    for side in range(MOST_ENLARGED, 1, -1):
        if pixels.shape[0] % side or pixels.shape[1] % side:
            continue
        small = pixels[::side, ::side]
        if np.array_equal(small.repeat(side, 0).repeat(side, 1), pixels):
            return Image.fromarray(small)
    return picture


def encoded(picture: Image.Image, **how: Any) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, **how)
    return buffer.getvalue()


def require_html(out: Path) -> None:
    """Refuse to write a page over what is likely something else.

    Raises:
        UserError: the name does not end in .html.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(
            f"Received --out {out}: expected a name that ends in .html, such as page.html."
        )


def write_html(html: str, out: Path) -> None:
    """Write a page, whole or not at all, and make its folder.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, html)
    except OSError as error:
        raise cannot_write(out, error) from None
