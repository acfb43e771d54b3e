"""Several processes that train one game, as torchrun starts them: all that they have to agree on.

There is no wrapper around nets: `round.py` adds up a player's gradients after its backward pass, in
one flat sum. Process 0 leads: it alone reads and writes the run directory, and tells the others.
Where there is one process, nothing here does anything.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from zerosum.errors import UserError, and_more

Value = TypeVar("Value")

_store: Any = None  # a store that all processes reach, once they have met


class ProcessLost(UserError):
    """Another process has ended, or does not answer."""

    exit_code = 1


def rank() -> int:
    """Which process this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def asked_for() -> int:
    """How many processes torchrun, or whoever sets its variables, says that there are."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def own_device(name: str) -> str:
    """The device of this process where `name` is asked for: of several GPUs each has its own."""
    if asked_for() == 1 or name not in ("auto", "cuda"):
        return name
    gpus = torch.cuda.is_available()
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if gpus or name == "cuda" else "cpu"


def meet(device: torch.device) -> None:
    """Wait for the other processes, if there are to be any.

    Raises:
        UserError: they cannot be found, or the device knows of no sums over processes.
    """
    global _store
    if asked_for() == 1 or dist.is_initialized():
        return
    if device.type == "mps":
        raise UserError("Several processes on mps: expected --device cpu, or CUDA's GPUs.")
    try:
        _store = common_store()
        place, count = int(os.environ["RANK"]), asked_for()
        backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, store=_store, rank=place, world_size=count)
        atexit.register(dist.destroy_process_group)  # or its threads abort the process
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The {asked_for()} processes did not meet: {error}. Start them by torchrun "
            "--nproc-per-node, which sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."
        ) from None


def common_store() -> Any:
    """Where all processes can leave word; after a restart by torchrun, without what was left."""
    store, *_ = next(rendezvous("env://"))
    return dist.PrefixStore(f"zerosum/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def first_to_speak() -> bool:
    """Whether nobody has said yet why the training ends; whoever asks is taken to say it."""
    store = _store
    try:
        # Of torchrun's own store all know, even before they have met.
        if store is None and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            store = common_store()
        return store is None or store.add("spoken", 1) == 1
    except RuntimeError:  # it was process 0's, and has ended with it
        return True


def _together(collective: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return collective(*arguments, **options)
    except RuntimeError as error:
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


def tensor_from_first(tensor: Tensor) -> Tensor:
    """Fill a tensor of the CPU with what process 0 has in it."""
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
