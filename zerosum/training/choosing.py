"""Choosing one of a run's checkpoints to look at, by the names that users give them."""

from __future__ import annotations

import sys

from zerosum.errors import UserError
from zerosum.training.checkpoint import Damaged, Snapshot, read
from zerosum.training.run_directory import RunDirectory


def choose(directory: RunDirectory, checkpoint: str | int) -> Snapshot:
    """Read a checkpoint.

    Args:
        directory: the run's.
        checkpoint: "newest", "best", or the images seen at one of those kept.

    Raises:
        UserError: there is none, not that one, or it is damaged.
    """
    which = str(checkpoint)
    checkpoints = directory.checkpoints
    kept = checkpoints.seen()
    if not kept:
        raise UserError(
            f"The run '{directory.path}' has no checkpoint yet: train it first, or longer."
        )
    if which == "newest":
        return newest_whole(directory)
    wanted = checkpoints.best() if which == "best" else None
    if wanted is None and which.isdecimal():
        wanted = int(which)
    if wanted not in kept:
        raise UserError(
            f"The run '{directory.path}' has no checkpoint '{which}'. It keeps: "
            f"{', '.join(map(str, kept))}; expected one of them, newest or best."
        )
    try:
        return read(checkpoints.path(wanted))
    except Damaged as damage:
        raise UserError(
            f"The checkpoint '{checkpoints.path(wanted)}' is damaged: {damage}. Choose another "
            f"with --checkpoint; the run keeps {', '.join(map(str, kept))}."
        ) from None


def newest_whole(directory: RunDirectory) -> Snapshot:
    """Read the newest checkpoint that is whole; say loudly which newer ones are not."""
    damages: list[str] = []
    for seen, snapshot in directory.checkpoints.newest():
        if not isinstance(snapshot, Damaged):
            for damage in damages:
                print(
                    f"WARNING: {damage} Using the one before, at {seen:,} images.",
                    file=sys.stderr,
                )
            return snapshot
        damages.append(f"damaged checkpoint {directory.checkpoints.path(seen)}: {snapshot}.")
    raise UserError(
        f"No checkpoint of '{directory.path}' is whole: {' '.join(damages)} Restore one from a "
        "copy."
    )
