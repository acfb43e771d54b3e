"""The command line: it parses and calls, and turns errors into messages and exit codes.

Flags of `train` are the fields of the recipe's config. Torch is imported by the commands that need
it, when they run: help and completion answer at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from zerosum._version import __version__
from zerosum.config import Settings, explain, read_toml, validate
from zerosum.errors import UserError
from zerosum.recipes import RECIPES, get

DEFAULT_RECIPE = "vanilla"
NOT_SAVED = "Interrupted at once: a training goes on from its last checkpoint."

app = App(
    name="zerosum",
    help="Trains generative adversarial networks. Begin with: zerosum train",
    version=__version__,
    default_parameter=Parameter(negative=(), consume_multiple=True),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
train = App(
    name="train",
    help="Train a recipe, or go on with a run: the same command again resumes it.",
    help_format="plaintext",
)
app.command(train)


def train_command(recipe: str) -> Callable[..., None]:
    """Make the command that trains a recipe, with a flag for every field of its config."""

    def command(
        *,
        settings: Any = None,
        config: Annotated[
            Path | None, Parameter(help="A TOML file of settings; flags overrule it.")
        ] = None,
        out: Annotated[
            Path | None, Parameter(help="The run directory. [default: runs/RECIPE-DATA]")
        ] = None,
        fresh: Annotated[
            bool, Parameter(help="Remove the run that is there and start over.")
        ] = False,
        seeds: Annotated[
            int | None,
            Parameter(help="Train so many runs, from --seed on, in OUT-seed-0 …; compare them."),
        ] = None,
    ) -> None:
        from zerosum.api import train_config, train_seeds

        flags = settings.model_dump(exclude_unset=True) if settings else {}
        values = {**(read_toml(config) if config else {}), **flags}
        checked = validate(RECIPES[recipe].config, values)
        if seeds is None:
            train_config(recipe, checked, out=out, fresh=fresh)
        else:
            runs = train_seeds(recipe, checked, count=seeds, out=out, fresh=fresh)
            if seeds > 1:
                compare(*(run.path for run in runs))

    kind: type[Settings] = RECIPES[recipe].config
    command.__annotations__["settings"] = Annotated[kind | None, Parameter(name="*")]
    command.__doc__ = f"{RECIPES[recipe].summary} ({RECIPES[recipe].source})"
    return command


def default_train_command() -> Callable[..., None]:
    """Make the command for `train` without a recipe's name in front: it trains the default.

    A name that is known makes a command of its own, so any name that arrives here is a mistake.
    """
    train_default = train_command(DEFAULT_RECIPE)

    def command(
        recipe: Annotated[str, Parameter(help="The recipe's name, in front of all flags.")] = "",
        /,
        *,
        settings: Any = None,
        config: Path | None = None,
        out: Path | None = None,
        fresh: bool = False,
        seeds: int | None = None,
    ) -> None:
        if recipe:
            get(recipe)
            raise UserError(
                f"The recipe '{recipe}' stood behind flags. Write its name first, as in "
                f"'zerosum train {recipe} --epochs 5'."
            )
        train_default(settings=settings, config=config, out=out, fresh=fresh, seeds=seeds)

    command.__annotations__ |= train_default.__annotations__
    return command


for _name in RECIPES:
    train.command(train_command(_name), name=_name)
train.default(default_train_command())


@app.command
def sample(
    run: Path,
    *,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 16,
    seed: int = 0,
    out: Path = Path("samples.png"),
    raw: bool = False,
    checkpoint: str = "newest",
) -> None:
    """Let a run's generator make images.

    Args:
        run: The run directory.
        count: How many images.
        seed: Decides the images; the same seed gives the same ones.
        out: FILE.png for a grid, FILE.gif for a walk through z, FILE.npz for an array, or a folder.
        raw: Use G's own weights instead of their moving average.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
    """
    from zerosum.reporting.samples import write_samples
    from zerosum.run import Run

    where = write_samples(Run(run), out, count=count, seed=seed, raw=raw, checkpoint=checkpoint)
    print(f"Wrote {where}.")


@app.command
def evaluate(
    source: str,
    *,
    reference: str | None = None,
    protocol: str | None = None,
    split: str | None = None,
    features: str | None = None,
    resize: str | None = None,
    size: str | None = None,
    channels: int | None = None,
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    metrics: str | None = None,
    seed: int = 0,
    raw: bool = False,
    checkpoint: str = "newest",
    neighbours: Path | None = None,
    paired: bool = False,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Measure how close samples come to real images, with a card beside every figure.

    Args:
        source: A run directory, a folder of images or an .npz file.
        reference: The real images: a data set, a folder or an .npz. [default: the run's data]
        protocol: lucic2018, studiogan or clean-fid: the terms of published figures, all of them.
        split: train or test, of a reference that has both. [default: test]
        features: digits, fashion, inception, random or module:callable. [default: by the reference]
        resize: For inception, as torch-fidelity, clean-fid, pytorch-fid or studiogan does.
            [default: torch-fidelity]
        size: N or HEIGHTxWIDTH, to which images that are read are cropped and resized.
        channels: 1 for gray, 3 for RGB, 4 for RGBA, to which images that are read are brought.
        count: Images on either side; fewer where there are fewer. [default: 10000]
        metrics: Names with commas between, such as fid,kid,precision. [default: all]
        seed: Decides the samples, and which images are taken where there are more.
        raw: Use G's own weights instead of their moving average.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        neighbours: FILE.png for samples beside their nearest training images; tells of copying.
        paired: Compare two folders image by image, matched by name: psnr, ssim, lpips, lpips_vgg.
        as_json: Print JSON instead of a table.
    """
    from zerosum.reporting.evaluation import Question, answer
    from zerosum.reporting.pairs import answer_pairs, pairs_table
    from zerosum.reporting.results import results_json, results_table

    question = Question(
        source=source,
        reference=reference,
        protocol=protocol,
        split=split,
        features=features,
        resize=resize,
        size=size,
        channels=channels,
        count=count,
        metrics=metrics or "",
        seed=seed,
        raw=raw,
        checkpoint=checkpoint,
        neighbours=neighbours,
    )
    judge, tabulate = (answer_pairs, pairs_table) if paired else (answer, results_table)
    results = judge(question, notice=lambda text: print(text, file=sys.stderr))
    if as_json:
        print(json.dumps(results_json(results), indent=2))
    else:
        show(tabulate(results))


@app.command
def compare(
    *runs: Path,
    metrics: str | None = None,
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    checkpoint: str = "best",
    seed: int = 0,
    out: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Compare runs over their training seeds: means, intervals, paired differences, verdicts.

    Runs that differ in their seed alone are one group; every group is held against the first.

    Args:
        runs: Two run directories or more.
        metrics: Figures to compute from the checkpoints, such as fid,precision. [default: none,
            the logged figures alone]
        count: Images on either side, for --metrics. [default: 10000]
        checkpoint: newest, best, or the images seen at one that all runs keep, for --metrics.
        seed: Decides the samples, for --metrics.
        out: FILE.html for a page with tables, curves and pictures.
        as_json: Print JSON instead of tables.
    """
    from zerosum.reporting.compare import compare as compare_runs
    from zerosum.reporting.compare_page import insist_on_html, write_page
    from zerosum.reporting.compare_results import comparison_json, comparison_tables
    from zerosum.reporting.evaluation import Question

    if out is not None:
        insist_on_html(out)
    question = None
    if metrics:
        question = Question(
            source="", metrics=metrics, count=count, checkpoint=checkpoint, seed=seed
        )
    comparison = compare_runs(
        runs, question=question, notice=lambda text: print(text, file=sys.stderr)
    )
    if as_json:
        print(json.dumps(comparison_json(comparison), indent=2))
    else:
        show(comparison_tables(comparison))
    if out is not None:
        write_page(comparison, out)
        print(f"Wrote {out}.", file=sys.stderr)


@app.command
def recipes() -> None:
    """List the recipes."""
    from zerosum.reporting.tables import recipes_table

    show(recipes_table())


@app.command
def data() -> None:
    """List the named data sets, and say which are on this machine."""
    from zerosum.reporting.tables import data_table

    show(data_table())


@app.command
def doctor() -> None:
    """Say what this machine can do: versions, devices, processors, memory, data."""
    from zerosum.reporting.doctor import doctor_table

    show(doctor_table())


def show(table: Any) -> None:
    """Print a table, as wide as the terminal or as its text where there is none."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)


def run(tokens: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit code: 0 done, 2 bad usage or input, 130 interrupted and saved, 143 terminated and
        saved, 1 anything else.
    """
    try:
        app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        cause = error.__cause__
        text = explain(cause) if isinstance(cause, ValidationError) else str(error)
        return complain(f"{text}\nSee 'zerosum --help' and 'zerosum COMMAND --help'.", 2)
    except UserError as error:
        return complain(str(error), error.exit_code)
    except KeyboardInterrupt as interrupt:
        return complain(str(interrupt) or NOT_SAVED, getattr(interrupt, "exit_code", 130))
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has enough. Python would complain once more
        # when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return complain(f"Stopped, because nobody reads the output. {NOT_SAVED}", 1)
    return 0


def complain(text: str, exit_code: int) -> int:
    """Print a message on standard error and hand the exit code on."""
    print(f"zerosum: {text}", file=sys.stderr)
    return exit_code


def main() -> None:
    """Run the command line of this process."""
    # How long a thread that waits for the others spins before it sleeps; GNU OpenMP reads it when
    # torch is imported. Its own, longer default halves the pace when several processes train on the
    # same processors (docs/results.md); alone, this costs nothing measurable.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    sys.exit(run(sys.argv[1:]))
