"""`zerosum sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from zerosum.cli.show import renamed
from zerosum.config.specs import read_class_mix, read_mix, read_steps


def sample(
    run: str,
    *,
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    seed: int = 0,
    out: Path = Path("samples.png"),
    form: Annotated[Literal["png", "webdataset", "parquet"] | None, Parameter(name="--format")] = (
        None
    ),
    grid: bool = False,
    label: str | None = None,
    class_mix: str | None = None,
    z: Path | None = None,
    mix: str | None = None,
    direction: Annotated[list[str] | None, Parameter(consume_multiple=False)] = None,
    along: Path | None = None,
    truncation: float = 1.0,
    no_ema: bool = False,
    checkpoint: str = "newest",
    device: str = "auto",
    batch_size: int = 256,
    recipe: str | None = None,
    raw: Annotated[bool, Parameter(show=False)] = False,
) -> None:
    """Let a run's generator make images.

    Args:
        run: The run directory, or the name of one in runs/; or what zerosum export wrote, the
            folder or model.onnx; or hf://OWNER/NAME.
        count: How many images. [default: 16, or as many as --z has, or 9 of --mix]
        seed: Decides the images; the same seed gives the same ones.
        out: FILE.png for a sheet, which of one image is the image itself; FILE.gif, .webp or .mp4
            for a walk through z; FILE.npz for arrays; or a folder. A folder or an .npz may be
            larger than memory, and where making it was stopped, the same command goes on.
        form: What a folder holds: png, a file an image; webdataset, tars; or parquet. [default:
            png]
        grid: Make a sheet of a single image too, enlarged and with a border.
        label: The class of all of them, by its name or counted from 0; a number that is a name is
            meant as the name. [default: all classes in turn]
        class_mix: Classes between which all of them shall be, with weights: cat:0.7,dog:0.3.
        z: FILE.npy of latents, one row an image, or an .npz with z and perhaps their classes, as
            --out FILE.npz and zerosum invert write.
        mix: A:B, two of the images that would be made otherwise, counted from 0: a row of images
            from A to B, or a film there and back.
        direction: NUMBER:STEP, such as 3:+2: how far z is moved along a principal direction, as
            zerosum directions shows them. May be given several times.
        along: FILE.npz, the directions that are meant, as zerosum directions writes them.
            [default: they are found anew]
        truncation: From 0 to 1, what z is multiplied by, once moved: below 1 images are more
            typical and vary less.
        no_ema: Use G's own weights instead of their moving average.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        device: auto, cpu, cuda, cuda:N or mps.
        batch_size: Images that G makes at a time, at most 256: fewer take less memory.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
        raw: The old name of --no-ema.
    """
    from zerosum.export.opening import open_model
    from zerosum.inference.direction_files import read_directions
    from zerosum.inference.latents import read_latents
    from zerosum.inference.sample_files import write_samples
    from zerosum.tasks import task_on

    weights, steps, ends = read_class_mix(class_mix), read_steps(direction), read_mix(mix)
    latents = None if z is None else read_latents(z)
    opened = open_model(run, recipe=recipe)
    classes = None
    if latents is not None and label is None and weights is None:
        classes = latents.told(opened.inputs, opened.classes)
    presentation = task_on(opened.task, opened.spec).presentation
    written = write_samples(
        opened,
        out,
        presentation=presentation,
        form=form,
        count=count,
        seed=seed,
        z=None if latents is None else latents.z,
        classes=classes,
        mix=ends,
        as_grid=grid,
        label=label,
        class_mix=weights,
        directions=steps,
        along=None if along is None else read_directions(along),
        truncation=truncation,
        checkpoint=checkpoint,
        ema=not (no_ema or (raw and renamed("--raw", "--no-ema"))),
        device=device,
        batch_size=batch_size,
    )
    if written:
        print(f"Wrote {written}.")
