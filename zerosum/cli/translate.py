"""`zerosum translate`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from zerosum.cli.show import renamed
from zerosum.config.specs import Fit

PathOrPipe = Annotated[str, Parameter(allow_leading_hyphen=True)]
"""A file, a folder or -; without the permission, - would pass for a flag."""


def translate(
    run: str,
    *images: PathOrPipe,
    out: PathOrPipe | None = None,
    size: str | None = None,
    fit: Fit | None = None,
    restore: bool = False,
    seed: int = 0,
    no_ema: bool = False,
    reverse: bool = False,
    checkpoint: str = "newest",
    device: str = "auto",
    recipe: str | None = None,
    raw: Annotated[bool, Parameter(show=False)] = False,
) -> None:
    """Let a run's generator make images of images.

    Args:
        run: The run directory, of pix2pix or cyclegan, or the name of one in runs/; or what zerosum
            export wrote, the folder or model.onnx; or hf://OWNER/NAME.
        images: Image files, folders of them, or - for an image on standard input.
        out: FILE.png, .jpg or .webp; FILE.tif for 16 bits, FILE.npy for floats in [-1, 1]; a
            folder; or - for a PNG on standard output. [default: NAME-translated.png here, or the
            folder translated/ for several]
        size: N or HEIGHTxWIDTH, to which images are brought. [default: their own]
        fit: What becomes of another aspect than that of --size: crop takes the middle, pad adds
            black, squash distorts, short-side keeps it and makes the shorter side N. [default:
            crop]
        restore: Bring each result back to its image's own size; not with crop.
        seed: Decides the noise, where the run has any; the same seed gives the same image.
        no_ema: Use G's own weights instead of their moving average.
        reverse: Translate from target to source, where the run learnt both ways.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        device: auto, cpu, cuda, cuda:N or mps.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
        raw: The old name of --no-ema.
    """
    from zerosum.export.opening import open_model
    from zerosum.inference.run import print_notice
    from zerosum.inference.translate_files import write_translations

    written = write_translations(
        open_model(run, recipe=recipe),
        images,
        out,
        size=size,
        fit=fit,
        restore=restore,
        notice=print_notice,
        seed=seed,
        ema=not (no_ema or (raw and renamed("--raw", "--no-ema"))),
        reverse=reverse,
        checkpoint=checkpoint,
        device=device,
    )
    if written != "standard output":  # or the image would have words in it
        print(f"Wrote {written}.")
