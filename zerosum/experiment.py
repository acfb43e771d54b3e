"""One training from its images to its film: where the parts meet.

Data, recipe, loop, run directory, pictures and score know nothing of one another; here they are
put together.
"""

from __future__ import annotations

import io
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zerosum import recipes
from zerosum._version import __version__
from zerosum.callbacks.console import in_words
from zerosum.callbacks.progress import ProgressCallback
from zerosum.config.base import Settings
from zerosum.config.specs import language_here
from zerosum.data.addresses import is_address
from zerosum.data.catalog import DATASETS
from zerosum.data.images import ImageSet
from zerosum.data.loader import Loader, Position
from zerosum.errors import UserError
from zerosum.files import write_whole
from zerosum.game.core import Game
from zerosum.hardware import choose_device, device_name, exhaustion_explained
from zerosum.inference.run import Run
from zerosum.plots.curves import draw_curve
from zerosum.plots.film import FRAME_MILLISECONDS, read_frame, save_film
from zerosum.plots.grids import save_sheet
from zerosum.preparation import build_game, fits_device, needs_less
from zerosum.report.page import report
from zerosum.tasks import Task, task_on
from zerosum.tasks.inspection import contact_sheet, facts, understanding
from zerosum.training import distributed
from zerosum.training.checkpoint import Snapshot
from zerosum.training.distributed import ProcessLost
from zerosum.training.early_stopping import best_record, collapse, score_of, stalled, verdict_of
from zerosum.training.ema import EMA
from zerosum.training.interfaces import Callback, Callbacks, Evaluation
from zerosum.training.log import History
from zerosum.training.loop import DataLost, Loop, OutputLost, Schedule, TrainingDiverged
from zerosum.training.passes import own_rows
from zerosum.training.resume import check_log, cut_log, require_same_run, restore_newest
from zerosum.training.run_directory import Elsewhere, RunDirectory
from zerosum.training.signals import Interrupted
from zerosum.training.state import Progress, State, spread
from zerosum.training.supervisor import Supervisor
from zerosum.training.warm_start import Fit, WarmStart

IMAGES_SHOWN, POINTS_SHOWN = 25, 2500
"""How much of the data its picture shows."""

_followed: Any = None  # the group of those who play along, and wait to be told what


def require_start(config: Settings, start: WarmStart | None, directory: RunDirectory) -> None:
    """Refuse a run that begins with itself, or keeps layers of D as chance drew them.

    Raises:
        UserError: it would.
    """
    if start is not None and start.run.resolve() == directory.path.resolve():
        raise UserError(
            f"--from names the run '{start.run}', and the new run would be in the same folder. "
            "Choose another with --out."
        )
    if getattr(config, "freeze_d", 0) and (start is None or "D" not in start.parts):
        raise UserError(
            "--freeze-d keeps D's first blocks as they are, and without another run's D they are "
            "as chance drew them. Give --from RUN beside it, or leave it out."
        )


def open_run(
    directory: RunDirectory,
    description: dict[str, Any],
    config: Settings,
    *,
    given: Collection[str] | None = None,
) -> None:
    """Begin a run, or make sure that the one which is there is the same.

    Args:
        directory: the run's.
        description: its config.json.
        config: its settings.
        given: the names of those that the user gave; None for all.

    Raises:
        UserError: it is another run, or the directory cannot be written.
    """
    if directory.exists():
        require_same_run(directory, description, config, given=given)
    directory.write_config(description)


def run_loop(
    recipe: str,
    game: Game,
    config: Settings,
    images: ImageSet,
    directory: RunDirectory,
    *,
    callback: Callback,
    fit: Fit | None = None,
) -> None:
    """Restore the game, where there is something to restore, and play it to the budget's end.

    Args:
        recipe: the recipe's name.
        game: the game.
        config: its settings.
        images: what is trained on.
        directory: where it is kept; it has a config.json.
        callback: what watches the training.
        fit: weights of another run that a new one begins with.
    """
    task = task_on(recipes.get(recipe).task, images.spec)
    started = directory.read_config().get("started_from") or {}
    head_start = distributed.from_first(started.get("ema_seen", 0))
    state = State(game, EMA(game.G.net, half_life=config.ema_half_life, head_start=head_start))
    loader = Loader(
        images,
        batch_size=config.batch_size,
        seed=config.seed,
        device=game.device,
        resident=fits_device(config, images, game.device),
        own=own_of(game),
    )
    budget, ticks = config.budget(len(images)), config.ticks(len(images))

    if fit is not None:
        fit.take_up(state)
        callback.notice(fit.told())
        with directory.storage_failures():  # so that the run goes on when the other is gone
            directory.checkpoints.save(state.snapshot(), seen=0)
    restore_newest(state, directory, callback)

    def fresh(seed: int) -> Snapshot:
        """The state before the first round, under another seed."""
        seeded = config.model_copy(update={"seed": seed})
        anew = build_game(recipe, seeded, images, device=game.device)
        return State(anew, EMA(anew.G.net, half_life=config.ema_half_life)).snapshot()

    supervisor = Supervisor(
        state,
        directory,
        seed=config.seed,
        restarts=config.restarts,
        fresh=None if started else fresh,
        callback=callback,
    )
    progress = state.progress
    check_log(state, directory, callback)
    if progress.seen < budget:
        supervisor.settle()
    if progress.seen < budget:  # or the log is whole, even if it ends between two ticks
        with directory.storage_failures():
            cut_log(state, directory)
            forget_score(state, directory)
    history = directory.history()
    if history.damaged:
        callback.notice(
            f"WARNING: {history.damaged} damaged lines of '{directory.log_path}' are left out."
        )
    collapsed = collapse(history.records)
    if config.on_collapse == "restart" and collapsed and supervisor.restart(collapsed):
        progress, history = state.progress, directory.history()
    elif reason := finished(config, budget, progress, history):
        callback.notice(f"The run '{directory.path}' is complete: {reason}.")
        # A kill may have come just before any of these.
        ending = ProgressCallback(directory.progress_path)
        ending.begin(seen=progress.seen, budget=budget, images_per_epoch=len(images))
        ending.end()
        make_film(directory, callback)
        make_report(directory, callback)
        return
    evaluate_every = ticks.evaluate
    if evaluate_every and len(images) < task.least_images:
        evaluate_every = 0
        callback.notice(
            f"{len(images)} images are too few to compare G's with: there will be no evaluations"
            + (", and so no early stopping." if config.patience else ".")
        )
    if progress.seen:
        callback.notice(f"Going on with '{directory.path}' at {progress.seen:,} images.")

    held_out = task.held_out(config, images, callback.notice)
    others = None if held_out is images else held_out  # of pairs all may have to serve
    understood = [*understanding(task, config, images, others), f"  kept      {loader.kept}"]
    callback.notice("\n".join([header(recipe, task, config, images, game), *understood]))
    if progress.seen and (told := config.beyond_annealing(progress.seen, budget)):
        callback.notice(told)
    directory.write_data(facts(images, others))
    show_examples(task, config, images, directory)
    paint = task.painter(state, config, held_out, directory)

    def draw(epoch: float, history: History) -> None:
        paint(epoch)
        draw_curve(history, directory.curve_path)
        callback.picture(directory.picture_path(epoch))

    evaluate = None
    collapsed = None
    while True:
        progress = state.progress
        position = {"epoch": progress.epoch, "offset": progress.offset}
        loader.seek(Position(seed=supervisor.seed, **position))
        schedule = Schedule(
            budget=budget,
            images_per_epoch=len(images),
            log_every=ticks.log,
            sample_every=ticks.sample,
            checkpoint_every=ticks.checkpoint,
            evaluate_every=evaluate_every,
            patience=config.patience,
            supervised=config.on_collapse in ("stop", "restart"),
            seed=supervisor.stream,
            bf16=config.precision == "bf16",
        )
        distributed.from_first((schedule, supervisor.seed, directory.history()))
        spread(state)
        if evaluate is None:
            evaluate = task.evaluator(state, config, images, held_out) if evaluate_every else never
        loop = Loop(
            state,
            loader,
            directory,
            schedule=schedule,
            callback=Callbacks([callback, ProgressCallback(directory.progress_path)]),
            draw=draw,
            evaluate=evaluate,
        )
        with exhaustion_explained(
            f"batches of {config.batch_size} images", advice=needs_less(config)
        ):
            loop.run()
        collapsed = loop.collapse
        if collapsed is None or config.on_collapse != "restart":
            break
        if not supervisor.restart(collapsed):
            break
    if collapsed is not None:
        callback.notice(gave_up(directory, collapsed, restarted=len(state.progress.restarts)))
    make_film(directory, callback)
    make_report(directory, callback)
    own = f" --recipe {shlex.quote(recipe)}" if recipes.get(recipe).origin else ""
    path = shlex.quote(str(directory.path)) + own
    steps = [f"{called_as()} {step.removeprefix('zerosum ')}" for step in task.next_steps(path)]
    callback.notice(summary(directory, progress, steps))


@contextmanager
def leading() -> Iterator[None]:
    """Lead the other processes through a training, and let them go at its end."""
    global _followed
    _followed = distributed.group()
    yield
    let_go()


def let_go() -> None:
    """Tell those who still play along that there are no more rounds.

    After an error this is left to whoever goes on all the same: the others had better end after
    this process, which has to speak, and its end lets them go as well.
    """
    global _followed
    group, _followed = _followed, None
    if group is not None and group is distributed.group():  # and not one that met since
        distributed.from_first(None)


def follow_loop(
    recipe: str,
    config: Settings,
    images: ImageSet,
    directory: RunDirectory,
    *,
    device: torch.device,
    channels_last: bool,
) -> None:
    """Play along with the process that leads, until it has no more rounds to play.

    The loop is the same, and decides the same by what it is told. Nothing is read or written.

    Args:
        recipe: the recipe's name.
        config: its settings, as the process that leads has settled them.
        images: what is trained on.
        directory: what that process calls the run directory.
        device: where to play.
        channels_last: how the nets of the process that leads lie in memory; see `build_game`.
    """
    game = build_game(recipe, config, images, device=device, channels_last=channels_last)
    head_start: int = distributed.from_first(0)
    state = State(game, EMA(game.G.net, half_life=config.ema_half_life, head_start=head_start))
    loader = Loader(
        images,
        batch_size=config.batch_size,
        seed=config.seed,
        device=device,
        resident=fits_device(config, images, device),
        own=own_of(game),
    )
    nothing: Any = None
    evaluate = None
    while (told := distributed.from_first(nothing)) is not None:
        schedule, seed, history = told
        spread(state)
        if evaluate is None:
            task = task_on(recipes.get(recipe).task, images.spec)
            evaluate = (
                task.evaluator(state, config, images, None) if schedule.evaluate_every else never
            )
        progress = state.progress
        loader.seek(Position(seed=seed, epoch=progress.epoch, offset=progress.offset))
        loop = Loop(
            state,
            loader,
            Elsewhere(directory.path, history),
            schedule=schedule,
            callback=Callback(),
            draw=lambda epoch, history: None,
            evaluate=evaluate,
        )
        try:
            with exhaustion_explained(
                f"batches of {config.batch_size} images", advice=needs_less(config)
            ):
                loop.run()
        except (Interrupted, OutputLost, DataLost, TrainingDiverged):
            with suppress(ProcessLost):  # the one that leads saves, and speaks, and leaves first
                distributed.from_first(nothing)
            raise


def own_of(game: Game) -> Callable[[int], tuple[int, int]] | None:
    """What this process reads of each batch; None for all, where there is no other."""
    return None if distributed.world() == 1 else partial(own_rows, game)


def header(recipe: str, task: Task, config: Settings, images: ImageSet, game: Game) -> str:
    """Say what is about to be trained, on what, with what and how long."""
    classes = f", {len(images.classes)} classes" if images.classes else ""
    weights = [sum(p.numel() for p in player.net.parameters()) for player in (game.G, game.D)]
    threads, processes = torch.get_num_threads(), distributed.world()
    device = f"cpu, {threads} thread{'s' * (threads != 1)}" if game.device.type == "cpu" else ""
    device = (device or str(game.device)) + (f", {processes} processes" if processes > 1 else "")
    budget = config.budget(len(images))
    epochs = budget / len(images)
    return (
        f"{recipe} on {config.data}: {len(images):,} {task.describe(images)}{classes}\n"
        f"G {weights[0]:,} weights, D {weights[1]:,}; {device}, {config.precision}; "
        f"{budget:,} images ({epochs:,.4g} epoch{'s' * (epochs != 1)}) "
        f"in batches of {min(config.batch_size, len(images))}"
    )


def forget_score(state: State, directory: RunDirectory) -> None:
    """Let a checkpoint go unscored whose record was cut from the log.

    A budget that ended in mid-epoch and is raised replaces that epoch's record by a later one. What
    the log, the curve and `--checkpoint best` call best must be the same.
    """
    seen = state.progress.seen
    records = directory.history().records
    logged = {record["seen"] for record in records if score_of(record) is not None}
    if seen not in logged and directory.checkpoints.best() == seen:
        directory.checkpoints.save(state.snapshot(), seen=seen)


def finished(config: Settings, budget: int, progress: Progress, history: History) -> str | None:
    """Say why there is nothing left to train, and what would change that, if that is so."""
    if progress.seen >= budget:
        ends = " (its schedules stay at their end)" * config.ends_with_budget(budget)
        return (
            f"{progress.seen:,} images. Raise {'--images' if config.images else '--epochs'} to "
            f"train it further{ends}, start a new run from it with --from, or start over with "
            "--fresh"
        )
    collapsed = collapse(history.records)
    if collapsed is not None and config.on_collapse in ("stop", "restart"):
        return (
            f"{verdict_of(collapsed)} at epoch {collapsed['epoch']:g}. --on-collapse continue "
            "trains it further"
            + (", restart begins again where it was healthy" * (config.on_collapse == "stop"))
        )
    if stalled(history.records, config.patience):
        return (
            f"{config.patience} epochs brought no better metric. Raise "
            "--patience or leave it out to train it further"
        )
    return None


def gave_up(directory: RunDirectory, collapsed: Mapping[str, Any], *, restarted: int) -> str:
    """Say why a supervised training ended before its budget, and how to go on."""
    run = shlex.quote(str(directory.path))
    again = f"{called_as()} train --resume {run} --on-collapse"
    tried = f" after {restarted} restart{'s' * (restarted != 1)}" * bool(restarted)
    best = directory.checkpoints.best()
    kept = f" The best checkpoint, at {best:,} images, is kept." if best is not None else ""
    lines = [
        f"WARNING: Stopped{tried}: {in_words(collapsed['health'])}{kept}",
        *([f"  try again   {again} restart"] if not restarted else []),
        f"  go on       {again} continue",
    ]
    return "\n".join(lines)


def make_film(directory: RunDirectory, callback: Callback) -> None:
    """Make the film of a run's pictures, leaving out what somebody has damaged."""
    frames = []
    for picture in directory.pictures():
        try:
            frames.append(read_frame(picture))
        except (OSError, SyntaxError) as error:  # Pillow calls a broken PNG a SyntaxError
            callback.notice(f"The film leaves out '{picture}', which cannot be read: {error}.")
    if frames:
        with directory.storage_failures():
            save_film(frames, directory.film_path, frame_milliseconds=FRAME_MILLISECONDS)


def show_examples(task: Task, config: Settings, images: ImageSet, directory: RunDirectory) -> None:
    """Draw some of the data, for the report, which then needs the data no more."""
    count = POINTS_SHOWN if images.spec.are_points else IMAGES_SHOWN
    with directory.storage_failures():
        sheet = contact_sheet(task, config, images, count=count)
        content = io.BytesIO()
        save_sheet(sheet, content)
        write_whole(directory.examples_path, content.getvalue())


def make_report(directory: RunDirectory, callback: Callback) -> None:
    """Write the report of a run, with all that is made in no time.

    The training is over and saved: whatever goes wrong here is told, and stops nothing.
    """
    try:
        html = report(Run(directory.path), language=language_here(), thorough=False)
        write_whole(directory.report_path, html)
    except Exception as error:
        again = f"{called_as()} report {shlex.quote(str(directory.path))}"
        callback.notice(f"WARNING: No report was written ({error}). Try again with: {again}")


def describe(
    recipe: str,
    config: Settings,
    images: ImageSet,
    *,
    started_from: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What config.json says of a run.

    Args:
        recipe: the recipe's name.
        config: its settings.
        images: what is trained on.
        started_from: where its first weights come from, unless from chance.
    """
    origin = recipes.get(recipe).origin
    return {
        "zerosum": __version__,
        "recipe": recipe,
        **({"recipe_file": asdict(origin)} if origin else {}),
        **({"started_from": started_from} if started_from else {}),
        "image_shape": list(images.shape),
        "classes": list(images.classes),
        "source_channels": images.source_channels,
        "num_images": len(images),
        "data_path": path_of(config.data),
        "data_sha256": images.fingerprint(),
        "machine": {
            "python": platform.python_version(),
            "processor": device_name(choose_device(config.device)),
        },
        "config": config.model_dump(mode="json"),
    }


def path_of(data: str) -> str | None:
    """Where data are, whatever folder one asks from; None of what is no path."""
    named = data in DATASETS or is_address(data)
    return None if named else str(Path(data).resolve())


def never(history: History) -> Evaluation:
    """What evaluates a run that is not evaluated."""
    raise AssertionError("a run without evaluations was evaluated")


def called_as() -> str:
    """How the command is called here, so that a printed one works when it is pasted.

    In a clone, or an environment that is not active, no `zerosum` is on the PATH.
    """
    program = Path(sys.argv[0])
    if shutil.which("zerosum"):
        return "zerosum"
    if program.name == "zerosum":
        return shlex.quote(str(program))
    if program.name == "__main__.py" and program.parent.name == "zerosum":
        return f"{shlex.quote(sys.executable)} -m zerosum"
    return "zerosum"


def summary(directory: RunDirectory, progress: Progress, next_steps: list[str]) -> str:
    """Say what came of a run and what to try next."""
    pace = progress.seen / max(progress.seconds, 1e-9)
    lines = [f"Done: {progress.seen:,} images in {progress.seconds:,.0f} s ({pace:,.0f} images/s)."]
    log = directory.history().records
    if best := best_record(log):
        name, value = next(iter(best["metrics"].items()))
        newest = [record for record in log if score_of(record) is not None][-1]
        lines.append(
            f"  best      {name} {value:.4g} at epoch {best['epoch']:g} "
            f"(now {score_of(newest):.4g}); use it with --checkpoint best"
        )
        if "health" in newest:
            lines.append(f"  health    {in_words(newest['health'])}")
    lines += [
        f"  pictures  {directory.pictures()[-1]}",
        f"  curve     {directory.curve_path}",
        f"  film      {directory.film_path}",
        *([f"  report    {directory.report_path}"] if directory.report_path.exists() else []),
    ]
    heads = ["  try       ", *[" " * 12] * 9]
    lines += [head + step for head, step in zip(heads, next_steps, strict=False)]
    return "\n".join(lines)
