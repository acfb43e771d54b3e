"""The exponential moving average of G, whose samples are smoother than those of G itself."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class EMA:
    """A copy of a net that follows it with a half-life counted in images.

    The half-life grows with the run, `WARM_UP` of the images seen so far, until it reaches its
    full value: the first pictures would otherwise show the untrained net (the schedule is
    StyleGAN2-ADA's). Parameters are averaged; buffers, BatchNorm's statistics among them, are
    copied, since they are averages already.
    """

    WARM_UP = 0.05

    def __init__(self, net: nn.Module, *, half_life: int, head_start: int = 0) -> None:
        """Begin with a copy.

        Args:
            net: what to follow.
            half_life: in images.
            head_start: images that the average had followed before this run. One that begins with
                another run's average is not to forget it at once.
        """
        self.head_start = head_start
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.half_life = half_life
        self._weights: list[Tensor] = [*self.net.parameters()]
        self._followed: list[Tensor] = [*net.parameters()]
        self._buffers = [*zip(self.net.buffers(), net.buffers(), strict=True)]

    @torch.no_grad()
    def update(self, *, images: int, seen: int) -> None:
        """Move towards the net, which has just learnt from `images`, `seen` of them in all."""
        half_life = min(self.half_life, (self.head_start + seen) * self.WARM_UP)
        keep = 0.5 ** (images / half_life) if half_life else 0.0
        torch._foreach_lerp_(self._weights, self._followed, weight=1 - keep)
        for ours, theirs in self._buffers:
            ours.copy_(theirs)
