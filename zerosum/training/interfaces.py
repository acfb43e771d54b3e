"""What the loop asks of the parts around it: what deals, what evaluates and what shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


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

    def next_batch(self) -> tuple[Tensor, Tensor | None]:
        """Deal images (b, c, h, w) in [-1, 1], and labels (b,) where there are any."""
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


class Callback(Protocol):
    """What shows the run to a person."""

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Training starts, or goes on, at `seen` of `budget` images."""
        ...

    def update(self, *, seen: int, losses: Mapping[str, float]) -> None:
        """About once a second: the losses of the epoch so far."""
        ...

    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch has ended; the record is its line of the log."""
        ...

    def notice(self, text: str) -> None:
        """Something the person should know."""
        ...

    def end(self) -> None:
        """Training has stopped, for whatever reason."""
        ...
