"""A run to sample from or to translate with: what `train` returns and `load` finds again."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zerosum import recipes
from zerosum.config.base import Settings, restore
from zerosum.data.arrays import Pixels, Samples
from zerosum.data.images import at_rest, to_array
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError, unknown_name
from zerosum.game.core import Game
from zerosum.hardware import choose_device
from zerosum.inference.tiles import Translator, one_way
from zerosum.recipes.own import ORIGINS, is_own, load_own
from zerosum.seeds import enter_stream, own_randomness
from zerosum.training.choosing import choose
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
        image_shape: (c, h, w) of one image of the data.
        source_channels: how many of c are the source's, where images are translated; else 0.
    """

    def __init__(self, path: Path | str, *, recipe: str | None = None) -> None:
        """Open a run directory.

        Args:
            path: where it is.
            recipe: of a run of the user's own recipe, the module that holds it; its code is run.

        Raises:
            UserError: there is no run, it cannot be read, or its recipe has to be named.
        """
        self.directory = RunDirectory(path)
        self.path = self.directory.path
        saved = self.directory.read_config()
        self._find_recipe(saved, recipe)
        try:
            self.recipe: str = saved["recipe"]
            self.config: Settings = restore(recipes.get(self.recipe).config, saved["config"])
            self.classes: tuple[str, ...] = tuple(saved["classes"])
            # Runs of older versions do not say it.
            self.source_channels: int = saved.get("source_channels", 0)
            channels, height, width = saved["image_shape"]
            self.image_shape: tuple[int, int, int] = (channels, height, width)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = str(error).rstrip(".")
            raise UserError(
                f"The run's '{self.directory.config_path}' is not as train writes it: "
                f"{reason}. Restore that file from a copy."
            ) from None

    def _find_recipe(self, saved: dict[str, Any], named: str | None) -> None:
        """Make sure that the run's recipe is in the table; a user's own one only if it was named.

        Raises:
            UserError: it is not.
        """
        recipe = saved.get("recipe")
        if not isinstance(recipe, str):
            return
        origin = saved.get("recipe_file") or {}
        if named is not None and is_own(named):
            recipes.RECIPES[recipe] = load_own(named)
            if ORIGINS[named].sha256 != origin.get("sha256"):
                print(
                    f"WARNING: '{named}' is not as it was when '{self.path}' was trained.",
                    file=sys.stderr,
                )
        if recipe in recipes.RECIPES:
            return
        if is_own(recipe):
            raise UserError(
                f"The run '{self.path}' was trained with a recipe of somebody's own, '{recipe}', "
                f"then in {origin.get('path')}, and code is not run because a folder says so. To "
                f"run it, name it: --recipe {shlex.quote(recipe)}."
            )
        raise UserError(
            f"The run '{self.path}' cannot be opened. "
            f"{unknown_name('recipe', recipe, recipes.RECIPES)} A recipe of your own is known "
            "after the import of the module that adds it to zerosum.recipes.RECIPES: open the run "
            "from Python, with zerosum.load."
        )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, recipe={self.recipe!r})"

    def log(self) -> list[dict[str, Any]]:
        """Read the log: one record a tick, with losses, terms, D(x), D(G(z)) and the pace."""
        return list(self.directory.history().records)

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
                inputs = game.forward.inputs(CHUNK, game.device, label=label)
                chunks.append(to_samples(generate(game.G.net, inputs)))
        return np.concatenate(chunks)[:count]

    def labels(self, count: int = 16, *, label: int | None = None) -> NDArray[np.int64] | None:
        """The classes that `sample` tells G, int64 (count,), or None where it tells none.

        Raises:
            UserError: there is no such class.
        """
        device = torch.device("cpu")
        with own_randomness(device), torch.device("meta"):  # of the game only the deal is asked
            deal = self._untrained(torch.device("meta")).forward
        with own_randomness(device):
            _, *condition = deal.inputs(CHUNK, device, label=label)
        if not condition or not condition[0].shape[1]:
            return None
        # Each chunk of samples begins with the first class.
        return np.resize(condition[0].argmax(dim=1).numpy(), count)

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
                game.forward.inputs(count, game.device, label=label) for _ in range(2)
            )
        frames = []
        for step in range(steps):
            angle = 2 * math.pi * step / steps
            z = math.cos(angle) * a + math.sin(angle) * b
            frames.append(to_samples(generate(game.G.net, (z, *others))))
        return np.stack(frames)

    def translate(
        self,
        images: Pixels,
        *,
        seed: int = 0,
        raw: bool = False,
        checkpoint: str | int = "newest",
        reverse: bool = False,
    ) -> Pixels:
        """Let G make images of images, uint8 (n, h, w, c) -> uint8 (n, h, w, c of the target).

        They may be of any size, and larger ones than 1024×1024 pixels are translated in tiles, see
        `tiles.py`; but what G knows is the scale of the images that it was trained on. An image's
        output depends on nothing but the image, the run and the seed.

        Args:
            images: of as many channels as the run's sources.
            seed: decides the noise, the dropout in G.
            raw: use G's own weights instead of their moving average.
            checkpoint: as for `sample`.
            reverse: go from target to source, in a run that learnt both ways.

        Raises:
            UserError: the run translates no images or not in reverse, the array does not hold
                such images, or there is no such checkpoint.
        """
        translator = self.translator(seed=seed, raw=raw, checkpoint=checkpoint, reverse=reverse)
        return translator.translate_all(images)

    def translator(
        self,
        *,
        seed: int = 0,
        raw: bool = False,
        checkpoint: str | int = "newest",
        reverse: bool = False,
    ) -> Translator:
        """What `translate` works with, for images of different sizes; it raises the same errors."""
        if not self.source_channels:
            raise UserError(
                f"The run '{self.path}' makes images of noise, not of images. Sample it instead: "
                f"zerosum sample {shlex.quote(str(self.path))}."
            )
        game = self._game(raw=raw, checkpoint=checkpoint)
        channels = self.source_channels, self.image_shape[0] - self.source_channels
        source_channels, target_channels = reversed(channels) if reverse else channels
        return Translator(
            net=one_way(game.G.net, reverse=reverse, run=f"The run '{self.path}'"),
            source_channels=source_channels,
            target_channels=target_channels,
            device=game.device,
            seed=seed,
        )

    def _game(self, *, raw: bool, checkpoint: str | int) -> Game:
        """Build the game with the weights of a checkpoint in G."""
        device = choose_device("auto")
        with own_randomness(device):
            game = self._untrained(device)
        snapshot = choose(self.directory, checkpoint)
        try:
            load_net(game.G.net, group(snapshot, "G" if raw else "average"))
        except RuntimeError as error:
            raise UserError(
                f"The weights in '{self.path}' do not fit its config.json: {error}. One of them "
                "was changed; restore it from a copy."
            ) from None
        game.G.net.eval()
        return game

    def _untrained(self, device: torch.device) -> Game:
        """Build the game, with weights from torch's current random stream."""
        return recipes.build(
            self.recipe,
            self.config,
            DataSpec(
                shape=self.image_shape,
                classes=self.classes,
                source_channels=self.source_channels,
            ),
            device=device,
        )


@torch.no_grad()
def generate(net: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Let a G, as it stands, make images (n, c, h, w) in [-1, 1]."""
    images: Tensor = net(*inputs)
    return images


def to_samples(images: Tensor) -> Samples:
    """Float (n, c, h, w) in [-1, 1] -> uint8 (n, h, w, c), or float32 (n, 2) where n are points."""
    return to_array(at_rest(images))
