"""A training as a film: the pictures of its epochs, one after the other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from zerosum.files import write_whole

FRAME_MILLISECONDS = 400
LAST_MILLISECONDS = 2000


def save_film(frames: Sequence[Image.Image], path: Path, *, frame_milliseconds: int) -> None:
    """Write an animated GIF that loops and rests on its last frame.

    Args:
        frames: pictures of one size, at least one.
        path: the file to write.
        frame_milliseconds: how long each frame but the last is shown.
    """
    first, *rest = (frame.convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames)
    durations = [frame_milliseconds] * len(rest) + [max(frame_milliseconds, LAST_MILLISECONDS)]
    content = io.BytesIO()
    first.save(content, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    write_whole(path, content.getvalue())


def read_frame(picture: Path) -> Image.Image:
    """Read a saved picture as a frame.

    Raises:
        OSError, SyntaxError: it is damaged.
    """
    with Image.open(picture, formats=["PNG"]) as image:
        return image.copy()
