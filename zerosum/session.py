"""One training from its images to its film: where the parts meet.

Data, recipe, loop, run directory, pictures and score know nothing of one another; here they are
put together.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from math import prod
from typing import Any

import torch

from zerosum import data, recipes
from zerosum._version import __version__
from zerosum.config import Settings, parse_size
from zerosum.data.images import ImageSet, to_float
from zerosum.data.loader import Loader, Position
from zerosum.game import Game
from zerosum.memory import insist_on_memory, memory_bytes
from zerosum.metrics.sliced import random_directions, sliced_wasserstein
from zerosum.reporting.film import FRAME_MILLISECONDS, read_frame, save_film
from zerosum.reporting.pictures import painter
from zerosum.run import generate
from zerosum.seeds import enter_stream
from zerosum.training.ema import Average
from zerosum.training.interfaces import Watcher
from zerosum.training.loop import Loop, Schedule
from zerosum.training.resume import insist_on_same_run, restore_newest
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import Progress, State

# Enough to tell a better G from a worse, and no more memory than a few batches, however large the
# images are.
SCORED_IMAGES, SCORED_PIXELS = 2048, 2048 * 28 * 28
# Four bytes each for the weight, its gradient and Adam's two moments, half of that for the average
# of G, and while a checkpoint is written all but the gradients twice more.
BYTES_PER_WEIGHT = 4 * (4.5 + 2 * 3.5)


def load_images(config: Settings, watcher: Watcher) -> ImageSet:
    """Load what the config says, and tell which files could not be decoded."""
    size = parse_size(config.size) if config.size else None
    images = data.load(config.data, size=size, channels=config.channels, strict=config.strict)
    if images.skipped:
        watcher.notice(skipped_summary(images))
    return images


def build_game(recipe: str, config: Settings, images: ImageSet, *, device: torch.device) -> Game:
    """Build the game, after making sure that this machine can hold it.

    Raises:
        UserError: it cannot.
    """
    if device.type == "cpu":
        # On the "meta" device weights have shapes and take no memory.
        with torch.device("meta"):
            outline = recipes.build(
                recipe, config, image_shape=images.shape, device=torch.device("meta")
            )
        insist_on_memory(
            BYTES_PER_WEIGHT * outline.num_weights,
            memory=memory_bytes(),
            what=f"Training the {outline.num_weights:,} weights of G and D at this size",
        )
    enter_stream(torch.device("cpu"), "init", config.seed)
    return recipes.build(recipe, config, image_shape=images.shape, device=device)


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
    game: Game, config: Settings, images: ImageSet, directory: RunDirectory, *, watcher: Watcher
) -> None:
    """Restore the game, where there is something to restore, and play it to the budget's end."""
    state = State(game, Average(game.G.net, half_life=config.ema_half_life))
    loader = Loader(images, batch_size=config.batch_size, seed=config.seed, device=game.device)
    budget = config.images or config.epochs * len(images)

    restore_newest(state, directory, watcher)
    progress = state.progress
    loader.seek(Position(seed=config.seed, epoch=progress.epoch, offset=progress.offset))
    if progress.seen >= budget:
        watcher.notice(
            f"The run '{directory.path}' is complete: {progress.seen:,} images. Raise "
            f"{'--images' if config.images else '--epochs'} to train it further, or start over "
            "with --fresh."
        )
        make_film(directory, watcher)  # a signal may have come just before it was made
        return
    with directory.storage_failures():
        directory.cut_log(progress.log_bytes)
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
    make_film(directory, watcher)
    watcher.notice(summary(directory, progress))


def make_film(directory: RunDirectory, watcher: Watcher) -> None:
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
        "data_sha256": images.fingerprint(),
        "config": config.model_dump(mode="json"),
    }


def judge(state: State, images: ImageSet, *, seed: int) -> Callable[[], float]:
    """Make the function that scores the average of G, on the same images and z each time."""
    device = state.game.device
    enter_stream(device, "score", seed)
    entries = prod(images.shape)
    count = min(SCORED_IMAGES, len(images), max(1, SCORED_PIXELS // entries))
    chosen = torch.randperm(len(images))[:count].to(images.images.device)
    real = to_float(images.images[chosen]).to(device)
    inputs = state.game.deal.inputs(count, device)
    directions = random_directions(entries, device=device)

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
