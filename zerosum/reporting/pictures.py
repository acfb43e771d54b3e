"""The picture of an epoch: what G makes of the same z each time."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from zerosum.game import Game
from zerosum.reporting.grids import comfortable_scale, grid
from zerosum.run import generate, to_pixels
from zerosum.seeds import enter_stream
from zerosum.training.run_directory import RunDirectory

PICTURES = 16


def painter(
    game: Game, net: nn.Module, directory: RunDirectory, *, seed: int
) -> Callable[[int], None]:
    """Make the function that draws the 4×4 picture of an epoch, given the epoch's number.

    Args:
        game: whose deal draws the z, once.
        net: the G to show, as it will stand when the function is called.
        directory: where the picture goes.
        seed: decides the z.
    """
    enter_stream(game.device, "picture", seed)
    inputs = game.deal.inputs(PICTURES, game.device)

    def draw(epoch: int) -> None:
        images = to_pixels(generate(net, inputs))
        directory.save_picture(grid(images, scale=comfortable_scale(*images.shape[1:3])), epoch)

    return draw
