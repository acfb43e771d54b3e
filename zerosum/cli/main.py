"""The command line: it parses and calls, and turns errors into messages and exit codes.

Flags of `train` are the fields of the recipe's config. Torch is imported by the commands that need
it, when they run: help and completion answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

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
from zerosum.cli.bench import bench
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
from zerosum.cli.sample import sample
from zerosum.cli.show import show
from zerosum.cli.sweep import sweep_app
from zerosum.cli.train import spelled_out, train_app
from zerosum.cli.translate import translate
from zerosum.config.base import explain
from zerosum.errors import UserError, visible
from zerosum.reading import expanded
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
app.command(bench)
app.command(log)
app.command(report)
app.command(watch)


app.command(sample)


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
        tokens = [home_in(token) for token in tokens]
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
            command = " ".join(error.command_chain or tokens[:1])
            text = f"{missing(error.argument)} is missing: zerosum {command} needs it."
        if isinstance(error, UnknownOptionError) and (hint := hint_for(error.token.keyword or "")):
            text = f"There is no {error.token.keyword}: {hint}."
        return complain(f"{text}\nSee 'zerosum --help' and 'zerosum COMMAND --help'.", 2)
    except UserError as error:
        return complain(str(error), error.exit_code)
    except MemoryError:
        return complain("The memory is not enough for this. Choose less at once, or less of it.", 1)
    except OSError as error:
        if error.filename is None:  # then it is no file of the user's that is meant
            raise
        path, reason = os.fsdecode(error.filename), error.strerror
        return complain(f"'{path}' cannot be used: {reason}. Name another, or mend this one.", 1)
    except KeyboardInterrupt as interrupt:
        trains = tokens[:1] == ["train"] or not tokens
        told = str(interrupt) or (NOT_SAVED if trains else "Interrupted.")
        return complain(told, getattr(interrupt, "exit_code", 130))
    return 0


def home_in(token: str) -> str:
    """Put the user's home into --flag=~/..., where shells leave it to the program.

    Raises:
        UserError: nobody knows that home.
    """
    flag, equals, value = token.partition("=")
    if not (flag.startswith("--") and value.startswith("~") and "/" in value):
        return token
    return f"{flag}{equals}{expanded(value)}"


def missing(argument: Argument) -> str:
    """An argument that was left out, as the help calls it: RUN where it stands alone, or --out."""
    name = argument.names[0] if argument.names else argument.name
    alone = argument.field_info.kind is not argument.field_info.KEYWORD_ONLY
    return name.lstrip("-").upper() if alone else name


def complain(text: str, exit_code: int) -> int:
    """Print a message on standard error and hand the exit code on.

    Of the processes of one training, the first to have something to say is the one that says it.
    """
    if is_one_of_several():
        from zerosum.training.torchrun import first_to_speak

        if not first_to_speak():
            return exit_code
    print(f"zerosum: {visible(text)}", file=sys.stderr)
    return exit_code


def is_one_of_several() -> bool:
    """Whether torchrun, or whoever sets its variables, has started more processes than this."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ


def main() -> None:
    """Run the command line of this process."""
    # How long a thread that waits for the others spins before it sleeps; GNU OpenMP reads it when
    # torch is imported. Its own, longer default halves the pace when several processes train on the
    # same processors (docs/results.md); alone, this costs nothing measurable.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    exit_code = run(sys.argv[1:])
    if is_one_of_several():
        from zerosum.training.torchrun import leave

        leave(exit_code)
    sys.exit(exit_code)
