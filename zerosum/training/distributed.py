"""Several processes that train one game, as torchrun starts them: all that they have to agree on.

There is no wrapper around nets: `round.py` adds up a player's gradients after its backward pass, in
one flat sum. Where there is one process, nothing here does anything. Process 0 leads: it reads and
writes the run directory, and tells the others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from zerosum.errors import UserError

Value = TypeVar("Value")
NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun says to each process."""


def rank() -> int:
    """Which process this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


class _Sum(torch.autograd.Function):
    """The sum over all processes. Each one's loss depends on it, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        found = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return add_up(gradients[0])


def add_up(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes; it can be differentiated, any number of times."""
    return cast("Tensor", _Sum.apply(tensor)) if world() > 1 else tensor


def flat_sum(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sums of tensors over all processes, in one go; not differentiable."""
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    dist.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view(t.shape).to(t.dtype) for part, t in zip(parts, tensors, strict=True)]
