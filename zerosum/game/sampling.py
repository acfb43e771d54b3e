"""Sampling from G: what it takes, drawing that, and what comes of it. Here alone z is drawn.

But for the turns of a training, which draw z for as many images as their batch holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zerosum.data.images import at_rest
from zerosum.errors import UserError, unknown_name
from zerosum.game.core import GeneratorInput

ClassMix = Mapping[int | str, float] | Mapping[str, float] | Mapping[int, float]
"""Weights of classes, by their names or numbers."""
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
            inputs = (*inputs, inputs[0][:, :0])
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
    label: int | str | None = None,
    class_mix: ClassMix | None = None,
    names: Sequence[str] = (),
    classes: Tensor | None = None,
    z: Tensor | None = None,
    move: Tensor | None = None,
    truncation: float = 1.0,
) -> tuple[Tensor, ...]:
    """Draw what a G takes from the current random stream, but for images.

    Args:
        inputs: what it takes.
        count: for how many images.
        device: where to.
        label: the class that all of them shall be of, see `class_index`; None for all classes in
            turn.
        class_mix: the classes that all of them shall be between, with weights of at least 0, which
            are divided by their sum; in place of `label`.
        names: of the classes; by default their numbers.
        classes: what G is told with each image, (count, num_classes), of rows that add up to 1;
            in place of `label` and `class_mix`.
        z: the latents (count, latent_size), instead of drawing them.
        move: (latent_size,), what is added to each z.
        truncation: in [0, 1], what z, moved, is multiplied by. Below 1 samples are more typical
            and less varied; 1 leaves z as it is.

    Returns:
        Latents, float (count, latent_size), and one-hot classes, or mixtures of such, float (count,
        num_classes).

    Raises:
        UserError: it takes images, there is no such class, or z or the truncation is none that it
            could take.
    """
    if any(each.kind == "image" for each in inputs):
        raise UserError(
            "This run makes images of images, and nothing of noise. Give it an image or a folder: "
            "zerosum translate RUN IMAGE --out PATH."
        )
    if not 0 <= truncation <= 1:  # which NaN is not
        raise UserError(f"The truncation was {truncation}: expected a number from 0 to 1.")
    num_classes = sum(each.shape[0] or 0 for each in inputs if each.kind == "class")
    told = told_class(num_classes, label=label, class_mix=class_mix, names=names)
    drawn = []
    for each in inputs:
        if each.kind == "latent":
            size = each.shape[0] or 0
            noise = torch.randn(count, size, device=device)
            if z is not None:
                noise = given_latents(z, count, size).to(device)
            if move is not None:
                noise = noise + given_move(move, size).to(device)
            drawn.append(noise if truncation == 1 else noise * truncation)
        elif classes is not None:
            drawn.append(classes.float().to(device))
        elif told is None:
            in_turn = torch.arange(count, device=device) % num_classes
            drawn.append(nn.functional.one_hot(in_turn, num_classes).float())
        else:
            drawn.append(told.to(device).repeat(count, 1))
    return tuple(drawn)


def told_class(
    num_classes: int,
    *,
    label: int | str | None,
    class_mix: ClassMix | None,
    names: Sequence[str],
) -> Tensor | None:
    """What a G of so many classes is told for every image: float (num_classes,), that adds up to 1.

    Returns:
        A one-hot row or a mixture of such; None for all classes in turn.

    Raises:
        UserError: there is no such class, G is told none, or a weight is none.
    """
    if label is None and class_mix is None:
        return None
    if label is not None and class_mix is not None:
        raise UserError("Received both a label and a mix of classes: expected one of them.")
    if not num_classes:
        received = f"label was {label}" if label is not None else f"mix of classes was {class_mix}"
        flag = "--label" if label is not None else "--class-mix"
        raise UserError(
            f"The {received}, but this G knows no classes. Leave {flag} out, or train with "
            "--conditioning concat."
        )
    names = names or tuple(map(str, range(num_classes)))
    weights = {label: 1.0} if class_mix is None else class_mix
    row = torch.zeros(num_classes)
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:  # nor is NaN
            raise UserError(
                f"The weight of '{name}' in the mix of classes was {weight}: expected a number of "
                "at least 0."
            )
        row[class_index(name, names)] += weight
    if not row.sum() > 0:
        raise UserError("The mix of classes names none: expected a weight above 0.")
    return row / row.sum()


def class_index(label: object, names: Sequence[str]) -> int:
    """Which class is meant, by its name or its number.

    A number that is itself the name of a class means that class: of the classes "3" and "7", 7
    means the second one. Any other counts the classes from 0, unless numbers are what all of them
    are called.

    Raises:
        UserError: there is no such class.
    """
    text = str(label)
    if text in names:
        return list(names).index(text)
    if not re.fullmatch(r"[+-]?\d+", text):
        raise unknown_name("class", text, names)
    if all(re.fullmatch(r"[+-]?\d+", name) for name in names):
        raise UserError(f"The label was {text}: expected one of {', '.join(names)}.")
    if not 0 <= int(text) < len(names):
        raise UserError(
            f"The label was {text}: expected 0 to {len(names) - 1}, or one of the names: "
            f"{', '.join(names)}."
        )
    return int(text)


def given_latents(z: Tensor, count: int, size: int) -> Tensor:
    """Check latents that were not drawn: float32 (count, size).

    Raises:
        UserError: they are of another shape, or not finite.
    """
    if z.ndim != 2 or len(z) != count:
        raise UserError(f"The latents have the shape {tuple(z.shape)}: expected ({count}, {size}).")
    if z.shape[1] != size:
        raise UserError(f"The latents have {z.shape[1]} numbers each: this G takes {size}.")
    z = z.float()
    if not z.isfinite().all():
        raise UserError("The latents hold NaN or infinity: expected numbers, as of N(0, 1).")
    return z


def given_move(move: Tensor, size: int) -> Tensor:
    """Check what shall be added to each z: float32 (size,).

    Raises:
        UserError: it is of another shape, or not finite.
    """
    if move.shape != (size,):
        raise UserError(
            f"The directions are of a z of {move.numel()} numbers: this G takes {size}. Expected "
            "those of the same G, or of one whose z is as long."
        )
    move = move.float()
    if not move.isfinite().all():
        raise UserError("The directions hold NaN or infinity: expected numbers.")
    return move


@torch.no_grad()
def generate(G: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Let a G, as it stands, make images at rest, (n, c, h, w), uint8 if they have pixels."""
    return at_rest(G(*inputs))
