"""What the commands and the Python package share: train a recipe, load a run.

How a training is put together from its parts is settled in `session.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from zerosum import recipes
from zerosum.config import Settings, validate
from zerosum.errors import UserError
from zerosum.reporting.console import ConsoleWatcher
from zerosum.run import Run
from zerosum.seeds import own_randomness
from zerosum.session import build_game, describe, load_images, open_run, run_loop
from zerosum.training.interfaces import Watcher
from zerosum.training.machine import choose_device, tuned_processor
from zerosum.training.run_directory import RunDirectory

TRAINING = threading.Lock()


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
    with one_at_a_time(), tuned_processor(), own_randomness(device), gradients_allowed():
        images = load_images(config, watcher)
        directory = RunDirectory(out or Path("runs") / f"{recipe}-{images.name}")
        game = build_game(recipe, config, images, device=device)
        directory.claim()
        with directory.locked():  # before anything in it is read, changed or removed
            open_run(directory, describe(recipe, config, images), config, fresh=fresh)
            run_loop(game, config, images, directory, watcher=watcher)
    return Run(directory.path)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Refuse a second training in this process: torch's random generators serve only one.

    Raises:
        UserError: another thread is training.
    """
    if not TRAINING.acquire(blocking=False):
        raise UserError(
            "Another training is under way in this process, and they would share torch's random "
            "numbers. Wait for it, or start a process of its own."
        )
    try:
        yield
    finally:
        TRAINING.release()


@contextmanager
def gradients_allowed() -> Iterator[None]:
    """Train even where the caller has switched gradients off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
