"""Sampling from G: what it takes, drawing that, and what comes of it. Here alone z is drawn.

But for the turns of a training, which draw z for as many images as their batch holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zerosum.data.images import at_rest
from zerosum.errors import UserError, whole_number
from zerosum.game.core import GeneratorInput

CHUNK = 256
"""Images made at a time, which bounds the memory."""


class Generator(nn.Module):
    """A G that says what it takes.

    Attributes:
        net: G itself.
        inputs: what `forward` takes, in this order.
    """

    def __init__(self, net: nn.Module, inputs: Sequence[GeneratorInput]) -> None:
        super().__init__()
        self.net = net
        self.inputs = tuple(inputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Make images (b, c, h, w), floats in [-1, 1], of `inputs` (b, ...)."""
        if len(inputs) == 1 and self.inputs[0].kind == "latent":
            # G is told its class as a row (b, k), and without classes k is 0.
            inputs = (*inputs, inputs[0].new_empty(len(inputs[0]), 0))
        images: Tensor = self.net(*inputs)
        return images


def noise_inputs(latent_size: int, num_classes: int = 0) -> tuple[GeneratorInput, ...]:
    """What a G takes that makes images of noise: z, and the class where there are any."""
    z = GeneratorInput("z", (latent_size,), "latent")
    return (z, GeneratorInput("classes", (num_classes,), "class")) if num_classes else (z,)


def image_inputs(channels: int) -> tuple[GeneratorInput, ...]:
    """What a G takes that makes images of images: images of any size."""
    return (GeneratorInput("images", (channels, None, None), "image"),)


def draw_inputs(
    inputs: Sequence[GeneratorInput],
    count: int,
    device: torch.device,
    *,
    label: int | None = None,
) -> tuple[Tensor, ...]:
    """Draw what a G takes from the current random stream, but for images.

    Args:
        inputs: what it takes.
        count: for how many images.
        device: where to.
        label: the class that all of them shall be of; None for all classes in turn.

    Returns:
        Latents, float (count, latent_size), and one-hot classes, float (count, num_classes).

    Raises:
        UserError: it takes images, or there is no such class.
    """
    if any(each.kind == "image" for each in inputs):
        raise UserError(
            "This run makes images of images, and nothing of noise. Give it an image or a folder: "
            "zerosum translate RUN IMAGE --out PATH."
        )
    num_classes = sum(each.shape[0] or 0 for each in inputs if each.kind == "class")
    label = None if label is None else whole_number("label", label)
    if label is not None and not 0 <= label < num_classes:
        raise UserError(
            f"The label was {label}: expected 0 to {num_classes - 1}."
            if num_classes
            else f"The label was {label}, but this G knows no classes. Leave --label out, or "
            "train with --conditioning concat."
        )
    drawn = []
    for each in inputs:
        if each.kind == "latent":
            drawn.append(torch.randn(count, each.shape[0] or 0, device=device))
        else:
            classes = torch.arange(count, device=device) % num_classes
            told = classes if label is None else torch.full_like(classes, label)
            drawn.append(nn.functional.one_hot(told, num_classes).float())
    return tuple(drawn)


@torch.no_grad()
def generate(G: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Let a G, as it stands, make images at rest, (n, c, h, w), uint8 if they have pixels."""
    return at_rest(G(*inputs))
