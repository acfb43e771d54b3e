"""Inception v3 of 2015 as a plain module, written for evaluation on a processor.

The file of the weights holds each convolution with a BatchNorm behind it. Frozen, both are one
convolution with a bias; and an average of a 1×1 convolution's inputs is the average of its outputs,
which have a quarter of the channels and fewer. What is left over is nearly all convolution. The
names of the parts are the file's.

Source: Szegedy et al. 2015, arXiv 1512.00567, section 6, as TensorFlow's classify_image_graph_def
has it: the averages leave out the padding, and the last block has a maximum in place of one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUM_FEATURES = 2048
LEAST_SIDE = 75
"""The least height and width that leave something to every layer."""
EPSILON = 1e-3  # of the BatchNorms

Pair = tuple[int, int]


class Convolution(nn.Module):
    """A convolution, its BatchNorm folded into it, and ReLU.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: height and width, or one number for both; so are the others.
        stride: steps.
        padding: zeros on either side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Pair,
        *,
        stride: int = 1,
        padding: int | Pair = 0,
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        # Left unset: the weights come from the file, and initial ones would draw random numbers.
        self.weight = nn.Parameter(torch.empty(outputs, inputs, height, width), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(outputs), requires_grad=False)
        self.stride = stride
        self.padding = padding

    def forward(self, images: Tensor) -> Tensor:
        """Channels (b, inputs, h, w) -> (b, outputs, h', w')."""
        return F.conv2d(images, self.weight, self.bias, self.stride, self.padding).relu_()

    def fold(self, weight: Tensor, beta: Tensor, mean: Tensor, var: Tensor) -> None:
        """Take a convolution's weight and its BatchNorm's parameters, which has no gains.

        Args:
            weight: (outputs, inputs, height, width).
            beta: what is added, (outputs,).
            mean: of the training images, (outputs,).
            var: of the training images, (outputs,).
        """
        # Rounded once, from float64, as every number in the file is.
        scale = (var.double() + EPSILON).rsqrt()
        self.weight.copy_(weight.double() * scale[:, None, None, None])
        self.bias.copy_(beta.double() - mean.double() * scale)


class AveragedConvolution(Convolution):
    """A 1×1 convolution of averages over 3×3 places, which are taken behind it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Channels (b, inputs, h, w) -> (b, outputs, h, w)."""
        products = F.conv2d(images, self.weight)
        averages = F.avg_pool2d(products, 3, stride=1, padding=1, count_include_pad=False)
        return averages.add_(self.bias[:, None, None]).relu_()


class Branches(nn.ModuleDict):
    """Parts that see the same, their channels side by side."""

    def forward(self, images: Tensor) -> Tensor:
        """Channels (b, c, h, w) -> (b, c', h', w')."""
        return torch.cat([branch(images) for branch in self.values()], dim=1)


class LastBlock(nn.Module):
    """A block of 8×8 places, in which two branches fork once more.

    Args:
        inputs: channels.
        pooled: what makes of them the last 192 channels.
    """

    def __init__(self, inputs: int, pooled: nn.Module) -> None:
        super().__init__()
        self.conv = Convolution(inputs, 320, 1)
        self.tower_conv = Convolution(inputs, 384, 1)
        self.tower_mixed_conv = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.tower_mixed_conv_1 = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.tower_1_conv = Convolution(inputs, 448, 1)
        self.tower_1_conv_1 = Convolution(448, 384, 3, padding=1)
        self.tower_1_mixed_conv = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.tower_1_mixed_conv_1 = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.tower_2_conv = pooled

    def forward(self, images: Tensor) -> Tensor:
        """Channels (b, inputs, 8, 8) -> (b, 2048, 8, 8)."""
        short = self.tower_conv(images)
        long = self.tower_1_conv_1(self.tower_1_conv(images))
        return torch.cat(
            [
                self.conv(images),
                self.tower_mixed_conv(short),
                self.tower_mixed_conv_1(short),
                self.tower_1_mixed_conv(long),
                self.tower_1_mixed_conv_1(long),
                self.tower_2_conv(images),
            ],
            dim=1,
        )


class MaximumConvolution(Convolution):
    """A 1×1 convolution of maxima over 3×3 places."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Channels (b, inputs, h, w) -> (b, outputs, h, w)."""
        return super().forward(F.max_pool2d(images, 3, stride=1, padding=1))


class InceptionNet(nn.Sequential):
    """Images (b, 3, 299, 299) in [-1, 1] -> features (b, 2048), none of them negative."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                conv=Convolution(3, 32, 3, stride=2),  # 299×299 -> 149×149
                conv_1=Convolution(32, 32, 3),
                conv_2=Convolution(32, 64, 3, padding=1),
                pool0=nn.MaxPool2d(3, stride=2),  # -> 73×73
                conv_3=Convolution(64, 80, 1),
                conv_4=Convolution(80, 192, 3),
                pool1=nn.MaxPool2d(3, stride=2),  # -> 35×35
                mixed=block_of_35(192, pooled=32),
                mixed_1=block_of_35(256, pooled=64),
                mixed_2=block_of_35(288, pooled=64),
                mixed_3=step_to_17(),
                mixed_4=block_of_17(128),
                mixed_5=block_of_17(160),
                mixed_6=block_of_17(160),
                mixed_7=block_of_17(192),
                mixed_8=step_to_8(),
                mixed_9=LastBlock(1280, AveragedConvolution(1280, 192)),
                mixed_10=LastBlock(2048, MaximumConvolution(2048, 192)),
                pool2=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )


def line(**parts: nn.Module) -> nn.Sequential:
    """Parts one behind another, by their names in the file."""
    return nn.Sequential(OrderedDict(parts))


def block_of_35(inputs: int, *, pooled: int) -> Branches:
    """Channels (b, inputs, 35, 35) -> (b, 224 + pooled, 35, 35)."""
    return Branches(
        {
            "conv": Convolution(inputs, 64, 1),
            "tower": line(
                conv=Convolution(inputs, 48, 1), conv_1=Convolution(48, 64, 5, padding=2)
            ),
            "tower_1": line(
                conv=Convolution(inputs, 64, 1),
                conv_1=Convolution(64, 96, 3, padding=1),
                conv_2=Convolution(96, 96, 3, padding=1),
            ),
            "tower_2": line(conv=AveragedConvolution(inputs, pooled)),
        }
    )


def step_to_17() -> Branches:
    """Channels (b, 288, 35, 35) -> (b, 768, 17, 17)."""
    return Branches(
        {
            "conv": Convolution(288, 384, 3, stride=2),
            "tower": line(
                conv=Convolution(288, 64, 1),
                conv_1=Convolution(64, 96, 3, padding=1),
                conv_2=Convolution(96, 96, 3, stride=2),
            ),
            "pool": nn.MaxPool2d(3, stride=2),
        }
    )


def block_of_17(width: int) -> Branches:
    """Channels (b, 768, 17, 17) -> (b, 768, 17, 17), by way of `width` channels."""

    def along(inputs: int, outputs: int) -> Convolution:
        return Convolution(inputs, outputs, (1, 7), padding=(0, 3))

    def down(inputs: int, outputs: int) -> Convolution:
        return Convolution(inputs, outputs, (7, 1), padding=(3, 0))

    return Branches(
        {
            "conv": Convolution(768, 192, 1),
            "tower": line(
                conv=Convolution(768, width, 1),
                conv_1=along(width, width),
                conv_2=down(width, 192),
            ),
            "tower_1": line(
                conv=Convolution(768, width, 1),
                conv_1=down(width, width),
                conv_2=along(width, width),
                conv_3=down(width, width),
                conv_4=along(width, 192),
            ),
            "tower_2": line(conv=AveragedConvolution(768, 192)),
        }
    )


def step_to_8() -> Branches:
    """Channels (b, 768, 17, 17) -> (b, 1280, 8, 8)."""
    return Branches(
        {
            "tower": line(conv=Convolution(768, 192, 1), conv_1=Convolution(192, 320, 3, stride=2)),
            "tower_1": line(
                conv=Convolution(768, 192, 1),
                conv_1=Convolution(192, 192, (1, 7), padding=(0, 3)),
                conv_2=Convolution(192, 192, (7, 1), padding=(3, 0)),
                conv_3=Convolution(192, 192, 3, stride=2),
            ),
            "pool": nn.MaxPool2d(3, stride=2),
        }
    )


@torch.no_grad()
def folded(parameters: Mapping[str, Tensor]) -> InceptionNet:
    """Make the net of what the file holds.

    Args:
        parameters: of each convolution, by its name: `weight`, and its BatchNorm's `beta`, `mean`
            and `var`.
    """
    net = InceptionNet()
    for name, part in net.named_modules():
        if isinstance(part, Convolution):
            part.fold(*(parameters[f"{name}.{own}"] for own in ("weight", "beta", "mean", "var")))
    return net.eval()
