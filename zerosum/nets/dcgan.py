"""DCGAN's nets (Radford et al. 2015, arXiv 1511.06434): strided convolutions, in place of pooling.

`width` is the number of channels of the finest feature map, half the image's size; each coarser
one has twice as many, up to eight times. At 64×64 with width 64 and latent size 100 these are the
layers of the paper and of PyTorch's example, weight for weight.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from zerosum.errors import unknown_name
from zerosum.nets.conditions import ConditionPlanes, Head
from zerosum.nets.layers import (
    Options,
    SelfAttention,
    blocks_in,
    initialise_normal,
    with_spectral_norm,
)
from zerosum.nets.mlp import with_condition
from zerosum.nets.pyramid import Size, find_level, kernel, sizes

Norm = Literal["batch", "none"]
"""What D's layers are normalised by."""

NORMS: tuple[str, ...] = get_args(Norm)


class Generator(nn.Module):
    """z (b, latent_size) and condition (b, k) -> images (b, c, h, w) in [-1, 1].

    Transposed convolutions with BatchNorm and ReLU, Tanh at the end. The condition is appended
    to z, whichever way D is told.

    Raises:
        UserError: the image size or the resolution of the attention is not one it can make.
    """

    channels_last = True
    """As `zerosum.training.layout` has it."""

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_size: int, options: Options
    ) -> None:
        super().__init__()
        finest, *levels = sizes(*image_shape[1:])
        attended = find_level(levels, options.attention)
        widths = channels(levels, width=options.width)
        (height, width), inputs = levels[-1], widths[-1]
        self.layers = nn.Sequential(
            nn.Linear(latent_size + options.condition_size, inputs * height * width, bias=False),
            nn.Unflatten(1, (inputs, height, width)),
            *finish(inputs, attention=levels[-1] == attended),
        )
        for size, outputs in zip(levels[-2::-1], widths[-2::-1], strict=True):
            self.layers.append(upward(inputs, outputs, size=size))
            self.layers.extend(finish(outputs, attention=size == attended))
            inputs = outputs
        self.layers.append(upward(inputs, image_shape[0], size=finest))
        self.layers.append(nn.Tanh())
        initialise_normal(self)
        if options.spectral_norm:
            with_spectral_norm(self)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        images: Tensor = self.layers(with_condition(z, condition))
        return images


class Discriminator(nn.Module):
    """Images (b, pack·c, h, w) in [-1, 1] and condition (b, pack·k) -> logits (b, outputs).

    Convolutions with leaky ReLU; BatchNorm in all but the first, or none. Without BatchNorm it
    treats every image alone, as penalties on its gradient need. The condition becomes planes
    beside the images, or is projected at the end.

    Args:
        image_shape: (c, h, w) of one image.
        options: those that G has as well.
        outputs: columns of the logits: 1, and an auxiliary classifier's beside it.
        pack: images that are judged together, they and their conditions stacked.
        norm: "batch" or "none".

    Raises:
        UserError: the image size or the resolution of the attention is not one it can take, or
            nobody knows the norm.
    """

    channels_last = True
    """As `zerosum.training.layout` has it."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        options: Options,
        outputs: int = 1,
        pack: int = 1,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise unknown_name("norm of D", norm, NORMS)
        size, *levels = sizes(*image_shape[1:])
        attended = find_level(levels, options.attention)
        self.planes = ConditionPlanes(size, condition_size=pack * options.concatenated)
        inputs = pack * image_shape[0] + self.planes.planes
        self.layers = nn.Sequential()
        for smaller, width in zip(levels, channels(levels, width=options.width), strict=True):
            self.layers.append(downward(inputs, width, size=size, bias=norm == "none"))
            if norm == "batch" and smaller != levels[0]:
                self.layers.append(nn.BatchNorm2d(width))
            self.layers.append(nn.LeakyReLU(0.2))
            if smaller == attended:
                self.layers.append(SelfAttention(width))
            size, inputs = smaller, width
        self.head = Head(
            inputs * size[0] * size[1],
            outputs=outputs,
            condition_size=pack * options.projected,
            bias=norm == "none",
        )
        initialise_normal(self)
        if options.spectral_norm:
            with_spectral_norm(self)

    @property
    def depth_blocks(self) -> list[list[nn.Module]]:
        """As `zerosum.nets.layers.depth_blocks`."""
        return blocks_in([*self.layers, self.head], with_first=[self.planes])

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        features: Tensor = self.layers(self.planes(images, condition)).flatten(1)
        logits: Tensor = self.head(features, condition)
        return logits


def channels(levels: list[Size], *, width: int) -> list[int]:
    """Channels of every level, finest first: doubled at each, but at most eight times `width`."""
    return [width * min(2**level, 8) for level in range(len(levels))]


def upward(inputs: int, outputs: int, *, size: Size) -> nn.Module:
    """The transposed convolution that leads to a map of `size`."""
    return nn.ConvTranspose2d(inputs, outputs, kernel(size), stride=2, padding=1, bias=False)


def downward(inputs: int, outputs: int, *, size: Size, bias: bool) -> nn.Module:
    """The convolution that leads from a map of `size` to its half."""
    return nn.Conv2d(inputs, outputs, kernel(size), stride=2, padding=1, bias=bias)


def finish(width: int, *, attention: bool) -> list[nn.Module]:
    """What follows each of G's convolutions but the last."""
    layers: list[nn.Module] = [nn.BatchNorm2d(width), nn.ReLU()]
    return [*layers, SelfAttention(width)] if attention else layers
