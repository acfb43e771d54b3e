"""`zerosum directions`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def directions(
    run: str,
    *,
    out: Path = Path("directions"),
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 10,
    label: str | None = None,
    seed: int = 0,
    no_ema: bool = False,
    checkpoint: str = "newest",
    device: str = "auto",
    recipe: str | None = None,
) -> None:
    """Find the directions of z along which a generator's images change most.

    Writes directions.png, in which each row moves a few images along one direction, and
    directions.npz, which zerosum sample --along takes.

    Args:
        run: The run directory, or the name of one in runs/; or an exported folder; or
            hf://OWNER/NAME.
        out: A folder that is empty or not there yet.
        count: How many directions, the one that changes most first.
        label: The class of the images that are shown, by name or number; the directions are those
            of all classes. [default: all classes in turn]
        seed: Decides the images that are shown, the first ones of zerosum sample --seed; the
            directions do not depend on it.
        no_ema: Use the generator's own weights instead of their moving average.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        device: auto, cpu, cuda, cuda:N or mps.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
    """
    from zerosum.export.opening import open_model
    from zerosum.inference.direction_files import ARRAYS, SHEET, percent, write_directions

    found = write_directions(
        open_model(run, recipe=recipe),
        out,
        count=count,
        label=label,
        seed=seed,
        ema=not no_ema,
        checkpoint=checkpoint,
        device=device,
    )
    for number, share in enumerate(found.shares, start=1):
        print(f"Direction {number}: {percent(share)} of the change")
    print(f"Wrote {out}/ ({SHEET}, {ARRAYS}).")
    along = shlex.quote(str(out / ARRAYS))
    print(f"Try: zerosum sample {shlex.quote(run)} --direction 1:+2 --along {along}")
