"""How fast bf16 is against fp32 on this machine: measured, on what a game multiplies.

No feature list tells. Processors that report bfloat16 instructions have run bf16 at half of fp32's
pace, and those without them run it ten times slower. So the largest products and convolutions of a
game are run in both, for a few tenths of a second, and the outcome is remembered with the machine.
A training is not touched: it ends with the same weights as one for which nothing was measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import perf_counter, thread_time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from zerosum.errors import UserError
from zerosum.game.core import Batch, Game
from zerosum.hardware import device_identity
from zerosum.metrics.cache import content_key, read_json, write_json
from zerosum.seeds import own_randomness

WORTH = 1.1
"""The pace of bf16, against fp32's, from which `--precision auto` takes it: it rounds more."""
SLOWER = 0.95
"""The pace below which somebody who asked for bf16 is warned."""

HEAVIEST = 4
"""Products that are measured: those on which a round spends the most arithmetic."""
SECONDS = 0.4
"""For all of them together."""
LEAST = 3
"""Repetitions in each precision, of which the fastest counts, whatever time it takes."""
FIRST_WORK, GROWTH = 2e7, 8
"""Floating point operations of the first piece of a product, and how much larger the next one is:
a fifth of a millisecond where a core is fast, and 20 where bf16 is at its slowest."""

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "linear": F.linear,
    "conv2d": F.conv2d,
    "conv_transpose2d": F.conv_transpose2d,
}
"""torch's products of a batch by a weight."""
ARGUMENTS = {
    "linear": (),
    "conv2d": ("stride", "padding", "dilation", "groups"),
    "conv_transpose2d": ("stride", "padding", "output_padding", "groups", "dilation"),
}
"""What they take behind input, weight and bias, in their order."""


@dataclass(frozen=True)
class Product:
    """A product or convolution of a batch by a weight.

    Attributes:
        function: its name in `torch.nn.functional`.
        batch: the shape of what is multiplied, the images of the batch first.
        weight: the weight's shape.
        work: floating point operations, forward and backward.
        shaping: stride, padding and so on.
    """

    function: str
    batch: tuple[int, ...]
    weight: tuple[int, ...]
    work: float
    shaping: tuple[tuple[str, Any], ...] = ()

    def within(self, work: float) -> Product:
        """A piece of it of about so much work, and of about its proportions.

        Of a product every side is shorter; of a convolution there are fewer images, then smaller
        ones.
        """
        share = min(1.0, work / self.work)
        count, *rest = self.batch
        weight = self.weight
        if self.function == "linear":
            third = share ** (1 / 3)
            weight = shorter(weight, third)
            batch = (*shorter((count,), third), *rest[:-1], weight[1])
        else:
            images = max(1, int(count * share))
            side = min(1.0, share * count / images) ** 0.5
            batch = (images, rest[0], *shorter(rest[1:], side, least=max(weight[2:])))
        share = math.prod(batch) / math.prod(self.batch) * weight[0] / self.weight[0]
        return replace(self, batch=batch, weight=weight, work=self.work * share)


def shorter(sides: Sequence[int], share: float, least: int = 1) -> tuple[int, ...]:
    """Sides of so much of their length, or of the least that they may have."""
    return tuple(max(min(side, least), int(side * share)) for side in sides)


STANDARD: Mapping[str, Product] = {
    "products": Product("linear", (4096, 1024), (1024, 1024), work=6 * 4096 * 1024**2),
    "convolutions": Product(
        "conv2d",
        (256, 64, 28, 28),
        (64, 64, 3, 3),
        work=6 * 256 * 28**2 * 64**2 * 9,
        shaping=(("padding", 1),),
    ),
}
"""What a machine is judged by where no game is at hand."""


class Listener(TorchFunctionMode):
    """Counts the products by a weight that are computed while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: Counter[Product] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute as torch would, and take note."""
        result = func(*args, **(kwargs or {}))
        for name, function in FUNCTIONS.items():
            if func is function:
                given = zip(("input", "weight", "bias", *ARGUMENTS[name]), args, strict=False)
                values = {**dict(given), **(kwargs or {})}
                batch, weight = values.pop("input"), values.pop("weight")
                values.pop("bias", None)  # which is not worth its while
                # A number of the output, of the input where it is transposed, meets one column of
                # the weight: forward once and backward twice, with a product and a sum each time.
                met = batch if name == "conv_transpose2d" else result
                work = 6 * met.numel() * weight.numel() / max(weight.shape[0], 1)
                shapes = tuple(batch.shape), tuple(weight.shape)
                shaping = tuple(values.items())
                self.heard[Product(name, *shapes, work=work, shaping=shaping)] += 1
        return result


def heaviest_products(outline: Game, batch: Batch) -> dict[Product, int]:
    """The products on which a round spends the most arithmetic; see `products_of`."""
    by_work = sorted(
        products_of(outline, batch).items(), key=lambda heard: -heard[0].work * heard[1]
    )
    return {product: times for product, times in by_work[:HEAVIEST] if product.work}


def products_of(outline: Game, batch: Batch) -> Counter[Product]:
    """The products by a weight in a round, and how often each is computed.

    Args:
        outline: a game on torch's "meta" device, where tensors have a shape and no content.
        batch: a mini-batch of the run's size, there too.
    """
    with own_randomness(torch.device("cpu")), Listener() as listener:
        part = batch.rows(0, -(-len(batch) // outline.parts))
        for turn in outline.turns:
            # What that device cannot do, such as leaving autocast for a gradient penalty or reading
            # a value in a user's net, ends a turn early: the nets have mostly been through by then.
            with suppress(RuntimeError):
                play = outline.forward(outline, turn, part, 0)
                for term in outline.player(turn).objective.values():
                    with suppress(RuntimeError):
                        term(play)
    heard: Counter[Product] = listener.heard
    return heard


def bf16_pace(products: Mapping[Product, int], device: torch.device) -> float:
    """How many times fp32's pace bf16 has in these products: measured once on a machine."""
    key = content_key("bf16 pace", torch.__version__, *device_identity(device), products)
    known = read_json(key)
    if not isinstance(known, float):
        known = measure(products, device)
        write_json(key, known)
    return known


def measure(products: Mapping[Product, int], device: torch.device) -> float:
    """How many times fp32's pace bf16 has in products, of which so many each are computed."""
    start, seconds = perf_counter(), [0.0, 0.0]
    with one_thread():
        for done, (product, times) in enumerate(products.items(), start=1):
            found = fastest(product, device, deadline=start + SECONDS * done / len(products))
            seconds = [total + times * one for total, one in zip(seconds, found, strict=True)]
            if perf_counter() > start + SECONDS:  # the heaviest have been measured
                break
    return seconds[0] / seconds[1]


@contextmanager
def arithmetic_in(precision: str, device: torch.device) -> Iterator[None]:
    """Let what is made and drawn inside be in float64 where the precision is fp64.

    Raises:
        UserError: the device has no float64.
    """
    if precision == "fp64" and device.type == "mps":
        raise UserError("--precision fp64: received the device mps, expected cpu or cuda.")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if precision == "fp64" else before)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread of the processor.

    On a machine with other jobs threads wait for one another, a thousand times longer than a small
    product takes: with two of them, bf16 at a tenth of fp32's pace was measured at 1.7 times.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def fastest(
    product: Product, device: torch.device, *, deadline: float, channels_last: bool = False
) -> tuple[float, float]:
    """How many seconds a product takes in fp32 and in bf16 when nothing disturbs it.

    They take turns, so that other jobs on the machine disturb both alike, and the fastest
    repetition counts. First a small piece is run, then larger ones while the deadline allows: where
    bf16 is a hundred times slower, the small piece has told all there is to know.

    Args:
        product: the whole of it, to which the seconds refer whatever piece was run.
        device: where.
        deadline: by `perf_counter`, until which the last piece is repeated.
        channels_last: whether images and weights lie in memory with the channels last.
    """
    work: float = FIRST_WORK
    while True:
        piece = product.within(work)
        repeat = stopwatch(piece, device, channels_last=channels_last)
        repeat(False), repeat(True)  # the first ones warm up
        single = half = math.inf
        for _ in range(LEAST):
            single, half = min(single, repeat(False)), min(half, repeat(True))
        work *= GROWTH
        next_one = (1 + LEAST) * GROWTH * (single + half)
        if piece == product or perf_counter() + next_one > deadline:
            break
    while perf_counter() < deadline:
        single, half = min(single, repeat(False)), min(half, repeat(True))
    whole = product.work / piece.work
    return single * whole, half * whole


def stopwatch(
    product: Product, device: torch.device, *, channels_last: bool = False
) -> Callable[[bool], float]:
    """Make what runs a product forward and backward, in bf16 or not, and says its seconds.

    As in a net under autocast: what comes from the layer before is in bf16, the weight is not.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def ones(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        made = torch.ones(shape, dtype=dtype, device=device).contiguous(memory_format=layout)
        return made.requires_grad_()

    weight = ones(product.weight)
    batches = [ones(product.batch, dtype) for dtype in (torch.float32, torch.bfloat16)]
    # Of a single thread the system tells the time that it was computing, without that of others.
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = thread_time if alone else perf_counter

    def repeat(bf16: bool) -> float:
        wait(device)
        start = clock()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            output = FUNCTIONS[product.function](batches[bf16], weight, **dict(product.shaping))
        torch.autograd.grad(output, [batches[bf16], weight], torch.ones_like(output))
        wait(device)
        return clock() - start

    return repeat


def wait(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
