"""Pix2Pix's discriminator, a PatchGAN (Isola et al. 2017, arXiv 1611.07004, section 6.1.2).

A convolutional net that says of every patch of an image, and not of the image, whether it is real.
With three strided layers a patch is 70×70 pixels; the patches overlap, and begin and end outside
the image.
"""

from __future__ import annotations

from typing import get_args

from torch import Tensor, nn

from zerosum.errors import UserError, unknown_name
from zerosum.nets.layers import blocks_in, initialise_normal
from zerosum.nets.mlp import with_condition
from zerosum.nets.norms import Norm, norm_layers
from zerosum.nets.pyramid import Size

NORMS: tuple[str, ...] = get_args(Norm)


class Discriminator(nn.Module):
    """Images (b, c, h, w) in [-1, 1] and condition (b, k, h, w) -> logits (b, patches).

    One row for each image, so that real and fake ones can be judged in one pass and told apart by
    rows, and one column for each patch, row by row of the image: (⌊h / 2^layers⌋ - 2) ·
    (⌊w / 2^layers⌋ - 2) of them. Losses take the mean over all entries, as the paper does. A
    penalty on D's gradient charges, for each image, that of the sum over its patches: it grows
    with their number.

    4×4 convolutions with leaky ReLU: `layers` of stride 2, whose channels double up to eight times
    `width`, one of stride 1, and one to a single channel. A logit sees 9 · 2^layers - 2 pixels
    each way: 16, 34, 70, 142, 286 for 1 to 5 layers, the sizes of the paper's ablation among
    them. No norm in the first layer and the last; layers without a norm have biases. Unless the
    norm is "batch", it treats every image alone, as penalties on its gradient need; with
    "instance", each patch is judged by the means and deviations of its whole image.

    Images of other sizes than `image_size`, from `least_side(layers)` on, pass through as well.

    Args:
        image_size: height and width of the images that it will judge.
        channels: of an image and its condition together, c + k. k may be 0.
        width: channels of the first layer.
        layers: how many have stride 2, 1 or more.
        norm: "batch", "instance" or "none".

    Raises:
        UserError: the images have no room for one patch, or nobody knows the norm.
    """

    def __init__(
        self,
        image_size: Size,
        *,
        channels: int,
        width: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise unknown_name("norm of D", norm, NORMS)
        if min(image_size) < least_side(layers):
            raise UserError(
                f"A PatchGAN of {layers} strided layers cannot judge images of "
                f"{image_size[0]}×{image_size[1]}: expected sides of at least "
                f"{least_side(layers)} pixels. Take fewer with --d-layers, or larger images with "
                "--size."
            )
        self.layers = nn.Sequential(convolution(channels, width, stride=2), nn.LeakyReLU(0.2))
        inputs = width
        for level in range(1, layers + 1):
            outputs = width * min(2**level, 8)
            stride = 2 if level < layers else 1
            self.layers.append(convolution(inputs, outputs, stride=stride, bias=norm == "none"))
            self.layers.extend([*norm_layers(norm, outputs), nn.LeakyReLU(0.2)])
            inputs = outputs
        self.layers.append(convolution(inputs, 1, stride=1))
        initialise_normal(self)

    @property
    def depth_blocks(self) -> list[list[nn.Module]]:
        """As `zerosum.nets.layers.depth_blocks`."""
        return blocks_in(self.layers)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        logits: Tensor = self.layers(with_condition(images, condition))
        return logits.flatten(1)


def least_side(layers: int) -> int:
    """The least side of an image, in pixels, of which a PatchGAN judges one row of patches.

    The strided layers halve it, rounding down, and the last two take one pixel each.
    """
    return 3 << layers


def convolution(inputs: int, outputs: int, *, stride: int, bias: bool = True) -> nn.Module:
    """A convolution as all of them are."""
    return nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=bias)
