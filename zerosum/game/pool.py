"""A pool of images of the past, from which D is shown some in place of the newest.

So that D does not forget what G did a while ago and the two do not go round in circles. Source:
Shrivastava et al. 2017, arXiv 1612.07828, section 2.3, as CycleGAN uses it (Zhu et al. 2017,
arXiv 1703.10593, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """Remembers up to `size` images, as buffers. Nothing in it waits for the device.

    `mix` looks and `take` remembers: who only looks changes nothing. An image that is shown from
    the pool makes room there for the new one that it stands in for.

    Attributes:
        images: (size + 1, c, h, w); the last one is where images go that are not remembered.
        count: how many of them there are by now, int64 ().
    """

    images: Tensor
    count: Tensor

    def __init__(self, size: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size + 1, *image_shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def mix(self, fakes: Tensor) -> tuple[Tensor, Tensor]:
        """Replace about half of the images of a batch by images of the pool, once it is full.

        Args:
            fakes: (b, c, h, w), b at most `size`.

        Returns:
            Images of the same shape, and the places for `take`, int64 (b,).
        """
        if not self.size:
            return fakes, torch.zeros(len(fakes), dtype=torch.int64, device=fakes.device)
        filling = self._has_room(fakes)
        chosen = torch.rand(self.size, device=fakes.device).argsort()[: len(fakes)]
        swap = (torch.rand(len(fakes), device=fakes.device) < 0.5) & (chosen < self.count)
        next_ones = self.count + torch.arange(len(fakes), device=fakes.device)
        places = torch.where(filling, next_ones, torch.where(swap, chosen, self.size))
        old = self.images.index_select(0, chosen).to(fakes.dtype)
        return torch.where((swap & ~filling)[:, None, None, None], old, fakes), places

    def take(self, fakes: Tensor, places: Tensor) -> None:
        """Remember the images of a batch that fill the pool or find room in it.

        Args:
            fakes: (b, c, h, w), as they were made.
            places: what `mix` said of them.
        """
        self.count += len(fakes) * self._has_room(fakes)
        self.images.index_copy_(0, places, fakes.detach().to(self.images.dtype))
        self.images[self.size].zero_()

    def _has_room(self, fakes: Tensor) -> Tensor:
        """Whether the pool is being filled, a bool ()."""
        return self.count + len(fakes) <= self.size
