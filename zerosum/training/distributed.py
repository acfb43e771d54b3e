"""Several processes that train one game, as torchrun starts them: all that they have to agree on.

There is no wrapper around nets: `round.py` adds up a player's gradients after its backward pass, in
one flat sum. Process 0 leads: it alone reads and writes the run directory, and tells the others.
Where there is one process, nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from zerosum.errors import UserError, and_more
from zerosum.training.torchrun import ignore_its_stop

Value = TypeVar("Value")


class ProcessLost(UserError):
    """Another process has ended, or does not answer."""

    exit_code = 1


def rank() -> int:
    """Which process this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def group() -> Any:
    """The processes that have met; None where there is one."""
    return dist.group.WORLD if dist.is_initialized() else None


def _together(collective: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return collective(*arguments, **options)
    except torch.OutOfMemoryError:  # a RuntimeError too, and this process's own
        raise
    except RuntimeError as error:
        ignore_its_stop()
        raise ProcessLost(
            f"Another of the {world()} processes has ended, or does not answer "
            f"({reason(error)}). What was saved is whole: run the same command again "
            "to go on from there."
        ) from None


def reason(error: Exception) -> str:
    """What an error of gloo's or nccl's says, without where in their code."""
    return str(error).partition("\n")[0].removeprefix("[").split("] ", 1)[-1].partition(". ")[0]


class _Sum(torch.autograd.Function):
    """The sum over all processes. Each one's loss depends on it, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        found = tensor.clone(memory_format=torch.contiguous_format)
        _together(dist.all_reduce, found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return add_up(gradients[0])


def add_up(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes; it can be differentiated, any number of times."""
    if world() == 1:
        return tensor
    return cast("Tensor", _Sum.apply(tensor))  # type: ignore[no-untyped-call]


def flat_sum(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sums of tensors over all processes, in one go; not differentiable."""
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    _together(dist.all_reduce, flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [part.view(t.shape).to(t.dtype) for part, t in zip(parts, tensors, strict=True)]


def largest(*numbers: int) -> list[int]:
    """The largest that any process has of each of some numbers."""
    if world() == 1:
        return list(numbers)
    found = torch.tensor(numbers)  # on the CPU: no device waits for it
    _together(dist.all_reduce, found, op=dist.ReduceOp.MAX)
    return cast("list[int]", found.tolist())


def from_first(value: Value) -> Value:
    """What process 0 has here; all call this, and those others' own values count for nothing."""
    if world() == 1:
        return value
    box = [value]
    _together(dist.broadcast_object_list, box, src=0, device=torch.device("cpu"))
    return box[0]


def to_first(value: Value) -> list[Value] | None:
    """What every process has here, in their order, at process 0; None at the others."""
    if world() == 1:
        return [value]
    found: list[Any] | None = [None] * world() if rank() == 0 else None
    _together(dist.gather_object, value, found, dst=0)
    return found


def tensor_from_first(tensor: Tensor) -> Tensor:
    """Fill a tensor with what process 0 has in it."""
    if world() > 1:
        _together(dist.broadcast, tensor, src=0)
    return tensor


def require_alike(facts: Mapping[str, Any], advice: str) -> None:
    """Refuse processes of which not all have what process 0 has.

    Raises:
        UserError: they do not; it is named what differs in which.
    """
    found: list[Mapping[str, Any]] = [facts] * world()
    if world() > 1:
        _together(dist.all_gather_object, found, facts)
    lines = [
        f"{name}: process 0 has {found[0].get(name)}, process {other} has {theirs.get(name)}"
        for other, theirs in enumerate(found)
        for name in found[0]
        if theirs.get(name) != found[0][name]
    ]
    if lines:
        raise UserError(f"The processes do not train the same. {and_more(lines)}. {advice}")
