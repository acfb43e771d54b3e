"""Pix2Pix's generator, a U-Net (Isola et al. 2017, arXiv 1611.07004, section 6.1.1).

`width` is the number of channels of the finest feature map, half the image's size; each coarser
one has twice as many, up to eight times. At 256×256 with width 64 these are the layers of the
paper: eight down to a single pixel, eight up again, each of which also sees the map of its size
from the way down.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zerosum.errors import unknown_name
from zerosum.nets import norms
from zerosum.nets.layers import initialise_normal
from zerosum.nets.padding import cropped, padded, shorter_side
from zerosum.nets.pyramid import Size

Norm = Literal["instance", "batch"]
"""What G's layers are normalised by."""

NORMS: tuple[str, ...] = get_args(Norm)

DEEPEST = 8
"""The most levels, the paper's: from 256 pixels down to one."""

NOISY_LEVELS = 3
"""How many levels of the way up have dropout, from the innermost on."""


class Generator(nn.Module):
    """Source images (b, source_channels, h, w) in [-1, 1] -> targets (b, target_channels, h, w).

    The targets are in [-1, 1] too. Strided 4×4 convolutions with leaky ReLU on the way down, their
    transposes with ReLU on the way up, Tanh at the end. No norm in the first layer and the last,
    nor in the innermost of the way down: of a single pixel it would leave nothing (the paper's
    errata say so of BatchNorm with one image). Layers without a norm have biases.

    There are as many levels as the shorter side can be halved, rounding down, at most eight.
    Images of any other size pass through the same net: they are padded to multiples of `multiple`
    and cut back. A size just above a multiple costs up to four times as much as the multiple.

    The noise is dropout in the three innermost levels of the way up (the output's not among them),
    drawn from torch's default generator in training and in eval mode (section 3.2).

    Attributes:
        multiple: sides that are multiples of it need no padding.

    Args:
        image_size: height and width of the images that it will learn from, 8 to 1024 pixels.
        source_channels: channels of the source images.
        target_channels: channels of the target images.
        width: channels of the finest feature map.
        norm: "instance", each image by itself, which is what the paper's BatchNorm does with its
            batches of one; or "batch", with running averages in eval mode.
        dropout: how likely an entry is to be dropped, in [0, 1); 0 for no noise at all.

    Raises:
        UserError: the image size is not one it is made for, or nobody knows the norm.
    """

    def __init__(
        self,
        image_size: Size,
        *,
        source_channels: int,
        target_channels: int,
        width: int = 64,
        norm: Norm = "instance",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise unknown_name("norm of G", norm, NORMS)
        depth = min(shorter_side(image_size).bit_length() - 1, DEEPEST)
        self.multiple = 2**depth
        widths = [width * min(2**level, 8) for level in range(depth)]
        self.down = nn.ModuleList([convolution(source_channels, width)])
        for inputs, outputs in pairwise(widths[:-1]):
            self.down.append(downward(inputs, outputs, norm=norm))
        self.down.append(downward(widths[-2], widths[-1], norm="none"))
        self.up = nn.ModuleList()
        inputs = widths[-1]
        for level, outputs in enumerate(widths[-2::-1]):
            noise = dropout if level < NOISY_LEVELS else 0.0
            self.up.append(upward(inputs, outputs, norm=norm, dropout=noise))
            inputs = 2 * outputs  # beside its own, those of the way down
        self.up.append(upward(inputs, target_channels, norm="none", dropout=0.0))
        initialise_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        maps = padded(images, self.multiple)
        passed = []
        for layer in self.down:
            maps = layer(maps)
            passed.append(maps)
        maps = self.up[0](passed.pop())
        for layer in self.up[1:]:
            maps = layer(torch.cat([passed.pop(), maps], dim=1))
        return cropped(maps.tanh(), (images.shape[2], images.shape[3]))


class Dropout(nn.Module):
    """Maps (b, c, h, w) -> maps (b, c, h, w): dropout that no mode turns off, as noise must be."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, maps: Tensor) -> Tensor:
        return F.dropout(maps, self.probability, training=True)


def convolution(inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
    """The convolution that leads to half the size."""
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)


def downward(inputs: int, outputs: int, *, norm: norms.Norm) -> nn.Module:
    """A level of the way down, from the maps before their activation."""
    return nn.Sequential(
        nn.LeakyReLU(0.2),
        convolution(inputs, outputs, bias=norm == "none"),
        *norms.norm_layers(norm, outputs),
    )


def upward(inputs: int, outputs: int, *, norm: norms.Norm, dropout: float) -> nn.Module:
    """A level of the way up, from the maps before their activation."""
    return nn.Sequential(
        nn.ReLU(),
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none"),
        *norms.norm_layers(norm, outputs),
        *([Dropout(dropout)] if dropout else []),
    )
