"""How samples and runs show themselves in a notebook."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from zerosum.reading import read_bytes

MOST_IMAGES = 64
"""Images of an array that its picture shows, the first ones."""
MOST_PIXELS = 1000
"""Height and width of a picture; a larger one is made smaller."""


class ShownSamples(np.ndarray[Any, np.dtype[Any]]):
    """An array of samples that a notebook shows as a picture; all else is as of a plain array.

    A picture is shown of images, uint8 (n, h, w, c), and of points, float (n, 2), and so of slices
    of them too. What is computed from one is a plain array.
    """

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **how: Any
    ) -> Any:
        if out is not None:
            how["out"] = tuple(map(plain, out))
        result = getattr(ufunc, method)(*map(plain, inputs), **how)
        if out is None:
            return result
        return out[0] if len(out) == 1 else out

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return plain(super().__array_function__(func, types, args, kwargs))

    def astype(self, *how: Any, **named: Any) -> Any:
        """As of any array, and plain."""
        return plain(self).astype(*how, **named)

    def __reduce__(self) -> Any:
        return plain(self).__reduce__()

    def __repr__(self) -> str:
        return repr(plain(self))

    def _repr_png_(self) -> bytes | None:
        """A picture of them, or None of an array that holds neither images nor points."""
        from zerosum.plots.charts import scatter
        from zerosum.plots.grids import comfortable_scale, grid

        array = plain(self)
        if array.size and array.dtype == np.uint8 and array.ndim == 4:
            scale = comfortable_scale(*array.shape[1:3])
            picture = grid(array[:MOST_IMAGES], scale=scale)
        elif array.size and array.dtype.kind == "f" and array.ndim == 2 and array.shape[1] == 2:
            picture = scatter(array)
        else:
            return None
        picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
        content = io.BytesIO()
        picture.save(content, format="PNG", optimize=True)
        return content.getvalue()


def plain(value: Any) -> Any:
    """The same as a plain array, in tuples and lists too; anything else is itself."""
    if isinstance(value, ShownSamples):
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    return value


def shown(samples: np.ndarray[Any, np.dtype[Any]]) -> ShownSamples:
    """The same array, that shows itself."""
    return samples.view(ShownSamples)


def facts_html(title: str, facts: Iterable[tuple[str, str]], picture: Path | None) -> str:
    """A title, a table of facts and a picture, in which nothing is markup."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align: left">{escape(name)}</th>'
        f'<td style="text-align: left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    image = ""
    if picture is not None:
        content = base64.b64encode(read_bytes(picture)).decode("ascii")
        image = f'<img alt="{escape(picture.name)}" src="data:image/png;base64,{content}">'
    return f"<table><caption>{escape(title)}</caption>{rows}</table>{image}"
