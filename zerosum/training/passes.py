"""How a batch is cut into passes, over processes and parts, and added up again.

A turn that is played in passes comes to what it would in one: every pass draws the random numbers
of the whole batch, and takes those of its own images (`zerosum.game.share`). Where one process
plays whole batches there is one pass, and nothing of this is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.utils.parametrizations import _SpectralNorm

from zerosum.game.core import Batch, Game, Player
from zerosum.game.share import Share
from zerosum.seeds import enter_stream
from zerosum.training import distributed
from zerosum.training.layout import as_lies


@dataclass(frozen=True)
class Stream:
    """The random numbers of one turn."""

    device: torch.device
    seed: int | str
    turn_index: int

    def enter(self) -> None:
        """Go to their beginning."""
        enter_stream(self.device, "turn", self.seed, self.turn_index)


def shares(game: Game, batch: Batch, stream: Stream) -> Iterator[tuple[Share | None, Batch]]:
    """Cut a batch into what this process plays of it, one pass after the other.

    Every pass draws the random numbers of the whole batch from their beginning, and takes its own.
    Packs stay whole.
    """
    world = distributed.world()
    if world == 1 and (game.parts == 1 or len(batch) == 1):
        yield None, batch
        return
    batch = batch.whole_packs(game.pack)
    own = pieces(game, len(batch))
    in_parts = len(own) > 1
    iterated = power_iterations(game) if in_parts else []
    before = [tensor.clone() for tensor in iterated]
    for number, (start, stop, counts) in enumerate(own):
        if number:
            stream.enter()
            # One iteration for each pass over the whole batch, not for each part of it.
            for tensor, kept in zip(iterated, before, strict=True):
                tensor.copy_(kept)
        share = Share(
            start=start,
            stop=stop,
            total=len(batch),
            counts=counts,
            is_last=number == len(own) - 1,
            in_parts=in_parts,
            reals=batch.rows(own[0][0], own[-1][1]).real,
            place=(distributed.rank(), world),
            add_up=distributed.add_up,
            batch_norm=world > 1 and game.batch_norm == "global",
        )
        yield share, batch.rows(start, stop)


def pieces(game: Game, total: int) -> list[tuple[int, int, bool]]:
    """The passes in which this process plays its part of a batch.

    Args:
        game: the game.
        total: images in the batch, in whole packs.

    Returns:
        Of each pass its first image, the one behind its last, and whether it counts: a process for
        which nothing is left plays the first pack along.
    """
    rank, world = distributed.rank(), distributed.world()
    packs = total // game.pack
    # As many parts for every process, or they would wait for one another; and none without images,
    # unless there are more processes than packs.
    parts = max(1, min(game.parts, packs // world))
    cuts = [packs * piece // (world * parts) * game.pack for piece in range(world * parts + 1)]
    own = [*pairwise(cuts)][rank * parts : (rank + 1) * parts]
    return [(start, stop, True) if stop > start else (0, game.pack, False) for start, stop in own]


def own_rows(game: Game, total: int) -> tuple[int, int]:
    """Which images of a batch of so many this process has to read: the first, and behind the last.

    All, where there is no other process, or where the batch is too small for one pack.
    """
    if distributed.world() == 1 or total < game.pack:
        return 0, total
    own = pieces(game, total // game.pack * game.pack)
    return own[0][0], own[-1][1]


def own_span(count: int) -> tuple[int, int]:
    """Which of some jobs in a row are this process's: the first, and the one behind the last."""
    return count * distributed.rank() // distributed.world(), count * (
        distributed.rank() + 1
    ) // distributed.world()


def power_iterations(game: Game) -> list[Tensor]:
    """What spectral norm moves on in every pass, whatever the images are."""
    nets = (game.G.net, game.D.net)
    norms = (each for net in nets for each in net.modules() if isinstance(each, _SpectralNorm))
    return [tensor for norm in norms for tensor in norm.buffers()]


def under_way(share: Share | None) -> AbstractContextManager[None]:
    """Let what is computed inside be of a share, if the batch is played in such."""
    return nullcontext() if share is None else share.under_way()


def summed(player: Player, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add up a player's gradients, in place, and the values of its terms over all processes."""
    if distributed.world() == 1:
        return dict(values)
    learning = [p for p in player.parameters if p.grad is not None]
    found = distributed.flat_sum(
        [*(p.grad for p in learning if p.grad is not None), *values.values()]
    )
    for parameter, gradient in zip(learning, found, strict=False):
        parameter.grad = as_lies(gradient, parameter)
    return dict(zip(values, found[len(learning) :], strict=True))
