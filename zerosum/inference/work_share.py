"""Which part of the work this process has, of several that torchrun, or a scheduler, started."""

from __future__ import annotations

import os
from dataclasses import dataclass

from zerosum.errors import UserError
from zerosum.training.torchrun import asked_for


@dataclass(frozen=True, kw_only=True)
class WorkShare:
    """One of `world` processes, the `rank`-th, counted from 0."""

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise UserError(
                f"This process is said to be rank {self.rank} of {self.world}: expected a rank "
                "from 0 to one below the number. Start it with torchrun, or set neither RANK nor "
                "WORLD_SIZE."
            )

    def of(self, number: int) -> range:
        """Those of 0, 1, ... that are this process's: every `world`-th."""
        return range(self.rank, number, self.world)


def own_work_share() -> WorkShare:
    """Read it from RANK and WORLD_SIZE; without them, this process has all of the work.

    Processes that share out samples need not meet, as those of a training do.

    Raises:
        UserError: they are no such numbers.
    """
    world = asked_for()
    told = os.environ.get("RANK")
    if told is None:
        return WorkShare()
    try:
        rank = int(told)
    except ValueError:
        raise UserError(
            f"RANK was '{told}': expected a whole number, as torchrun sets it. Unset it to work "
            "alone."
        ) from None
    return WorkShare(rank=rank, world=world)
