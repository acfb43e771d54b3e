"""How the nets are told a condition (b, k): as planes beside an image, in BatchNorm, by a product.

All take one-hot classes, and as well any other k numbers. With k = 0 there is no condition, and
each of them is what it would be without.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zerosum.nets.pyramid import Size

MOST_PLANES = 32
"""Above as many columns, a learned picture of the condition replaces a plane for each."""


class ConditionPlanes(nn.Module):
    """Images (b, c, h, w) and condition (b, k) -> images (b, c + planes, h, w).

    Each of the k numbers becomes a constant plane. Where there are more than MOST_PLANES of them,
    a thousand classes say, one plane is learned for each instead, and their weighted sum is added.

    Attributes:
        planes: how many channels the condition adds.
    """

    def __init__(self, size: Size, *, condition_size: int) -> None:
        super().__init__()
        self.size = size
        learned = condition_size > MOST_PLANES
        self.planes = 1 if learned else condition_size
        self.pictures = nn.Linear(condition_size, size[0] * size[1]) if learned else None

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        if not self.planes:
            return images
        if self.pictures:
            planes = self.pictures(condition).view(-1, 1, *self.size)
        else:
            planes = condition[:, :, None, None].expand(-1, -1, *self.size)
        return torch.cat([images, planes.to(images.dtype)], dim=1)


class ConditionalBatchNorm(nn.Module):
    """Maps (b, c, h, w) and condition (b, k) -> maps (b, c, h, w).

    BatchNorm whose gains and shifts are looked up by the condition (Dumoulin et al. 2017, arXiv
    1610.07629, section 2.2), all classes starting at gain 1 and shift 0. With k = 0 it is
    BatchNorm with gains and shifts of its own.
    """

    def __init__(self, channels: int, *, condition_size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=condition_size == 0)
        self.condition_size = condition_size
        if condition_size:
            # Plain parameters, which spectral norm leaves alone: it cannot divide zeros.
            self.gains = nn.Parameter(torch.zeros(condition_size, channels))
            self.shifts = nn.Parameter(torch.zeros(condition_size, channels))

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        maps = self.norm(maps)
        if not self.condition_size:
            return maps
        gain, shift = 1 + condition @ self.gains, condition @ self.shifts
        return maps * gain[:, :, None, None] + shift[:, :, None, None]


class Projection(nn.Module):
    """Features (b, f) and condition (b, k) -> <embedding of the condition, features> (b, 1).

    The conditional part of the projection discriminator (Miyato and Koyama 2018, arXiv
    1802.05637, equation 3): the embedding is linear, so a one-hot condition picks a row of it.
    """

    def __init__(self, features: int, *, condition_size: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(condition_size, features, bias=False)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        product: Tensor = self.embedding(condition) * features
        return product.sum(1, keepdim=True)


class Head(nn.Module):
    """Features (b, f) and condition (b, k) -> logits (b, outputs): the end of every D.

    A linear layer; to its first column, the logit of being real, a projection of the condition
    is added where `condition_size` is not 0. Further columns are an auxiliary classifier's.
    """

    def __init__(
        self, features: int, *, outputs: int, condition_size: int, bias: bool = True
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs, bias=bias)
        self.projection = (
            Projection(features, condition_size=condition_size) if condition_size else None
        )

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        logits: Tensor = self.linear(features)
        if self.projection is None:
            return logits
        first = logits[:, :1] + self.projection(features, condition)
        return torch.cat([first, logits[:, 1:]], dim=1)
