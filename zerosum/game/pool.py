"""A pool of images of the past, from which D is shown some in place of the newest.

So that D does not forget what G did a while ago and the two do not go round in circles. Source:
Shrivastava et al. 2017, arXiv 1612.07828, section 2.3, as CycleGAN uses it (Zhu et al. 2017,
arXiv 1703.10593, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zerosum.game.share import current


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
        share, device = current(), fakes.device
        count = len(fakes) if share is None else share.whole(len(fakes))
        filling = self.count + count <= self.size
        with torch._C.DisableTorchFunction():  # it draws for the whole batch
            chosen = torch.rand(self.size, device=device).argsort()[:count]
            swap = (torch.rand(count, device=device) < 0.5) & (chosen < self.count)
        next_ones = self.count + torch.arange(count, device=device)
        places = torch.where(filling, next_ones, torch.where(swap, chosen, self.size))
        if share is not None:
            chosen, swap, places = map(share.mine, (chosen, swap, places))
        old = self.images.index_select(0, chosen).to(fakes.dtype)
        return torch.where((swap & ~filling)[:, None, None, None], old, fakes), places

    def take(self, fakes: Tensor, places: Tensor) -> None:
        """Remember the images of a batch that fill the pool or find room in it.

        Args:
            fakes: (b, c, h, w), as they were made.
            places: what `mix` said of them.
        """
        fakes = fakes.detach().to(self.images.dtype)
        if (share := current()) is not None:
            # Where there are no rows, the place must be the one that is not remembered.
            fakes, places = share.gathered(fakes), share.gathered(places - self.size) + self.size
        # While it is being filled, the last place taken tells how many there are.
        taken = torch.where(places < self.size, places + 1, 0)
        self.count.copy_(torch.maximum(self.count, taken.max()))
        self.images.index_copy_(0, places, fakes)
        self.images[self.size].zero_()
