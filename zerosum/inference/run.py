"""A run to sample from or to translate with: what `train` returns and `load` finds again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from zerosum.config.base import Settings, restore
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError, path_like, visible
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import Generator, image_inputs
from zerosum.hardware import choose_device, memory_bytes, require_memory
from zerosum.inference.model import Model, takes_raw
from zerosum.inference.shown import facts_html
from zerosum.inference.tiles import one_way
from zerosum.recipes import build_generator
from zerosum.recipes.own import recipe_of_run
from zerosum.seeds import own_randomness
from zerosum.training.early_stopping import best_record
from zerosum.training.footprint import total_bytes
from zerosum.training.log import numbers_of
from zerosum.training.run_directory import RunDirectory, find_run


class Run(Model):
    """A trained run.

    Attributes:
        path: the run directory.
        recipe: the recipe's name.
        config: its settings.
        data: what they say that it was trained on.
        classes: the names of the data's classes, () where it has no labels.
        image_shape: (c, h, w) of one image of the data.
        source_channels: how many of c are the source's, where images are translated; else 0.
        spec: all three in one.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        recipe: str | None = None,
        saved: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a run directory.

        Args:
            path: where it is, or its name in `runs/`.
            recipe: of a run of the user's own recipe, the module that holds it; its code is run.
            saved: what is in its config.json, where it need not be read.

        Raises:
            UserError: there is no run, it cannot be read, or its recipe has to be named.
        """
        known = path_like("The run", path, "the path of a run directory, or a name in runs/")
        self.directory = RunDirectory(find_run(known))
        self.path = self.directory.path
        saved = self.directory.read_config() if saved is None else saved
        self._recipe = recipe_of_run(self.path, saved, named=recipe)
        try:
            self.recipe: str = saved["recipe"]
            self.config: Settings = restore(self._recipe.config, saved["config"])
            self.data: str = self.config.data
            self.classes: tuple[str, ...] = tuple(saved["classes"])
            # Runs of older versions do not say it.
            self.source_channels: int = saved.get("source_channels", 0)
            channels, height, width = saved["image_shape"]
            self.image_shape: tuple[int, int, int] = (channels, height, width)
            self.spec = DataSpec(
                shape=self.image_shape,
                classes=self.classes,
                source_channels=self.source_channels,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(str(error).rstrip(".")) from None

    def _damaged(self, reason: str) -> UserError:
        """Build the error for a config.json that somebody has changed."""
        return UserError(
            f"The run's '{self.directory.config_path}' is not as train writes it: {reason}. "
            "Restore that file from a copy."
        )

    @property
    def task(self) -> str:
        """What its G does, a name of `zerosum.tasks.TASKS`."""
        return self._recipe.task

    def usual_settings(self) -> Settings:
        """What its recipe sets for its data, where nobody asks for anything else."""
        return self._recipe.configure({"data": self.data})

    @property
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """What its G takes, known without its weights."""
        return self.untrained(torch.device("meta")).inputs

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, recipe={self.recipe!r})"

    def log(self) -> list[dict[str, Any]]:
        """Read the log: one record a tick, with losses, terms, D(x), D(G(z)) and the pace."""
        return list(self.directory.history().records)

    def log_frame(self) -> Any:
        """Read the log as a pandas DataFrame, a row a tick.

        Metrics are columns such as metrics/frechet_digits, signals of health such as health/gap,
        and the verdict on the training's health is the column health.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UserError(
                "log_frame needs pandas, which is not installed: pip install pandas. Run.log() "
                "gives the same as plain dictionaries."
            ) from None
        rows = []
        for record in self.log():
            health = record.get("health")
            verdict = health.get("verdict") if isinstance(health, dict) else None
            rows.append(numbers_of(record) | ({} if verdict is None else {"health": str(verdict)}))
        return pd.DataFrame(rows).astype({"seen": int} if rows else {})

    def _repr_html_(self) -> str:
        """What a notebook shows of it: how far it is, how good, and its newest picture."""
        history, pictures = self.directory.history(), self.directory.pictures()
        facts = [
            ("recipe", self.recipe),
            ("data", self.config.data),
            ("trained on", f"{history.seen:,} images ({history.epochs:g} epochs)"),
        ]
        if best := best_record(history.records):
            name, value = next(iter(best["metrics"].items()))
            facts.append(("best", f"{name} {value:.4g} at epoch {best['epoch']:g}"))
        if history.health:
            facts.append(("health", history.health))
        return facts_html(str(self.path), facts, pictures[-1] if pictures else None)

    @takes_raw
    def generator(
        self,
        *,
        checkpoint: str | int = "newest",
        ema: bool = True,
        device: str | torch.device = "auto",
        reverse: bool = False,
    ) -> Generator:
        """G alone, as a module for programs of your own, in eval mode.

        Its `inputs` say what it takes: `G(*draw_inputs(G.inputs, 16, device))` makes 16 images,
        float (16, c, h, w) in [-1, 1], see `zerosum.game.sampling`.

        Args:
            checkpoint: "newest", "best", or the images seen at one of those kept.
            ema: the moving average of G's weights, and not G's own of the last step.
            device: "auto", "cpu", "cuda", "cuda:N" or "mps".
            reverse: go from target to source, in a run that learnt both ways.

        Raises:
            UserError: there is no such checkpoint, device or way back, or the weights do not fit.
        """
        where = choose_device(str(device))
        if where.type == "cpu":
            outline = self.untrained(torch.device("meta"))
            require_memory(
                2 * total_bytes(outline.net.state_dict().values()),  # and those of the checkpoint
                memory=memory_bytes(),
                what=f"The G of the run '{self.path}'",
                advice="Use a machine with more.",
            )
        G = self.untrained(where)
        snapshot = self.directory.checkpoints.load(checkpoint, print_notice)
        try:
            G.net.load_state_dict(snapshot.group("average" if ema else "G"))
        except RuntimeError as error:
            raise UserError(
                f"The weights in '{self.path}' do not fit its config.json: {error}. One of them "
                "was changed; restore it from a copy."
            ) from None
        if self.source_channels or reverse:
            net = one_way(G.net, reverse=reverse, run=f"The run '{self.path}'")
            channels = self.source_channels, self.image_shape[0] - self.source_channels
            G = Generator(net, image_inputs(channels[reverse]))
        return G.eval()

    def untrained(self, device: torch.device) -> Generator:
        """Build G with weights that do not matter; on "meta" they take no memory either.

        Raises:
            UserError: the settings in config.json make no net.
        """
        try:
            with own_randomness(device), device if device.type == "meta" else nullcontext():
                return build_generator(self._recipe, self.config, self.spec, device=device)
        except (RuntimeError, OverflowError, TypeError, ValueError, LookupError) as error:
            told = isinstance(error, UserError | torch.OutOfMemoryError)
            if told or self._recipe.origin is not None:  # with bugs of the user's own
                raise
            raise self._damaged(f"its settings make no net ({error})") from None


def print_notice(text: str) -> None:
    """Say what a user must know, where it does not mix with what is printed."""
    print(visible(text), file=sys.stderr)
