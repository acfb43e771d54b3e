"""Pictures as a film, one after the other: a training's epochs, a walk through z."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from zerosum.data.decode import SHEET, SOFTWARE
from zerosum.errors import UserError
from zerosum.files import WRITING, write_whole
from zerosum.reading import open_file

FRAME_MILLISECONDS = 400
LAST_MILLISECONDS = 2000
FILMS = (".gif", ".webp", ".mp4")
"""What the name of a film may end in."""
WEBP_QUALITY = 90


def require_film(path: Path) -> None:
    """Make sure that a film can be written under a name that ends in one of `FILMS`.

    Raises:
        UserError: it needs a program that is not there.
    """
    if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise UserError(
            f"'{path.name}' needs the program ffmpeg, which is not on PATH. Install it, or choose "
            "a name that ends in .webp or .gif."
        )


def save_film(frames: Sequence[Image.Image], path: Path, *, frame_milliseconds: int) -> None:
    """Write a film that rests on its last frame and, but for an MP4, loops.

    Args:
        frames: pictures of one size, at least one.
        path: the file to write, whose name ends in one of `FILMS`.
        frame_milliseconds: how long each frame but the last is shown.

    Raises:
        UserError: ffmpeg, which writes an MP4, is not there or fails.
        OSError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".mp4":
        save_mp4(frames, path, frame_milliseconds=frame_milliseconds)
        return
    pictures = [
        frame.convert("P", palette=Image.Palette.ADAPTIVE) if suffix == ".gif" else frame
        for frame in frames
    ]
    last = max(frame_milliseconds, LAST_MILLISECONDS)
    content = io.BytesIO()
    exif = Image.Exif()
    exif[SOFTWARE] = SHEET
    pictures[0].save(
        content,
        format="GIF" if suffix == ".gif" else "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=[frame_milliseconds] * (len(pictures) - 1) + [last],
        loop=0,
        **(
            {"comment": SHEET.encode()}
            if suffix == ".gif"
            else {"quality": WEBP_QUALITY, "exif": exif}
        ),
    )
    write_whole(path, content.getvalue())


def save_mp4(frames: Sequence[Image.Image], path: Path, *, frame_milliseconds: int) -> None:
    """Write an MP4 by ffmpeg, which is given raw frames on its standard input.

    Raises:
        UserError: ffmpeg is not there or fails.
        OSError: the file cannot be written.
    """
    require_film(path)
    width, height = frames[0].size
    rest = max(frame_milliseconds, LAST_MILLISECONDS) // frame_milliseconds
    temporary = path.with_name(f".{path.name}.{os.getpid()}{WRITING}")
    command = [
        *("ffmpeg", "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
        *("-r", f"1000/{frame_milliseconds}", "-i", "-"),
        # Players want colours at half of the resolution, for which sides have to be even.
        *("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"),
        *("-f", "mp4", str(temporary)),
    ]
    shown = [*frames, *[frames[-1]] * (rest - 1)]
    raw = b"".join(frame.convert("RGB").tobytes() for frame in shown)
    try:
        done = subprocess.run(command, input=raw, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise UserError(
                f"ffmpeg could not write '{path}': {said[-1]}. Choose a name that ends in .webp or "
                ".gif, or another place."
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_frame(picture: Path) -> Image.Image:
    """Read a saved picture as a frame.

    Raises:
        OSError, SyntaxError: it is damaged.
    """
    with open_file(picture) as file, Image.open(file, formats=["PNG"]) as image:
        return image.copy()
