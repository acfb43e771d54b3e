"""What a folder of runs holds, in a line each; and making room in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zerosum.errors import UserError
from zerosum.metrics.registry import better
from zerosum.training.checkpoint import is_whole
from zerosum.training.log import History
from zerosum.training.run_directory import CONFIG, LOCK, RunDirectory, find_run, no_run_here

Keep = Literal["best", "newest"]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One run in short.

    Attributes:
        path: the run directory.
        bytes: what its folder takes on the disk.
        changed: when anything in it changed last, in seconds since 1970.
        problem: why the rest is not known, if it is not.
        recipe, data: of its config.
        seen: images trained on so far.
        images: the budget in images, where it was given in images or follows from the log.
        metric: the name of the metric that chooses the best checkpoint, if it was evaluated.
        best: the best value of it.
        health: the last verdict.
        training: whether a process is training in it now.
    """

    path: Path
    bytes: int
    changed: float
    problem: str | None = None
    recipe: str | None = None
    data: str | None = None
    seen: int = 0
    images: int | None = None
    metric: str | None = None
    best: float | None = None
    health: str | None = None
    training: bool = False


def list_runs(folder: Path) -> list[RunSummary]:
    """Sum up the runs in a folder, or the one that it is, those that changed last first.

    A run of which something cannot be read is among them, with the reason.

    Raises:
        UserError: there is no such folder, or it cannot be listed.
    """
    if RunDirectory(folder).exists():
        return [summarize(folder)]
    try:
        found = [path for path in folder.iterdir() if holds_run(path)]
    except OSError as error:
        raise UserError(f"The folder '{folder}' cannot be listed: {error.strerror}.") from None
    return sorted(map(summarize, found), key=lambda run: -run.changed)


def holds_run(path: Path) -> bool:
    """Whether a folder holds a run, or what is left of one, and not another program's files."""
    directory = RunDirectory(path)
    if directory.exists():
        return not directory.is_foreign()
    return directory.log_path.is_file() and directory.checkpoints.directory.is_dir()


def summarize(path: Path) -> RunSummary:
    """Sum up a run directory."""
    directory = RunDirectory(path)
    size, changed = on_disk(path)
    common: dict[str, Any] = {"path": path, "bytes": size, "changed": changed}
    try:
        saved = directory.read_config()
        config, recipe = saved["config"], str(saved["recipe"])
        history = directory.history()
        name = next(iter(history.metrics), None)
        return RunSummary(
            **common,
            recipe=recipe,
            data=str(config["data"]),
            seen=history.seen,
            images=budget_of(config, history),
            metric=name,
            best=None if name is None else history.best(name, better=better(name))[1],
            health=history.health,
            training=directory.is_training(),
        )
    except UserError as error:
        return RunSummary(**common, problem=str(error))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        return RunSummary(**common, problem=f"It is not as train writes it: {reason}.")


def budget_of(config: dict[str, Any], history: History) -> int | None:
    """The budget in images; of one in epochs it follows from how many images an epoch has."""
    if config.get("images") is not None:
        return int(config["images"])
    if not history.epochs or config.get("epochs") is None:
        return None
    return round(float(config["epochs"]) * history.seen / history.epochs)


def on_disk(folder: Path) -> tuple[int, float]:
    """How many bytes the files in a folder have, and when one of them changed last."""
    size, changed = 0, 0.0
    for path in folder.rglob("*"):
        try:
            if path.is_file() and path.name != LOCK:
                found = path.stat()
                size, changed = size + found.st_size, max(changed, found.st_mtime)
        except OSError:  # which a training has just removed
            continue
    return size, changed


def named_runs(paths: tuple[Path, ...]) -> list[RunDirectory]:
    """The runs that a user names, each once, to change them.

    Raises:
        UserError: one is no run of ours, or a process is training in it.
    """
    found: dict[Path, RunDirectory] = {}
    for path in paths:
        directory = RunDirectory(find_run(path))
        if not directory.exists():
            raise UserError(no_run_here(path))
        if directory.is_foreign():
            raise UserError(
                f"The {CONFIG} in '{directory.path}' is none of zerosum's: expected a run. Nothing "
                "was removed."
            )
        if directory.is_training():
            raise UserError(
                f"A process is training in '{directory.path}'. Stop it first. Nothing was removed."
            )
        found.setdefault(directory.path.resolve(), directory)
    return list(found.values())


@dataclass(frozen=True)
class Pruning:
    """What pruning a run comes to.

    Attributes:
        directory: the run directory.
        kept: the images seen at the checkpoints that stay; () where none is whole, and none goes.
        removed: at those that go.
        bytes: what they take on the disk.
    """

    directory: RunDirectory
    kept: tuple[int, ...]
    removed: tuple[int, ...]
    bytes: int


def plan_pruning(directory: RunDirectory, keep: Keep | None) -> Pruning:
    """Say which checkpoints of a run go, without removing any.

    What stays is read and found whole first. Where none is, none goes.

    Args:
        directory: the run directory.
        keep: "best" or "newest" alone; None for both. Without a metric the newest is the best.
    """
    checkpoints = directory.checkpoints
    seen = checkpoints.seen()
    newest = next((each for each in reversed(seen) if is_whole(checkpoints.path(each))), None)
    best = checkpoints.best(seen)
    if best is None or not is_whole(checkpoints.path(best)):
        best = newest
    chosen = {"best": {best}, "newest": {newest}}.get(keep or "", {best, newest})
    kept = tuple(each for each in seen if each in chosen)
    removed = tuple(each for each in seen if each not in chosen) if kept else ()
    size = sum(on_disk(checkpoints.path(each))[0] for each in removed)
    return Pruning(directory, kept, removed, size)


def prune(pruning: Pruning) -> None:
    """Remove the checkpoints that are to go.

    Raises:
        UserError: a process has begun to train in the run.
    """
    checkpoints = pruning.directory.checkpoints
    with pruning.directory.locked(), pruning.directory.storage_failures():
        # And no others: where none is whole none goes, and a training may have saved since.
        checkpoints.keep_only({*checkpoints.seen()} - {*pruning.removed})


def shown_bytes(size: float) -> str:
    """A size for people, such as "12 MB"."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def shown_age(seconds: float) -> str:
    """How long ago, such as "3 hours"."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = math.floor(seconds / length)
            return f"{count} {unit}{'s' * (count != 1)}"
    return "now"
