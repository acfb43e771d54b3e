"""What the turns of an epoch came to: every term's and metric's value, kept on the device."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class StepStats:
    """Collects one scalar a turn under each name, and is read once an interval.

    The values themselves are kept, not their sum: a sum would cost a kernel a turn, and a value
    that is not finite can be traced to its turn.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor]] = {}

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Append one turn's scalars, each of shape ()."""
        for name, value in scalars.items():
            self.values.setdefault(name, []).append(value)

    def clear(self) -> None:
        """Begin a new interval."""
        self.values = {}

    def means(self) -> dict[str, float]:
        """Read the mean of each name's values. Waits for the device."""
        return {name: torch.stack(values).mean().item() for name, values in self.values.items()}

    def first_not_finite(self) -> tuple[str, int, float] | None:
        """Find the earliest value that is NaN or infinite: its name, index and value."""
        found = []
        for name, values in self.values.items():
            for index, value in enumerate(torch.stack(values).tolist()):
                if not math.isfinite(value):
                    # In shares of the interval: a name with five values a round counts faster.
                    found.append(((index + 1) / len(values), (name, index, value)))
                    break
        return min(found, key=lambda where: where[0], default=(0.0, None))[1]

    def state(self) -> dict[str, Tensor]:
        """The values so far, one vector a name, for a checkpoint in mid-epoch."""
        return {name: torch.stack(values) for name, values in self.values.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.values = {name: list(values.unbind()) for name, values in state.items()}
