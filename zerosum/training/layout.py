"""How a net's weights lie in memory: with the channels last where it asks for that.

A net declares `channels_last = True`, as its class or for its size, where convolutions with the
channels last were found to gain on a CPU. The layout changes no value but the last bits of sums, so
a run keeps the one that it began with: config.json records it, and runs from before it was chosen
have the usual one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zerosum.game.core import Game


def asks_for_channels_last(game: Game) -> bool:
    """Whether one of a game's nets is of a class that declares it."""
    return any(asks(player.net) for player in (game.G, game.D))


def asks(net: nn.Module) -> bool:
    """Whether a net declares it."""
    return getattr(net, "channels_last", False) is True


def lay_out(game: Game) -> None:
    """Put the channels last in those nets that ask for it."""
    for player in (game.G, game.D):
        if asks(player.net):
            put_channels_last(player.net)


def put_channels_last(net: nn.Module) -> None:
    """Lay the weights of convolutions out with the channels last."""
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def as_lies(tensor: Tensor, other: Tensor) -> Tensor:
    """A copy of a tensor that lies in memory as another of its shape does.

    Fused Adam goes through weight, gradient and moments as they lie, not as they are indexed:
    where one lies otherwise it mixes up the entries, and says nothing.
    """
    return torch.empty_like(other, dtype=tensor.dtype, device=tensor.device).copy_(tensor)
