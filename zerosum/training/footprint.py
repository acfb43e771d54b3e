"""What a round takes of a device's memory, found out without computing anything."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from zerosum.game.core import Batch, Game
from zerosum.seeds import own_randomness


def bytes_of_round(outline: Game, batch: Batch) -> int:
    """The bytes that the backward pass of a round's largest turn needs of its forward pass.

    Buffers that single layers need beside that are not counted: take it for the least.

    Args:
        outline: a game on torch's "meta" device, where tensors have a shape and no content.
        batch: a mini-batch of the run's size, there too.
    """
    with own_randomness(torch.device("cpu")):
        part = batch.rows(0, -(-len(batch) // outline.parts))
        return max(bytes_of_turn(outline, turn, part) for turn in sorted(set(outline.turns)))


def bytes_of_turn(outline: Game, turn: str, batch: Batch) -> int:
    """The bytes that the backward pass of one turn needs of its forward pass."""
    kept: dict[int, Tensor] = {}  # by their storage, and alive, or another would get its place

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    # What the "meta" device cannot do ends a turn early, as in `precision.products_of`.
    with saved_tensors_hooks(keep, lambda tensor: tensor), suppress(RuntimeError):
        play = outline.forward(outline, turn, batch, 0)
        for term in outline.player(turn).objective.values():
            with suppress(RuntimeError):
                term(play)
    return total_bytes(kept.values())


def total_bytes(tensors: Iterable[Tensor]) -> int:
    """The bytes of tensors that share no memory."""
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)
