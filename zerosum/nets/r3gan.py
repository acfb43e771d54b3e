"""R3GAN's nets (Huang et al. 2025, arXiv 2501.05441, section 3.2, config E), from the paper.

Every resolution has a transition, which resamples bilinearly and changes the channels by a 1×1
convolution, and two residual blocks, which are inverted bottlenecks around a grouped convolution.
No normalisation anywhere, no tanh: images may leave [-1, 1] by a little. `width` is the number of
channels at every level up to 32 pixels; above, it halves with each doubling. Width 768 gives the
paper's nets for CIFAR-10 and FFHQ; widths are rounded up to multiples of 8, so that the grouped
convolutions, twice as wide, divide into groups of 16.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod, sqrt

import torch
from torch import Tensor, nn

from zerosum.nets.conditions import ConditionPlanes, Head
from zerosum.nets.layers import Options, SelfAttention, blocks_in, with_spectral_norm
from zerosum.nets.pyramid import Size, double_smoothly, find_level, halve, sizes

BLOCKS = 2
"""Residual blocks at each resolution."""

FULL_WIDTH_UP_TO = 32
"""The side up to which maps have all channels."""

GROUP = 16
"""Channels of each group of the grouped convolutions."""

SLOPE = 0.2
"""Leaky ReLU's slope below zero."""


class Generator(nn.Module):
    """z (b, latent_size) and condition (b, k) -> images (b, c, h, w), about [-1, 1] once trained.

    An embedding of the condition, as long as z, is appended to z, whichever way D is told.

    Raises:
        UserError: the image size or the resolution of the attention is not one it can make, or
            spectral norm was asked for, which cannot divide the zeros that the blocks start with.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_size: int, options: Options
    ) -> None:
        super().__init__()
        self.channels_last = is_faster_last(image_shape)
        levels = sizes(*image_shape[1:])[::-1]
        attended = find_level(levels, options.attention)
        widths = [channels(size, options) for size in levels]
        self.embedding: nn.Linear | None = None
        if options.condition_size:
            self.embedding = nn.Linear(options.condition_size, latent_size, bias=False)
            nn.init.normal_(self.embedding.weight)
        latents = 2 * latent_size if self.embedding else latent_size
        self.basis = Basis(latents, widths[0], size=levels[0])
        stages = [stage(widths[0], attention=levels[0] == attended)]
        for size, (coarser, width) in zip(levels[1:], pairwise(widths), strict=True):
            transition = Transition(coarser, width, size=size)
            stages.append(stage(width, attention=size == attended, before=transition))
        self.stages = nn.Sequential(*stages)
        self.output = pointwise(widths[-1], image_shape[0])
        scale_branches(self)
        if options.spectral_norm:
            with_spectral_norm(self)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        if self.embedding:
            z = torch.cat([z, self.embedding(condition)], dim=1)
        images: Tensor = self.output(self.stages(self.basis(z)))
        return images


class Discriminator(nn.Module):
    """Images (b, pack·c, h, w) in [-1, 1] and condition (b, pack·k) -> logits (b, outputs).

    The mirror image of G. It treats every image alone. With "projection" its logit is the product
    of the features and a learned vector, to which the condition adds its embedding; the paper's
    <embedding of the condition, D'(x)> is the same function of one-hot classes. With "concat" the
    condition becomes planes beside the images.

    Args:
        image_shape: (c, h, w) of one image.
        options: those that G has as well.
        outputs: columns of the logits: 1, and an auxiliary classifier's beside it.
        pack: images that are judged together, they and their conditions stacked.

    Raises:
        UserError: the image size or the resolution of the attention is not one it can take, or
            spectral norm was asked for, which cannot divide the zeros that the blocks start with.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        options: Options,
        outputs: int = 1,
        pack: int = 1,
    ) -> None:
        super().__init__()
        self.channels_last = is_faster_last(image_shape)
        levels = sizes(*image_shape[1:])
        attended = find_level(levels, options.attention)
        widths = [channels(size, options) for size in levels]
        self.planes = ConditionPlanes(levels[0], condition_size=pack * options.concatenated)
        self.input = pointwise(pack * image_shape[0] + self.planes.planes, widths[0])
        stages = [stage(widths[0], attention=levels[0] == attended)]
        for size, (finer, width) in zip(levels[1:], pairwise(widths), strict=True):
            transition = Transition(finer, width)
            stages.append(stage(width, attention=size == attended, before=transition))
        self.stages = nn.Sequential(*stages)
        # One weight for each pixel of each channel: a depthwise convolution as large as the map.
        self.reduction = nn.Parameter(torch.randn(widths[-1], *levels[-1]) / sqrt(prod(levels[-1])))
        self.head = Head(widths[-1], outputs=outputs, condition_size=pack * options.projected)
        for linear in (m for m in self.head.modules() if isinstance(m, nn.Linear)):
            nn.init.normal_(linear.weight, 0.0, 1 / sqrt(widths[-1]))
        nn.init.zeros_(self.head.linear.bias)
        scale_branches(self)
        if options.spectral_norm:
            with_spectral_norm(self)

    @property
    def depth_blocks(self) -> list[list[nn.Module]]:
        """As `zerosum.nets.layers.depth_blocks`."""
        return blocks_in([*self.stages, self.head], with_first=[self.planes, self.input])

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        maps = self.stages(self.input(self.planes(images, condition)))
        features = (maps * self.reduction).sum((2, 3))
        logits: Tensor = self.head(features, condition)
        return logits


class Basis(nn.Module):
    """Latents (b, latents) -> maps (b, channels, h, w): learned maps, scaled by z."""

    def __init__(self, latents: int, width: int, *, size: Size) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(width, *size))
        self.linear = nn.Linear(latents, width, bias=False)
        nn.init.normal_(self.linear.weight, 0.0, 1 / sqrt(latents))

    def forward(self, latents: Tensor) -> Tensor:
        scales: Tensor = self.linear(latents)
        return self.maps * scales[:, :, None, None]


class Transition(nn.Module):
    """Maps (b, inputs, ...) -> (b, outputs, h, w): twice as large if `size` is given, else half.

    The 1×1 convolution, there only if the channels change, is done on the smaller of the two
    maps: it commutes with interpolation.
    """

    def __init__(self, inputs: int, outputs: int, *, size: Size | None = None) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.Identity() if inputs == outputs else pointwise(inputs, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        if self.size:
            return double_smoothly(self.convolution(maps), self.size)
        result: Tensor = self.convolution(halve(maps))
        return result


class Block(nn.Module):
    """Maps (b, width, h, w) -> maps (b, width, h, w), at the start the identity.

    1×1 convolution to twice the width, leaky ReLU, grouped 3×3 convolution, leaky ReLU, 1×1
    convolution back, without bias.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = 2 * width
        self.branch = nn.Sequential(
            nn.Conv2d(width, wide, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide // GROUP),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(wide, width, 1, bias=False),
        )

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = maps + self.branch(maps)
        return result


def stage(width: int, *, attention: bool, before: nn.Module | None = None) -> nn.Sequential:
    """One resolution: its transition, its blocks, and self-attention where it is wanted."""
    layers = [before] if before else []
    layers += [Block(width) for _ in range(BLOCKS)]
    return nn.Sequential(*layers, *([SelfAttention(width)] if attention else []))


def pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1×1 convolution that keeps the variance, since no activation follows it; bias 0."""
    convolution = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(convolution.weight, 0.0, 1 / sqrt(inputs))
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def is_faster_last(image_shape: tuple[int, int, int]) -> bool:
    """Whether to ask for the channels last, as `zerosum.training.layout` has it.

    By benchmarks on a CPU: a tenth faster at 28×28, and slower than the usual layout at 64×64.
    """
    return max(image_shape[1:]) <= FULL_WIDTH_UP_TO


def channels(size: Size, options: Options) -> int:
    """Channels at a level: the full width up to 32 pixels, in whole groups once doubled."""
    return -(-options.channels(size, full_up_to=FULL_WIDTH_UP_TO) * 2 // GROUP) * GROUP // 2


def scale_branches(net: nn.Module) -> None:
    """Draw the blocks' weights by Fix-up's rules (Zhang et al. 2019, arXiv 1901.09321, section 3).

    The last of a branch's m = 3 convolutions is 0, the others are He et al.'s times L^(-1/(2m-2))
    = L^(-1/4), where L is the number of blocks in the net. So the first steps change the output
    as much in a deep net as in a shallow one. Biases 0.
    """
    blocks = [module for module in net.modules() if isinstance(module, Block)]
    for block in blocks:
        first, grouped, last = (m for m in block.branch if isinstance(m, nn.Conv2d))
        for layer in (first, grouped):
            nn.init.kaiming_normal_(layer.weight, SLOPE, nonlinearity="leaky_relu")
            layer.weight.data *= len(blocks) ** -0.25
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(last.weight)
