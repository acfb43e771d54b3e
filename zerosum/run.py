"""A run to look at and to sample from: what `train` returns and `load` finds again."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zerosum import recipes
from zerosum.arrays import Samples
from zerosum.config import Settings, validate
from zerosum.data.images import at_rest, to_array
from zerosum.errors import UserError
from zerosum.game import Game
from zerosum.seeds import enter_stream, own_randomness
from zerosum.training.checkpoint import Damaged, Snapshot, read
from zerosum.training.machine import choose_device
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import group, load_net

CHUNK = 256
"""Images made at a time, which bounds the memory; also what makes samples nest, see `sample`."""


class Run:
    """A trained run.

    Attributes:
        path: the run directory.
        recipe: the recipe's name.
        config: its settings.
        classes: the names of the data's classes, () where it has no labels.
        image_shape: (c, h, w) of one image.
    """

    def __init__(self, path: Path | str) -> None:
        """Open a run directory.

        Raises:
            UserError: there is no run, or it cannot be read.
        """
        self.directory = RunDirectory(path)
        self.path = self.directory.path
        saved = self.directory.read_config()
        try:
            self.recipe: str = saved["recipe"]
            self.config: Settings = validate(recipes.get(self.recipe).config, saved["config"])
            self.classes: tuple[str, ...] = tuple(saved["classes"])
            channels, height, width = saved["image_shape"]
            self.image_shape: tuple[int, int, int] = (channels, height, width)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"The run's '{self.directory.config_path}' is not as train writes it: "
                f"{error}. Restore that file from a copy."
            ) from None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, recipe={self.recipe!r})"

    def log(self) -> list[dict[str, Any]]:
        """Read the log: one record an epoch, with losses, terms, D(x), D(G(z)) and the pace."""
        return self.directory.log()

    def sample(
        self,
        count: int = 16,
        *,
        seed: int = 0,
        label: int | None = None,
        raw: bool = False,
        checkpoint: str | int = "newest",
    ) -> Samples:
        """Let G make images, uint8 (count, h, w, c), or points in the plane, float32 (count, 2).

        The same seed gives the same images, whatever the count: 64 images begin with the 16.

        Args:
            count: how many.
            seed: decides z.
            label: the class of all of them, counted from 0; None for all classes in turn.
            raw: use G's own weights instead of their moving average.
            checkpoint: "newest", "best", or the images seen at one of those kept.

        Raises:
            UserError: the count is not positive, or there is no such class or checkpoint.
        """
        if count < 1:
            raise UserError(f"The number of images was {count}: expected at least 1.")
        game = self._game(raw=raw, checkpoint=checkpoint)
        chunks = []
        with own_randomness(game.device):
            for index in range(-(-count // CHUNK)):
                enter_stream(game.device, "sample", seed, index)
                inputs = game.deal.inputs(CHUNK, game.device, label=label)
                chunks.append(to_samples(generate(game.G.net, inputs)))
        return np.concatenate(chunks)[:count]

    def interpolate(
        self,
        steps: int,
        *,
        count: int = 16,
        seed: int = 0,
        label: int | None = None,
        raw: bool = False,
        checkpoint: str | int = "newest",
    ) -> Samples:
        """Walk z around a circle and back to its start: an array as `sample` gives at each step.

        On the circle cos(t) a + sin(t) b through two draws a and b every point is N(0, I), as G
        was trained on; on a straight line between them z would be too short.

        Raises:
            UserError: as `sample`.
        """
        if min(steps, count) < 1:
            raise UserError(f"Asked for {steps} steps of {count} images: expected at least 1.")
        game = self._game(raw=raw, checkpoint=checkpoint)
        with own_randomness(game.device):
            enter_stream(game.device, "interpolate", seed)
            (a, *others), (b, *_) = (
                game.deal.inputs(count, game.device, label=label) for _ in range(2)
            )
        frames = []
        for step in range(steps):
            angle = 2 * math.pi * step / steps
            z = math.cos(angle) * a + math.sin(angle) * b
            frames.append(to_samples(generate(game.G.net, (z, *others))))
        return np.stack(frames)

    def _game(self, *, raw: bool, checkpoint: str | int) -> Game:
        """Build the game with the weights of a checkpoint in G."""
        device = choose_device("auto")
        with own_randomness(device):
            game = recipes.build(
                self.recipe,
                self.config,
                image_shape=self.image_shape,
                num_classes=len(self.classes),
                device=device,
            )
        snapshot = self._snapshot(checkpoint)
        try:
            load_net(game.G.net, group(snapshot, "G" if raw else "average"))
        except RuntimeError as error:
            raise UserError(
                f"The weights in '{self.path}' do not fit its config.json: {error}. One of them "
                "was changed; restore it from a copy."
            ) from None
        game.G.net.eval()
        return game

    def _snapshot(self, checkpoint: str | int) -> Snapshot:
        which = str(checkpoint)
        checkpoints = self.directory.checkpoints
        kept = checkpoints.seen()
        if not kept:
            raise UserError(
                f"The run '{self.path}' has no checkpoint yet: train it first, or longer."
            )
        if which == "newest":
            return self._newest_whole()
        wanted = checkpoints.best() if which == "best" else None
        if wanted is None and which.isdecimal():
            wanted = int(which)
        if wanted not in kept:
            raise UserError(
                f"The run '{self.path}' has no checkpoint '{which}'. It keeps: "
                f"{', '.join(map(str, kept))}; expected one of them, newest or best."
            )
        try:
            return read(checkpoints.path(wanted))
        except Damaged as damage:
            raise UserError(
                f"The checkpoint '{checkpoints.path(wanted)}' is damaged: {damage}. Choose another "
                f"with --checkpoint; the run keeps {', '.join(map(str, kept))}."
            ) from None

    def _newest_whole(self) -> Snapshot:
        """Read the newest checkpoint that is whole; say loudly which newer ones are not."""
        damages: list[str] = []
        for seen, snapshot in self.directory.checkpoints.newest():
            if not isinstance(snapshot, Damaged):
                for damage in damages:
                    print(
                        f"WARNING: {damage} Using the one before, at {seen:,} images.",
                        file=sys.stderr,
                    )
                return snapshot
            damages.append(
                f"damaged checkpoint {self.directory.checkpoints.path(seen)}: {snapshot}."
            )
        raise UserError(
            f"No checkpoint of '{self.path}' is whole: {' '.join(damages)} Restore one from a copy."
        )


@torch.no_grad()
def generate(net: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Let a G, as it stands, make images (n, c, h, w) in [-1, 1]."""
    images: Tensor = net(*inputs)
    return images


def to_samples(images: Tensor) -> Samples:
    """Float (n, c, h, w) in [-1, 1] -> uint8 (n, h, w, c), or float32 (n, 2) where n are points."""
    return to_array(at_rest(images))
