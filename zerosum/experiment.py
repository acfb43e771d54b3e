"""One training from its images to its film: where the parts meet.

Data, recipe, loop, run directory, pictures and score know nothing of one another; here they are
put together.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from zerosum import recipes
from zerosum._version import __version__
from zerosum.callbacks.console import in_words
from zerosum.config.base import Settings
from zerosum.data.images import ImageSet
from zerosum.data.loader import Loader, Position
from zerosum.game.core import Game
from zerosum.hardware import exhaustion_explained, memory_bytes, require_memory
from zerosum.plots.curves import draw_curve
from zerosum.plots.film import FRAME_MILLISECONDS, read_frame, save_film
from zerosum.seeds import enter_stream
from zerosum.tasks import TASKS, Task
from zerosum.training.early_stopping import best_record, score_of, stalled
from zerosum.training.ema import EMA
from zerosum.training.interfaces import Callback, Evaluation
from zerosum.training.loop import Loop, Schedule
from zerosum.training.resume import require_same_run, restore_newest
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import Progress, State

# Four bytes each for the weight, its gradient and Adam's two moments, half of that for the average
# of G, and while a checkpoint is written all but the gradients twice more.
BYTES_PER_WEIGHT = 4 * (4.5 + 2 * 3.5)


def load_images(recipe: str, config: Settings, watcher: Callback) -> ImageSet:
    """Load what the config says, and tell which files could not be used."""
    images = task_of(recipe).load(config)
    if images.skipped:
        watcher.notice(skipped_summary(images))
    return images


def build_game(recipe: str, config: Settings, images: ImageSet, *, device: torch.device) -> Game:
    """Build the game, after making sure that this machine can hold it.

    Raises:
        UserError: it cannot.
    """
    make = partial(
        recipes.build,
        recipe,
        config,
        image_shape=images.shape,
        num_classes=len(images.classes) if images.labels is not None else 0,
        source_channels=images.source_channels,
    )
    if device.type == "cpu":
        # On the "meta" device weights have shapes and take no memory.
        with torch.device("meta"):
            outline = make(device=torch.device("meta"))
        require_memory(
            BYTES_PER_WEIGHT * outline.num_weights,
            memory=memory_bytes(),
            what=f"Training the {outline.num_weights:,} weights of G and D at this size",
            advice="Choose narrower nets, or smaller images with --size.",
        )
    enter_stream(torch.device("cpu"), "init", config.seed)
    return make(device=device)


def open_run(
    directory: RunDirectory, description: dict[str, Any], config: Settings, *, fresh: bool
) -> None:
    """Begin a run, or make sure that the one which is there is the same.

    Raises:
        UserError: it is another run, or the directory cannot be written.
    """
    if fresh:
        directory.remove()
    if directory.exists():
        require_same_run(directory, description, config)
    directory.write_config(description)


def run_loop(
    recipe: str,
    game: Game,
    config: Settings,
    images: ImageSet,
    directory: RunDirectory,
    *,
    watcher: Callback,
) -> None:
    """Restore the game, where there is something to restore, and play it to the budget's end."""
    task = task_of(recipe)
    state = State(game, EMA(game.G.net, half_life=config.ema_half_life))
    loader = Loader(images, batch_size=config.batch_size, seed=config.seed, device=game.device)
    budget = config.budget(len(images))

    restore_newest(state, directory, watcher)
    progress = state.progress
    loader.seek(Position(seed=config.seed, epoch=progress.epoch, offset=progress.offset))
    if progress.seen < budget:  # or the log is whole, even if it ends in mid-epoch
        with directory.storage_failures():
            directory.cut_log(progress.log_bytes)
            forget_score(state, directory)
    if damaged := directory.damaged_lines():
        watcher.notice(f"WARNING: {damaged} damaged lines of '{directory.log_path}' are left out.")
    if reason := finished(config, budget, progress, directory):
        watcher.notice(f"The run '{directory.path}' is complete: {reason}.")
        make_film(directory, watcher)  # a signal may have come just before it was made
        return
    evaluate_every = config.every("evaluate_every", len(images))
    if evaluate_every and len(images) < task.least_images:
        evaluate_every = 0
        watcher.notice(
            f"{len(images)} images are too few to compare G's with: there will be no evaluations"
            + (", and so no stop for want of gain." if config.stop_after_no_gain else ".")
        )
    if progress.seen:
        watcher.notice(f"Going on with '{directory.path}' at {progress.seen:,} images.")

    held_out = task.held_out(config, images, watcher.notice)
    evaluate = (
        task.evaluator(state, config, images, held_out, directory) if evaluate_every else never
    )
    loop = Loop(
        state,
        loader,
        directory,
        schedule=Schedule(
            budget=budget,
            images_per_epoch=len(images),
            sample_every=config.every("sample_every", len(images)),
            checkpoint_every=config.every("checkpoint_every", len(images)),
            evaluate_every=evaluate_every,
            stop_after_no_gain=config.stop_after_no_gain,
            seed=config.seed,
            bf16=config.precision == "bf16",
        ),
        watcher=watcher,
        draw=with_curve(task.painter(state, config, held_out, directory), directory),
        evaluate=evaluate,
    )
    with exhaustion_explained(f"batches of {config.batch_size} images", advice=needs_less(config)):
        loop.run()
    make_film(directory, watcher)
    watcher.notice(summary(directory, progress, task))


def task_of(recipe: str) -> Task:
    """What a recipe's G does."""
    return TASKS[recipes.get(recipe).task]


def with_curve(paint: Callable[[int], None], directory: RunDirectory) -> Callable[[int], None]:
    """Make the function that draws what is due at an epoch: its picture, and the curve so far."""

    def draw(epoch: int) -> None:
        paint(epoch)
        draw_curve(directory)

    return draw


def forget_score(state: State, directory: RunDirectory) -> None:
    """Let a checkpoint go unscored whose record was cut from the log.

    A budget that ended in mid-epoch and is raised replaces that epoch's record by a later one. What
    the log, the curve and `--checkpoint best` call best must be the same.
    """
    seen = state.progress.seen
    logged = {record.get("seen") for record in directory.log() if score_of(record) is not None}
    if seen not in logged and directory.checkpoints.best() == seen:
        directory.checkpoints.save(state.snapshot(), seen=seen)


def finished(
    config: Settings, budget: int, progress: Progress, directory: RunDirectory
) -> str | None:
    """Say why there is nothing left to train, and what would change that, if that is so."""
    if progress.seen >= budget and config.ends_with_budget(budget):
        return (
            f"{progress.seen:,} images, where its schedules end. Start over with --fresh and a "
            "larger budget to train it longer"
        )
    if progress.seen >= budget:
        return (
            f"{progress.seen:,} images. Raise {'--images' if config.images else '--epochs'} to "
            "train it further, or start over with --fresh"
        )
    if stalled(directory.log(), config.stop_after_no_gain):
        return (
            f"{config.stop_after_no_gain} epochs brought no better metric. Raise "
            "--stop-after-no-gain or leave it out to train it further"
        )
    return None


def make_film(directory: RunDirectory, watcher: Callback) -> None:
    """Make the film of a run's pictures, leaving out what somebody has damaged."""
    frames = []
    for picture in directory.pictures():
        try:
            frames.append(read_frame(picture))
        except (OSError, SyntaxError) as error:  # Pillow calls a broken PNG a SyntaxError
            watcher.notice(f"The film leaves out '{picture}', which cannot be read: {error}.")
    if frames:
        with directory.storage_failures():
            save_film(frames, directory.film_path, frame_milliseconds=FRAME_MILLISECONDS)


def describe(recipe: str, config: Settings, images: ImageSet) -> dict[str, Any]:
    """What config.json says of a run."""
    return {
        "zerosum": __version__,
        "recipe": recipe,
        "image_shape": list(images.shape),
        "classes": list(images.classes),
        "source_channels": images.source_channels,
        "data_sha256": images.fingerprint(),
        "config": config.model_dump(mode="json"),
    }


def needs_less(config: Settings) -> str:
    """Say what makes a training need less of a device's memory, what changes least first."""
    ways = []
    if parts := getattr(config, "parts", None):
        ways.append(f"--parts {2 * parts}, which plays each batch in {2 * parts} parts")
    if config.precision == "fp32":
        ways.append("--precision bf16")
    if config.batch_size > 1:
        ways.append(f"--batch-size {config.batch_size // 2}")
    return f"Try {', or '.join([*ways, 'smaller images with --size'])}."


def never() -> Evaluation:
    """What evaluates a run that is not evaluated."""
    raise AssertionError("a run without evaluations was evaluated")


def skipped_summary(images: ImageSet) -> str:
    """One line on the files that could not be decoded, or had no partner."""
    shown = "; ".join(images.skipped[:3])
    more = f"; and {len(images.skipped) - 3} more" if len(images.skipped) > 3 else ""
    return f"Skipped {len(images.skipped)} unusable files: {shown}{more}."


def summary(directory: RunDirectory, progress: Progress, task: Task) -> str:
    """Say what came of a run and what to try next."""
    path = shlex.quote(str(directory.path))
    pace = progress.seen / max(progress.seconds, 1e-9)
    lines = [f"Done: {progress.seen:,} images in {progress.seconds:,.0f} s ({pace:,.0f} images/s)."]
    log = directory.log()
    if best := best_record(log):
        name, value = next(iter(best["metrics"].items()))
        newest = [record for record in log if score_of(record) is not None][-1]
        lines.append(
            f"  best      {name} {value:.4g} at epoch {best['epoch']} "
            f"(now {score_of(newest):.4g}); use it with --checkpoint best"
        )
        if "health" in newest:
            lines.append(f"  health    {in_words(newest['health'])}")
    lines += [
        f"  pictures  {directory.pictures()[-1]}",
        f"  curve     {directory.curve_path}",
        f"  film      {directory.film_path}",
    ]
    heads = ["  try       ", *[" " * 12] * 9]
    lines += [head + step for head, step in zip(heads, task.next_steps(path), strict=False)]
    return "\n".join(lines)
