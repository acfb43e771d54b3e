"""What the loop asks of the parts around it: what deals, what evaluates and what watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

Dealt = tuple[Tensor, Tensor | None, *tuple[int, ...]]
"""Images (b, c, h, w) in [-1, 1], and labels (b,) where there are any. A process that reads only
its own images of a batch adds the place of the first one, and how many the batch has."""


class Position(Protocol):
    """Where a loader stands."""

    @property
    def epoch(self) -> int:
        """Whole passes dealt."""
        ...

    @property
    def offset(self) -> int:
        """Images dealt of the pass under way."""
        ...


class Loader(Protocol):
    """What the loop needs of a loader: batches in an order that the seed and epoch decide."""

    @property
    def position(self) -> Position:
        """Where the next batch begins."""
        ...

    def require_batches(self, count: int, *, stopped: Callable[[], bool]) -> None:
        """Wait for the next batches, or until `stopped`; a UserError where they cannot be dealt."""
        ...

    def next_batch(self) -> Dealt:
        """Deal the next batch, or this process's part of it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a look at the players as they stand has found; all of it goes into the log.

    Attributes:
        metrics: by name. The best checkpoint is the one with the lowest first metric.
        health: a verdict, why, and the signals it rests on; None where nothing judges it.
    """

    metrics: Mapping[str, float]
    health: Mapping[str, Any] | None = None

    def record(self) -> dict[str, Any]:
        """What the log says of it."""
        judged = {} if self.health is None else {"health": self.health}
        return {"metrics": self.metrics, **judged}


class Callback:
    """Watches a training. Whoever has nothing to do at one of these moments leaves it out."""

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Training starts, or goes on, at `seen` of `budget` images."""

    def update(self, *, seen: int, losses: Mapping[str, float]) -> None:
        """About once a second: the losses since the last tick, `loss_D` and `loss_G`."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """A line of the log has been written: losses, terms, the pace, and metrics if any."""

    def picture(self, path: Path) -> None:
        """The picture of an epoch has been drawn, a PNG; its line of the log comes after it."""

    def notice(self, text: str) -> None:
        """Something the person should know."""

    def lost_output(self) -> OSError | None:
        """Why nobody gets what this shows, where training had better be saved and end; or None.

        Asked after each round.
        """
        return None

    def end(self) -> None:
        """Training has stopped, for whatever reason."""


class Callbacks(Callback):
    """Several callbacks as one; each is told in turn."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = tuple(callbacks)

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """As `Callback.begin`."""
        for callback in self.callbacks:
            callback.begin(seen=seen, budget=budget, images_per_epoch=images_per_epoch)

    def update(self, *, seen: int, losses: Mapping[str, float]) -> None:
        """As `Callback.update`."""
        for callback in self.callbacks:
            callback.update(seen=seen, losses=losses)

    def tick(self, record: Mapping[str, Any]) -> None:
        """As `Callback.tick`."""
        for callback in self.callbacks:
            callback.tick(record)

    def picture(self, path: Path) -> None:
        """As `Callback.picture`."""
        for callback in self.callbacks:
            callback.picture(path)

    def notice(self, text: str) -> None:
        """As `Callback.notice`."""
        for callback in self.callbacks:
            callback.notice(text)

    def lost_output(self) -> OSError | None:
        """As `Callback.lost_output`, of the first of which it is so."""
        failures = (callback.lost_output() for callback in self.callbacks)
        return next((failure for failure in failures if failure is not None), None)

    def end(self) -> None:
        """As `Callback.end`."""
        for callback in self.callbacks:
            callback.end()
