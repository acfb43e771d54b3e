"""The command line: it parses and calls, and turns errors into messages and exit codes.

Flags of `train` are the fields of the recipe's config. Torch is imported by the commands that need
it, when they run: help and completion answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import (
    App,
    Argument,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    UnknownOptionError,
)
from pydantic import ValidationError

from zerosum._version import __version__
from zerosum.cli.aliases import hint_for, modern_flags
from zerosum.cli.compare import compare
from zerosum.cli.data import data
from zerosum.cli.directions import directions
from zerosum.cli.evaluate import evaluate
from zerosum.cli.export import export
from zerosum.cli.invert import invert
from zerosum.cli.log import log
from zerosum.cli.play import play
from zerosum.cli.report import report, watch
from zerosum.cli.runs import runs
from zerosum.cli.show import renamed, show
from zerosum.cli.sweep import sweep_app
from zerosum.cli.train import spelled_out, train_app
from zerosum.cli.translate import translate
from zerosum.config.base import explain
from zerosum.config.specs import read_class_mix, read_mix, read_steps
from zerosum.errors import UserError
from zerosum.streams import guarded_standard_streams

NOT_SAVED = "Interrupted at once: a training goes on from its last checkpoint."


def command_line() -> App:
    """The command line without its commands."""
    return App(
        name="zerosum",
        help="Trains generative adversarial networks. Begin with: zerosum train",
        version=__version__,
        default_parameter=Parameter(negative_bool=(), negative_iterable=(), consume_multiple=True),
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )


app = command_line()
app.command(evaluate)
app.command(compare)


@app.command
def train() -> None:
    """Train a recipe, or go on with a run: the same command again resumes it."""
    # Listed in the help only: its flags depend on the recipe, see `run`.


@app.command
def sweep() -> None:
    """Train a recipe many times, to find its best settings; goes on where it left off."""
    # As `train`: listed in the help only.


app.command(translate)
app.command(invert)
app.command(directions)
app.command(export)
app.command(play)
app.command(data)
app.command(runs)
app.command(log)
app.command(report)
app.command(watch)


@app.command
def sample(
    run: str,
    *,
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    seed: int = 0,
    out: Path = Path("samples.png"),
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
            for a walk through z; FILE.npz for arrays; or a folder.
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
    write_samples(
        opened,
        out,
        presentation=presentation,
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
    )
    print(f"Wrote {out}.")


@app.command
def recipes() -> None:
    """List the recipes."""
    from zerosum.cli.tables import recipes_table

    show(recipes_table())


@app.command
def doctor() -> None:
    """Say what this machine can do: versions, devices, processors, memory, data."""
    from zerosum.cli.doctor import doctor_table

    show(doctor_table())


OF_RECIPES = {"train": train_app, "sweep": sweep_app}
"""Commands whose flags depend on the recipe, and what makes them for one command line."""


def run(tokens: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit code: 0 done, 2 bad usage or input; of a training that stopped and saved, 129 for
        a terminal that was closed, 130 interrupted, 143 terminated; 141 where whoever read the
        output has left, of a training likewise saved; 1 anything else, such as a full disk under
        standard output. Before there is anything to save, Ctrl-C is 130 and quiet.
    """
    with guarded_standard_streams() as output:
        exit_code = run_guarded(tokens)
        if output is not None:
            output.flush()
            if output.failure is not None and exit_code == 0:
                return output_lost(output.failure)
    return exit_code


def output_lost(failure: OSError) -> int:
    """Say that standard output took not all; where its reader has left, that is no news."""
    if failure.errno == errno.EPIPE:
        return 141
    return complain(f"Standard output could not be written: {failure.strerror}.", 1)


def run_guarded(tokens: Sequence[str]) -> int:
    """Run one command line, as `run`, where standard output and error do not fail."""
    try:
        called = app
        if tokens and tokens[0] in OF_RECIPES:
            name, *rest = tokens
            tokens = [name, *spelled_out(modern_flags(rest))]
            called = command_line()
            called.command(OF_RECIPES[name](tokens[1:]))
        called(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        cause = error.__cause__
        text = explain(cause) if isinstance(cause, ValidationError) else str(error)
        if isinstance(error, MissingArgumentError) and error.argument and not error.keyword:
            text = f"{missing(error.argument)} is missing: zerosum {tokens[0]} needs it."
        if isinstance(error, UnknownOptionError) and (hint := hint_for(error.token.keyword or "")):
            text = f"There is no {error.token.keyword}: {hint}."
        return complain(f"{text}\nSee 'zerosum --help' and 'zerosum COMMAND --help'.", 2)
    except UserError as error:
        return complain(str(error), error.exit_code)
    except KeyboardInterrupt as interrupt:
        trains = tokens[:1] == ["train"] or not tokens
        told = str(interrupt) or (NOT_SAVED if trains else "Interrupted.")
        return complain(told, getattr(interrupt, "exit_code", 130))
    return 0


def missing(argument: Argument) -> str:
    """An argument that was left out, as the help calls it: RUN where it stands alone, or --out."""
    name = argument.names[0] if argument.names else argument.name
    alone = argument.field_info.kind is not argument.field_info.KEYWORD_ONLY
    return name.lstrip("-").upper() if alone else name


def complain(text: str, exit_code: int) -> int:
    """Print a message on standard error and hand the exit code on.

    Of the processes of one training, the first to have something to say is the one that says it.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and "RANK" in os.environ:
        from zerosum.training.torchrun import first_to_speak

        if not first_to_speak():
            return exit_code
    print(f"zerosum: {text}", file=sys.stderr)
    return exit_code


def main() -> None:
    """Run the command line of this process."""
    # How long a thread that waits for the others spins before it sleeps; GNU OpenMP reads it when
    # torch is imported. Its own, longer default halves the pace when several processes train on the
    # same processors (docs/results.md); alone, this costs nothing measurable.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    sys.exit(run(sys.argv[1:]))
