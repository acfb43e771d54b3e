"""HTML files that stand by themselves: nothing in them runs, or is loaded from elsewhere.

What users have named, paths and settings, is escaped by the templates, and a strict content
security policy would keep even what slipped through from running.
"""

from __future__ import annotations

import base64
import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from zerosum._version import __version__
from zerosum.errors import UserError
from zerosum.files import cannot_write, write_whole

MOST_PIXELS = 480
"""Wider pictures are made smaller: a page of many runs should stay light."""


def render(template: str, **values: Any) -> str:
    """Fill in a template of this folder.

    Args:
        template: its file, such as compare.html.jinja.
        values: what it names, besides its style `css`, the `policy` that allows this style and
            pictures in the file itself and nothing else, and the `version` of zerosum.
    """
    css = resources.files("zerosum").joinpath("pages/page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    environment = Environment(
        loader=PackageLoader("zerosum", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    made = environment.get_template(template)
    return made.render(policy=policy, css=Markup(css), version=__version__, **values)


def svg_url(svg: str) -> str:
    """An SVG as a data URL. As an image it keeps its own style, and could run nothing."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def picture_url(picture: Image.Image) -> str:
    """A picture as a data URL, encoded anew so that it holds nothing but its pixels."""
    if picture.width > MOST_PIXELS:
        height = max(1, round(picture.height * MOST_PIXELS / picture.width))
        picture = picture.resize((MOST_PIXELS, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def require_html(out: Path) -> None:
    """Refuse to write a page over what is likely something else.

    Raises:
        UserError: the name does not end in .html.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(
            f"Received --out {out}: expected a name that ends in .html, such as compare.html."
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
