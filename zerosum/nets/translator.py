"""CycleGAN's generator, a residual net (Zhu et al. 2017, arXiv 1703.10593, section 7.2).

The net of Johnson et al. 2016 (arXiv 1603.08155) for style transfer: down to a quarter of the size
by strided convolutions, residual blocks there, up again. In the paper's names c7s1-64, d128, d256,
R256 × blocks, u128, u64, c7s1-3.
"""

from __future__ import annotations

from torch import Tensor, nn

from zerosum.nets.layers import initialise_normal
from zerosum.nets.padding import Reflection, cropped, padded, shorter_side
from zerosum.nets.pyramid import Size


class Generator(nn.Module):
    """Source images (b, source_channels, h, w) in [-1, 1] -> targets (b, target_channels, h, w).

    The targets are in [-1, 1] too. Convolutions with instance norm and ReLU, Tanh at the end. The
    7×7 convolutions and the residual blocks reflect the maps about their edges in place of zeros,
    which shows less at the borders; the layers that change the size do not, as in the authors'
    program. Instance norm has no gains and shifts, as there too, so that the weights are those of
    the published net; a bias before it would be subtracted again, so only the last layer has one.

    Images of any other size pass through the same net: they are padded to multiples of `multiple`
    (to 8 pixels at least) and cut back.

    Attributes:
        multiple: sides that are multiples of it need no padding.
        least_side: shorter sides are padded to it. At 4 pixels the smallest map would have one, and
            neither a reflection nor a deviation.

    Args:
        image_size: height and width of the images that it will learn from, 8 to 1024 pixels.
        source_channels: channels of the source images.
        target_channels: channels of the target images.
        width: channels at full size; twice and four times as many at a half and a quarter.
        blocks: how many residual blocks; None for the paper's choice, 6 up to 128 pixels of the
            shorter side and 9 above.

    Raises:
        UserError: the image size is not one it is made for.
    """

    multiple = 4
    least_side = 8

    def __init__(
        self,
        image_size: Size,
        *,
        source_channels: int,
        target_channels: int,
        width: int = 64,
        blocks: int | None = None,
    ) -> None:
        super().__init__()
        side = shorter_side(image_size)
        if blocks is None:
            blocks = 9 if side > 128 else 6
        self.layers = nn.Sequential(
            Reflection(3),
            *normalised(nn.Conv2d(source_channels, width, 7, bias=False)),
            *normalised(downward(width, 2 * width)),
            *normalised(downward(2 * width, 4 * width)),
            *(Block(4 * width) for _ in range(blocks)),
            *normalised(upward(4 * width, 2 * width)),
            *normalised(upward(2 * width, width)),
            Reflection(3),
            nn.Conv2d(width, target_channels, 7),
            nn.Tanh(),
        )
        initialise_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        targets = self.layers(padded(images, self.multiple, least=self.least_side))
        return cropped(targets, (images.shape[2], images.shape[3]))


class Block(nn.Module):
    """Maps (b, width, h, w) -> maps (b, width, h, w), around an identity; no ReLU after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            Reflection(1),
            *normalised(nn.Conv2d(width, width, 3, bias=False)),
            Reflection(1),
            nn.Conv2d(width, width, 3, bias=False),
            nn.InstanceNorm2d(width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = maps + self.branch(maps)
        return result


def normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """A convolution and what follows it."""
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]


def downward(inputs: int, outputs: int) -> nn.Conv2d:
    """The convolution that leads to half the size."""
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)


def upward(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """The transposed convolution that leads to twice the size."""
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False)
