"""What the commands and the Python package share: train a recipe, load a run.

The one place where the parts meet: data, recipe, loop, run directory and pictures.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zerosum import data, recipes
from zerosum._version import __version__
from zerosum.config import Settings, parse_size, validate
from zerosum.data.images import ImageSet, to_float
from zerosum.data.loader import Loader, Position
from zerosum.metrics.sliced import random_directions, sliced_wasserstein
from zerosum.reporting.console import ConsoleWatcher
from zerosum.reporting.film import film_of
from zerosum.reporting.pictures import painter
from zerosum.run import Run, generate
from zerosum.seeds import enter_stream, own_randomness
from zerosum.training.ema import Average
from zerosum.training.interfaces import Watcher
from zerosum.training.loop import Loop, Schedule
from zerosum.training.machine import (
    choose_device,
    insist_on_memory,
    memory_bytes,
    tuned_processor,
)
from zerosum.training.resume import insist_on_same_run, restore_newest
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import Progress, State

SCORED_IMAGES = 2048


def train(
    recipe: str = "vanilla",
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    watcher: Watcher | None = None,
    **settings: Any,
) -> Run:
    """Train a recipe; go on where the run directory left off, if there is one.

    Args:
        recipe: a name from `zerosum.recipes.RECIPES`.
        out: the run directory; by default `runs/<recipe>-<data>`.
        fresh: remove the run that is there and start over.
        watcher: what shows the progress; by default lines and a bar in the terminal.
        settings: fields of the recipe's config, such as `data`, `epochs` or `learning_rate`.

    Returns:
        The finished run. If it was complete before, nothing is trained.

    Raises:
        UserError: a name, value, file or folder is not usable; the message says what to do.
        TrainingDiverged: a loss or weight became NaN or infinite.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    config = validate(recipes.get(recipe).config, settings)
    return train_config(recipe, config, out=out, fresh=fresh, watcher=watcher)


def load(path: Path | str) -> Run:
    """Open a run directory.

    Raises:
        UserError: there is no run in it.
    """
    return Run(path)


def train_config(
    recipe: str,
    config: Settings,
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Train with a validated config; see `train`."""
    watcher = watcher or ConsoleWatcher()
    device = choose_device(config.device)
    # First of all, because a thread takes denormals as whoever starts it did.
    with tuned_processor(), own_randomness(device):
        images = load_images(config, watcher)
        directory = RunDirectory(out or Path("runs") / f"{recipe}-{images.name}")
        directory.claim()
        with directory.locked():  # before anything in it is read, changed or removed
            open_run(directory, describe(recipe, config, images), config, fresh=fresh)
            run_loop(recipe, config, images, directory, device=device, watcher=watcher)
    return Run(directory.path)


def load_images(config: Settings, watcher: Watcher) -> ImageSet:
    """Load what the config says, and tell which files could not be decoded."""
    size = parse_size(config.size) if config.size else None
    images = data.load(config.data, size=size, channels=config.channels, strict=config.strict)
    if images.skipped:
        watcher.notice(skipped_summary(images))
    return images


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
        insist_on_same_run(directory, description, config)
    directory.write_config(description)


def run_loop(
    recipe: str,
    config: Settings,
    images: ImageSet,
    directory: RunDirectory,
    *,
    device: torch.device,
    watcher: Watcher,
) -> None:
    """Build or restore the game and play it to the end of the budget."""
    enter_stream(torch.device("cpu"), "init", config.seed)
    game = recipes.build(recipe, config, image_shape=images.shape, device=device)
    if device.type == "cpu":
        insist_on_memory(game.num_weights, memory=memory_bytes())
    state = State(game, Average(game.G.net, half_life=config.ema_half_life))
    loader = Loader(images, batch_size=config.batch_size, seed=config.seed, device=device)
    budget = config.images or config.epochs * len(images)

    restore_newest(state, directory, watcher)
    progress = state.progress
    loader.seek(Position(seed=config.seed, epoch=progress.epoch, offset=progress.offset))
    directory.cut_log(progress.log_bytes)
    if progress.seen >= budget:
        watcher.notice(
            f"The run '{directory.path}' is complete: {progress.seen:,} images. Raise --epochs to "
            "train it further, or start over with --fresh."
        )
        make_film(directory)  # a signal may have come between the last checkpoint and the film
        return
    if progress.seen:
        watcher.notice(f"Going on with '{directory.path}' at {progress.seen:,} images.")

    Loop(
        state,
        loader,
        directory,
        schedule=Schedule(
            budget=budget,
            images_per_epoch=len(images),
            sample_every=config.sample_every,
            checkpoint_every=config.checkpoint_every,
            seed=config.seed,
            bf16=config.precision == "bf16",
        ),
        watcher=watcher,
        draw=painter(state.game, state.average.net, directory, seed=config.seed),
        score=judge(state, images, seed=config.seed),
    ).run()
    make_film(directory)
    watcher.notice(summary(directory, progress))


def make_film(directory: RunDirectory) -> None:
    """Make the film of a run's pictures, where there are any."""
    with directory.storage_failures():
        if pictures := directory.pictures():
            film_of(pictures, directory.film_path)


def describe(recipe: str, config: Settings, images: ImageSet) -> dict[str, Any]:
    """What config.json says of a run."""
    return {
        "zerosum": __version__,
        "recipe": recipe,
        "image_shape": list(images.shape),
        "classes": list(images.classes),
        "data_sha256": images.fingerprint(),
        "config": config.model_dump(mode="json"),
    }


def judge(state: State, images: ImageSet, *, seed: int) -> Callable[[], float]:
    """Make the function that scores the average of G, on the same images and z each time."""
    device = state.game.device
    enter_stream(device, "score", seed)
    count = min(SCORED_IMAGES, len(images))
    chosen = torch.randperm(len(images))[:count].to(images.images.device)
    real = to_float(images.images[chosen]).to(device)
    inputs = state.game.deal.inputs(count, device)
    directions = random_directions(real[0].numel(), device=device)

    def score() -> float:
        fake = generate(state.average.net, inputs)
        return sliced_wasserstein(real, fake, directions=directions)

    return score


def skipped_summary(images: ImageSet) -> str:
    """One line on the files that could not be decoded."""
    shown = "; ".join(images.skipped[:3])
    more = f"; and {len(images.skipped) - 3} more" if len(images.skipped) > 3 else ""
    return f"Skipped {len(images.skipped)} undecodable files: {shown}{more}."


def summary(directory: RunDirectory, progress: Progress) -> str:
    """Say what came of a run and what to try next."""
    path = shlex.quote(str(directory.path))
    pace = progress.seen / max(progress.seconds, 1e-9)
    return (
        f"Done: {progress.seen:,} images in {progress.seconds:,.0f} s ({pace:,.0f} images/s).\n"
        f"  pictures  {directory.pictures()[-1]}\n"
        f"  film      {directory.film_path}\n"
        f"  try       zerosum sample {path} -n 64 --out samples.png\n"
        f"            zerosum sample {path} --out walk.gif"
    )
