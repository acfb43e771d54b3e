"""`zerosum runs`: which runs there are, and making room."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from zerosum.cli.show import show
from zerosum.errors import UserError, and_more

if TYPE_CHECKING:
    from rich.table import Table

    from zerosum.training.run_list import RunSummary

WIDE = 120
"""Columns of a terminal that all of the table fits in."""

runs = App(name="runs", help="List runs; remove some, or checkpoints of them.")


@runs.default
def list_runs(
    folder: Path = Path("runs"),
    *,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """List the runs in a folder, those that changed last first.

    Args:
        folder: Where they lie.
        as_json: Print JSON instead of a table.
    """
    from zerosum.training.run_list import list_runs as summaries

    found = summaries(folder)
    if as_json:
        records = [{**asdict(run), "path": str(run.path)} for run in found]
        print(json.dumps({"runs": records}, indent=2))
    elif found:
        show(runs_table(found, short=terminal_width() < WIDE))
    else:
        print(f"There are no runs in '{folder}'. zerosum train makes one.")


@runs.command
def rm(*paths: Annotated[Path, Parameter(name="RUN")], yes: bool = False) -> None:
    """Remove runs: all that zerosum wrote there, and the folder if nothing else is in it.

    Args:
        paths: Run directories, or names of runs in runs/.
        yes: Remove without a question.
    """
    from zerosum.training.run_list import named_runs, on_disk, shown_bytes

    found = named_runs(paths)
    if not found:
        raise UserError(
            "Received no run to remove: expected run directories, as zerosum runs lists."
        )
    names = [str(directory.path) for directory in found]
    size = shown_bytes(sum(on_disk(directory.path)[0] for directory in found))
    if not confirmed(f"Remove {counted(len(found), 'run')}, {size}: {and_more(names)}?", yes=yes):
        return
    for directory in found:
        others = directory.discard()
        rest = f", but for what is not zerosum's: {and_more(others)}" if others else ""
        print(f"Removed {directory.path}{rest}.")


@runs.command
def prune(
    *paths: Annotated[Path, Parameter(name="RUN")],
    keep: Literal["best", "newest"] | None = None,
    yes: bool = False,
) -> None:
    """Remove the checkpoints of runs, but for the newest and the best; the rest of a run stays.

    Args:
        paths: Run directories, or names of runs in runs/. [default: all runs in runs/]
        keep: Keep the best alone, or the newest alone, from which a training goes on. [default:
            both]
        yes: Remove without a question.
    """
    from zerosum.training.run_directory import RUNS
    from zerosum.training.run_list import list_runs as summaries
    from zerosum.training.run_list import named_runs, plan_pruning, shown_bytes
    from zerosum.training.run_list import prune as remove

    if not paths:
        usable = [run for run in summaries(RUNS) if run.problem is None]
        for run in usable:
            if run.training:
                tell(f"Left out '{run.path}': a process is training in it.")
        paths = tuple(run.path for run in usable if not run.training)
    plans = [plan_pruning(directory, keep) for directory in named_runs(paths)]
    for plan in plans:
        if not plan.kept and plan.directory.checkpoints.seen():
            tell(f"Left '{plan.directory.path}' as it is: none of its checkpoints is whole.")
    plans = [plan for plan in plans if plan.removed]
    if not plans:
        print("There is no checkpoint to remove.")
        return
    count = counted(sum(len(plan.removed) for plan in plans), "checkpoint")
    size = shown_bytes(sum(plan.bytes for plan in plans))
    names = [
        f"{plan.directory.path} (keeps {', '.join(f'{seen:,}' for seen in plan.kept)})"
        for plan in plans
    ]
    if confirmed(f"Remove {count}, {size}, of {and_more(names)}?", yes=yes):
        for plan in plans:
            remove(plan)
        print(f"Removed {count}, {size}.")


def terminal_width() -> int:
    """Columns of the terminal; where there is none, as many as anybody wants."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE


def runs_table(found: list[RunSummary], *, short: bool = False) -> Table:
    """One row a run; below, what is wrong with those that cannot be read.

    Args:
        found: the runs.
        short: whether to leave out what most names of runs say already, for a narrow terminal.
    """
    from rich.text import Text

    from zerosum.plots.tables import table
    from zerosum.training.run_list import shown_age, shown_bytes

    columns = ["run", "images", "best", "health", "changed"]
    if not short:
        columns = ["run", "recipe", "data", "images", "best metric", "health", "changed", "disk"]
    made = table(*columns)
    made.columns[0].no_wrap = True  # a path is copied whole
    now = time.time()
    for run in found:
        age = "training now" if run.training else shown_age(now - run.changed)
        images = f"{run.seen:,}" + (f" of {run.images:,}" if run.images is not None else "")
        best = "" if run.best is None else f"{run.best:.4g}"
        facts = [images, best if short or not best else f"{best} {run.metric}", run.health or ""]
        if short and run.images:
            facts[0] = f"{run.seen / run.images:.0%}"
        if not short:
            facts = [run.recipe or "", run.data or "", *facts]
        if run.problem is not None:
            facts = ["damaged", *[""] * (len(facts) - 1)]
        # As Text: a path in brackets is no markup.
        row = [str(run.path), *facts, age]
        made.add_row(*map(Text, row if short else [*row, shown_bytes(run.bytes)]))
    problems = [f"{run.path}: {run.problem}" for run in found if run.problem is not None]
    if problems:
        made.caption = Text("\n".join(problems))
        made.caption_justify = "left"
    return made


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask the person at the terminal, unless they have said yes already.

    Raises:
        UserError: there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError(f"{question} There is no terminal to answer at: add --yes.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("Nothing was removed.")
    return False


def tell(text: str) -> None:
    """Say what else there is to know."""
    print(f"zerosum: {text}", file=sys.stderr)


def counted(number: int, what: str) -> str:
    """A number of things: "1 run", "2 runs"."""
    return f"{number} {what}{'s' * (number != 1)}"
