"""Residual nets for small images (Gulrajani et al. 2017, Miyato et al. 2018), and larger ones.

At 32×32 with width 128 these are the nets that WGAN-GP (arXiv 1704.00028, appendix F) trains on
CIFAR-10; G with width 256 and D with width 128 are SNGAN's (arXiv 1802.05957, table 4). Larger
images get more blocks. `width` is the number of channels at every level up to 64 pixels; above,
it halves with each doubling, or the finest levels would cost more than all others together.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from zerosum.nets.conditions import ConditionalBatchNorm, ConditionPlanes, Head
from zerosum.nets.layers import Options, SelfAttention, blocks_in, with_spectral_norm
from zerosum.nets.mlp import with_condition
from zerosum.nets.pyramid import Size, double, find_level, halve, sizes


class Generator(nn.Module):
    """z (b, latent_size) and condition (b, k) -> images (b, c, h, w) in [-1, 1].

    A linear layer to the smallest map, residual blocks that double it, BatchNorm, ReLU, a 3×3
    convolution, Tanh. With "concat" the condition is appended to z; with "projection" it picks
    the gains and shifts of BatchNorm, as in Miyato and Koyama 2018.

    Raises:
        UserError: the image size or the resolution of the attention is not one it can make.
    """

    channels_last = True
    """As `zerosum.training.layout` has it."""

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_size: int, options: Options
    ) -> None:
        super().__init__()
        smallest, *levels = sizes(*image_shape[1:])[::-1]
        attended = find_level(levels, options.attention)
        self.concatenated = options.concatenated > 0
        inputs = channels(smallest, options)
        self.linear = nn.Sequential(
            nn.Linear(latent_size + options.concatenated, inputs * smallest[0] * smallest[1]),
            nn.Unflatten(1, (inputs, *smallest)),
        )
        self.blocks = nn.ModuleList()
        for size in levels:
            outputs = channels(size, options)
            up = UpBlock(inputs, outputs, size=size, condition_size=options.projected)
            up.attention = SelfAttention(outputs) if size == attended else nn.Identity()
            self.blocks.append(up)
            inputs = outputs
        self.norm = ConditionalBatchNorm(inputs, condition_size=options.projected)
        self.output = nn.Sequential(
            nn.ReLU(), nn.Conv2d(inputs, image_shape[0], 3, padding=1), nn.Tanh()
        )
        initialise(self)
        if options.spectral_norm:
            with_spectral_norm(self)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        maps = self.linear(with_condition(z, condition) if self.concatenated else z)
        for block in self.blocks:
            maps = block(maps, condition)
        images: Tensor = self.output(self.norm(maps, condition))
        return images


class Discriminator(nn.Module):
    """Images (b, pack·c, h, w) in [-1, 1] and condition (b, pack·k) -> logits (b, outputs).

    Residual blocks that halve the map until its shorter side is 8 or less, two that do not, ReLU,
    the sum over all pixels (SNGAN's; WGAN-GP took the mean), a linear layer. No normalisation but
    the spectral one, so it treats every image alone. The condition becomes planes beside the
    images, or is projected at the end.

    Args:
        image_shape: (c, h, w) of one image.
        options: those that G has as well.
        outputs: columns of the logits: 1, and an auxiliary classifier's beside it.
        pack: images that are judged together, they and their conditions stacked.

    Raises:
        UserError: the image size or the resolution of the attention is not one it can take.
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
    ) -> None:
        super().__init__()
        levels = down_to_eight(sizes(*image_shape[1:]))
        attended = find_level(levels[1:], options.attention)
        self.planes = ConditionPlanes(levels[0], condition_size=pack * options.concatenated)
        inputs = pack * image_shape[0] + self.planes.planes
        self.blocks = nn.Sequential()
        for finer, size in pairwise(levels):
            width = channels(size, options)
            self.blocks.append(DownBlock(inputs, width, first=finer == levels[0]))
            if size == attended:
                self.blocks.append(SelfAttention(width))
            inputs = width
        self.blocks.extend([PlainBlock(inputs), PlainBlock(inputs), nn.ReLU()])
        self.head = Head(inputs, outputs=outputs, condition_size=pack * options.projected)
        initialise(self)
        if options.spectral_norm:
            with_spectral_norm(self)

    @property
    def depth_blocks(self) -> list[list[nn.Module]]:
        """As `zerosum.nets.layers.depth_blocks`."""
        return blocks_in([*self.blocks, self.head], with_first=[self.planes])

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        features = self.blocks(self.planes(images, condition)).sum((2, 3))
        logits: Tensor = self.head(features, condition)
        return logits


class UpBlock(nn.Module):
    """Maps (b, inputs, ⌈h/2⌉, ⌈w/2⌉) and condition (b, k) -> maps (b, outputs, h, w)."""

    def __init__(self, inputs: int, outputs: int, *, size: Size, condition_size: int) -> None:
        super().__init__()
        self.size = size
        self.first_norm = ConditionalBatchNorm(inputs, condition_size=condition_size)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second_norm = ConditionalBatchNorm(outputs, condition_size=condition_size)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.attention: nn.Module = nn.Identity()

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        branch = double(self.first_norm(maps, condition).relu(), self.size)
        branch = self.second_norm(self.first(branch), condition).relu()
        # The 1×1 convolution commutes with the repetition, and costs a quarter before it.
        sum_of_both = double(self.shortcut(maps), self.size) + self.second(branch)
        result: Tensor = self.attention(sum_of_both)
        return result


class DownBlock(nn.Module):
    """Maps (b, inputs, h, w) -> maps (b, outputs, ⌈h/2⌉, ⌈w/2⌉).

    The first block of all sees pixels, and so has no ReLU before its first convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Identity() if first else nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        # The 1×1 convolution commutes with the average, and costs a quarter after it.
        shortcut: Tensor = self.shortcut(halve(maps))
        return shortcut + halve(self.branch(maps))


class PlainBlock(nn.Module):
    """Maps (b, width, h, w) -> maps (b, width, h, w), around an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = maps + self.branch(maps)
        return result


def channels(size: Size, options: Options) -> int:
    """Channels at a level: the full width up to 64 pixels."""
    return options.channels(size, full_up_to=64)


def down_to_eight(levels: list[Size]) -> list[Size]:
    """The levels down to the first whose shorter side is 8 or less, but at least two of them."""
    larger = [size for size in levels[1:] if min(size) > 8]
    return levels[: len(larger) + 2]


def initialise(net: nn.Module) -> None:
    """Draw the weights from Glorot's uniform distribution, as Miyato et al. do; biases 0.

    With gain √2 for the 3×3 convolutions, which follow a ReLU, and 1 for all others.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            wide = isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
            nn.init.xavier_uniform_(layer.weight, gain=2**0.5 if wide else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
