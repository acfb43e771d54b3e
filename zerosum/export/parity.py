"""Whether an exported file makes what torch makes, tried at several batches and sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.sampling import Generator, draw_inputs
from zerosum.inference.description import Description
from zerosum.inference.exported import OnnxNet
from zerosum.seeds import enter_stream, own_randomness

LIMIT = 1e-4
"""Of images in [-1, 1], the largest difference of an entry: an eightieth of a gray level."""

HALF_LIMIT = 4 / 127.5
"""What rounding weights to float16 may change: four gray levels of 255, which no eye sees."""

BATCHES = (1, 2, 5)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far apart a file and torch are, in entries of images in [-1, 1].

    Attributes:
        worst: the largest difference, with the same weights.
        rounding: the largest difference that rounding the weights to float16 has made; None where
            they were not rounded.
        batches: the sizes of the batches tried.
        sizes: (height, width) of the images tried, where images are translated.
        limit: above which `worst` is a failure.
    """

    worst: float
    rounding: float | None
    batches: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    limit: float = LIMIT

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


CPU = torch.device("cpu")


def measure_parity(
    onnx: Path, G: Generator, before: Generator, spec: DataSpec, about: Description
) -> Parity:
    """Let the file, and torch, make images of the same inputs and the same noise.

    Args:
        onnx: the file.
        G: what it was made of, with weights that were rounded if its are.
        before: the same with the weights as they were.
        spec: the form of the run's data.
        about: what the file takes.

    Raises:
        UserError: they differ by more than is allowed.
    """
    from_file = Generator(OnnxNet(onnx), about.inputs).eval()
    worst = rounding = 0.0
    sizes = tried_sizes(about)
    for index, inputs in enumerate(tried_inputs(G, spec, sizes)):
        made = [noisily(each, inputs, index) for each in (G, from_file, before)]
        worst = max(worst, difference(made[0], made[1]))
        rounding = max(rounding, difference(made[0], made[2]))
    if worst > LIMIT:
        raise UserError(
            f"The ONNX file does not make what torch makes: its images differ by up to "
            f"{worst:.2g}, expected at most {LIMIT:g}. Nothing was written. In a net of your own, "
            "draw no random numbers in eval mode, and compute nothing from the size of the batch."
        )
    halved = G is not before
    if halved and rounding > HALF_LIMIT:
        raise UserError(
            f"With weights in half precision its images differ by up to {rounding:.2g} on a scale "
            f"from -1 to 1, expected at most {HALF_LIMIT:.2g}. Nothing was written. Leave --half "
            "out."
        )
    return Parity(worst=worst, rounding=rounding if halved else None, batches=BATCHES, sizes=sizes)


def tried_sizes(about: Description) -> tuple[tuple[int, int], ...]:
    """Two sizes, (height, width), of images to translate; () where none are."""
    if not about.source_channels:
        return ()
    multiple, least = about.multiple, about.least_side
    trained = tuple(max(-(-side // multiple) * multiple, least) for side in about.image_size)
    return (trained[0], trained[1]), (least, least + multiple)


def tried_inputs(
    G: Generator, spec: DataSpec, sizes: tuple[tuple[int, int], ...]
) -> Iterator[tuple[Tensor, ...]]:
    """Inputs of every batch, and of every size."""
    with own_randomness(CPU):
        enter_stream(CPU, "parity", 0)
        found: list[tuple[Tensor, ...]] = []
        for count in BATCHES:
            if sizes:
                channels = G.inputs[0].shape[0] or 0
                found += [(torch.rand(count, channels, *size) * 2 - 1,) for size in sizes]
            else:
                found.append(draw_inputs(G.inputs, count, CPU, names=spec.classes))
    yield from found


@torch.no_grad()
def noisily(G: nn.Module, inputs: tuple[Tensor, ...], index: int) -> Tensor:
    """Make images with noise of a stream of its own, the same for whoever asks."""
    with own_randomness(CPU):
        enter_stream(CPU, "parity noise", index)
        images: Tensor = G(*inputs)
    return images


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of two entries; infinite where one is NaN, which no maximum keeps."""
    return (one - other).abs().nan_to_num(nan=math.inf).max().item()
