"""`zerosum log`: the log of a run that was trained before, sent to loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zerosum.config.specs import LOGGERS, parse_loggers
from zerosum.errors import UserError


def log(run: Path, *, to: Annotated[str, Parameter(name="--to")]) -> None:
    """Send the log of a run to loggers: what they do not have of it yet, each step once.

    Args:
        run: The run directory, or the name of one in runs/.
        to: tensorboard, wandb, trackio, with commas between.
    """
    try:
        names = parse_loggers(to)
    except ValueError as error:
        raise UserError(f"--to: received '{to}', {error}.") from None
    if not names:
        raise UserError(f"--to: received '{to}', expected some of {', '.join(LOGGERS)}.")

    from zerosum.callbacks.loggers import require_packages
    from zerosum.callbacks.loggers.feed import LogFeed
    from zerosum.training.run_directory import RunDirectory, find_run

    require_packages(names)
    directory = RunDirectory(find_run(run))
    directory.read_config()
    with directory.locked(), LogFeed(directory, names, print) as feed:
        feed.catch_up()
    for name in names:
        if name not in feed.failed:
            count = feed.num_sent[name]
            told = f"{count:,} step{'s' * (count != 1)} sent" if count else "had all of it"
            print(f"{name}: {told}.")
    if feed.failed:
        raise UserError(f"Not all was sent: {', '.join(feed.failed)} failed, as told above.")
