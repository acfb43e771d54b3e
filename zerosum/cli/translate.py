"""`zerosum translate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zerosum.cli.show import renamed

PathOrPipe = Annotated[str, Parameter(allow_leading_hyphen=True)]
"""A file, a folder or -; without the permission, - would pass for a flag."""


def translate(
    run: Path,
    image: PathOrPipe,
    *,
    out: PathOrPipe,
    size: str | None = None,
    seed: int = 0,
    no_ema: bool = False,
    reverse: bool = False,
    checkpoint: str = "newest",
    device: str = "auto",
    recipe: str | None = None,
    raw: Annotated[bool, Parameter(show=False)] = False,
) -> None:
    """Let a run's generator make an image of an image, or of every image in a folder.

    Args:
        run: The run directory, of pix2pix or cyclegan.
        image: An image file, a folder of them, or - for an image on standard input.
        out: FILE.png, .jpg or .webp, a folder, or - for a PNG on standard output.
        size: N or HEIGHTxWIDTH, to which images are cropped and resized. [default: their own]
        seed: Decides the noise, where the run has any; the same seed gives the same image.
        no_ema: Use G's own weights instead of their moving average.
        reverse: Translate from target to source, where the run learnt both ways.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        device: auto, cpu, cuda, cuda:N or mps.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
        raw: The old name of --no-ema.
    """
    from zerosum.inference.run import Run, print_notice
    from zerosum.inference.translate_files import write_translations

    written = write_translations(
        Run(run, recipe=recipe),
        image,
        out,
        size=size,
        notice=print_notice,
        seed=seed,
        ema=not (no_ema or (raw and renamed("--raw", "--no-ema"))),
        reverse=reverse,
        checkpoint=checkpoint,
        device=device,
    )
    if out != "-":  # or the image would have words in it
        print(f"Wrote {written}.")
