"""The picture of an epoch: what G makes of the same z each time."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from zerosum.data.images import to_array
from zerosum.game.core import Game
from zerosum.game.sampling import Generator, draw_inputs, generate
from zerosum.plots.grids import picture
from zerosum.seeds import enter_stream
from zerosum.training.run_directory import RunDirectory


def painter(
    game: Game, net: nn.Module, directory: RunDirectory, *, count: int, seed: int
) -> Callable[[float], None]:
    """Make the function that draws the picture of an epoch, given the epoch's number.

    Args:
        game: whose deal draws the z, once.
        net: the G to show, as it will stand when the function is called.
        directory: where the picture goes, and whose config says what the data is.
        count: how many samples it shows.
        seed: decides the z.
    """
    enter_stream(game.device, "picture", seed)
    G = Generator(net, game.forward.inputs)
    inputs = draw_inputs(G.inputs, count, game.device)
    data = directory.read_config()["config"]["data"]

    def draw(epoch: float) -> None:
        samples = to_array(generate(G, inputs))
        directory.save_picture(picture(samples, data=data), epoch)

    return draw
