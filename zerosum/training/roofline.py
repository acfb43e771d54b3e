"""What this machine can do at best: products, convolutions and copies of memory, measured.

A round of a game can be no faster than its arithmetic at the best rate that torch reaches here, nor
than its memory traffic at the rate of a plain copy: the roofline of Williams et al. 2009
("Roofline: an insightful visual performance model").
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from zerosum.game.core import Batch, Game
from zerosum.seeds import own_randomness
from zerosum.training.footprint import bytes_of_turn
from zerosum.training.precision import LEAST, STANDARD, fastest, wait

COPIED = 2**28
"""Bytes of the copy, more than any cache holds."""
NUM_MEASURED = 4
"""What is measured with each number of threads, in about the same time each."""
BYTES_OF_STEP = 32
"""Adam reads a weight, its gradient and two moments, and writes three; the gradient was written."""


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What the machine reaches with a number of threads; None of what a device has no number of.

    Attributes:
        threads: how many.
        products: of matrices, in floating point operations a second, by precision.
        convolutions: the same.
        channels_last: of convolutions whose images lie in memory with the channels last.
        copy: bytes a second, read and written.
    """

    threads: int | None
    products: dict[str, float]
    convolutions: dict[str, float]
    channels_last: dict[str, float]
    copy: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a round asks of a machine.

    Attributes:
        products: floating point operations in products of matrices.
        convolutions: floating point operations in convolutions.
        traffic: bytes that pass through memory at least: what the backward passes need of the
            forward ones, written and read, and the steps of the optimizers.
    """

    products: float
    convolutions: float
    traffic: float

    def seconds(self, ceiling: Ceiling) -> tuple[float, str]:
        """The least that a round takes in fp32, and what it is bound by: its larger part."""
        convolving = max(ceiling.convolutions["fp32"], ceiling.channels_last["fp32"])
        parts = {
            "products": self.products / ceiling.products["fp32"],
            "convolutions": self.convolutions / convolving,
        }
        computing = sum(parts.values())
        moving = self.traffic / ceiling.copy
        if moving > computing:
            return moving, "memory"
        return computing, max(parts, key=lambda name: parts[name])


def ceiling(device: torch.device, threads: int | None, *, seconds: float) -> Ceiling:
    """Measure what a device reaches.

    Args:
        device: which.
        threads: of a processor; None of other devices.
        seconds: for all of it, about.
    """
    rates = []
    with computing_in(threads):
        for name, channels_last in (
            ("products", False),
            ("convolutions", False),
            ("convolutions", True),
        ):
            product = STANDARD[name]
            found = fastest(
                product,
                device,
                deadline=perf_counter() + seconds / NUM_MEASURED,
                channels_last=channels_last,
            )
            rates.append(
                dict(zip(("fp32", "bf16"), (product.work / one for one in found), strict=True))
            )
        copied = copy_rate(device, seconds=seconds / NUM_MEASURED)
    products, convolutions, channels_last_ones = rates
    return Ceiling(
        threads=threads,
        products=products,
        convolutions=convolutions,
        channels_last=channels_last_ones,
        copy=copied,
    )


def copy_rate(device: torch.device, *, seconds: float) -> float:
    """Bytes a second, read and written, of a copy when nothing disturbs it."""
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    deadline, best, repetitions = perf_counter() + seconds, math.inf, 0
    target.copy_(source)  # the first one asks the system for the memory
    while repetitions < LEAST or perf_counter() < deadline:
        wait(device)
        start = perf_counter()
        target.copy_(source)
        wait(device)
        best = min(best, perf_counter() - start)
        repetitions += 1
    return 2 * COPIED / best


def thread_counts(most: int) -> tuple[int, ...]:
    """All threads, and half as many: often enough where two share a core."""
    return (most, most // 2) if most > 1 else (most,)


@contextmanager
def computing_in(threads: int | None) -> Iterator[None]:
    """Compute in so many threads of the processor; None leaves them."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class WorkCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts by torch's own formulas; its FlopCounterMode cannot watch a gradient penalty."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = dict.fromkeys(("products", "convolutions"), 0.0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute as torch would, and take note."""
        result = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            kind = "convolutions" if "conv" in str(func) else "products"
            self.found[kind] += formula(*args, **(kwargs or {}), out_val=result)
        return result


@contextmanager
def counting_work() -> Iterator[dict[str, float]]:
    """Count the floating point operations of what is computed inside: products, convolutions."""
    counter = WorkCounter()
    with counter:
        yield counter.found


def traffic_of_round(outline: Game, batch: Batch) -> float:
    """Bytes that a round passes through memory at least.

    Args:
        outline: a game on torch's "meta" device.
        batch: a mini-batch of the size that is played, there too.
    """
    with own_randomness(torch.device("cpu")):
        return sum(traffic_of_turn(outline, turn, batch) for turn in outline.turns)


def traffic_of_turn(outline: Game, turn: str, batch: Batch) -> float:
    """Bytes of one turn: what the backward pass needs, twice, and the optimizer's step."""
    num_weights = sum(weight.numel() for weight in outline.player(turn).parameters)
    return 2 * bytes_of_turn(outline, turn, batch) + BYTES_OF_STEP * num_weights
