"""The task of making images of noise."""

from __future__ import annotations

from collections.abc import Callable

from zerosum import data
from zerosum.callbacks.monitor import Monitor
from zerosum.config.base import Settings
from zerosum.config.specs import parse_size
from zerosum.data.images import ImageSet, to_array
from zerosum.game.sampling import Generator, draw_inputs, generate
from zerosum.metrics.features import cheap_net, feature_net
from zerosum.metrics.registry import LEAST_IMAGES
from zerosum.plots.grids import Presentation
from zerosum.seeds import enter_stream
from zerosum.training.interfaces import Evaluation
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State


class Generation:
    """See `zerosum.tasks.Task`."""

    least_images = LEAST_IMAGES
    presentation = Presentation()
    pictured = 16
    """How many samples the picture of an epoch shows."""

    def describe(self, images: ImageSet) -> str:
        """Say their size and channels."""
        channels, height, width = images.shape
        kind = {1: "gray", 3: "RGB", 4: "RGBA"}.get(channels, f"pixels, {channels} channels")
        return f"images of {height}×{width} {kind}"

    def load(self, config: Settings) -> ImageSet:
        """Load the training split."""
        return load_split(config, "train")

    def held_out(
        self, config: Settings, images: ImageSet, notice: Callable[[str], None]
    ) -> ImageSet | None:
        """Load the test split, where there is one."""
        return load_split(config, "test") if data.has_splits(config.data) else None

    def painter(
        self, state: State, config: Settings, held_out: ImageSet | None, directory: RunDirectory
    ) -> Callable[[float], None]:
        """Draw what the average of G makes of the same z each time."""
        game = state.game
        enter_stream(game.device, "picture", config.seed)
        G = Generator(state.ema.net, game.forward.inputs)
        inputs = draw_inputs(G.inputs, self.pictured, game.device)

        def paint(epoch: float) -> None:
            samples = to_array(generate(G, inputs))
            directory.save_picture(self.presentation.picture(samples, data=config.data), epoch)

        return paint

    def evaluator(
        self,
        state: State,
        config: Settings,
        images: ImageSet,
        held_out: ImageSet | None,
    ) -> Callable[[History], Evaluation]:
        """Compare samples with real images, and ask how the game goes, remembering by the log."""
        net = feature_net(cheap_net(config.data), device=state.game.device)
        return Monitor(state, images, held_out, net=net, seed=config.seed)

    def next_steps(self, path: str) -> list[str]:
        """Sample it."""
        return [
            f"zerosum sample {path} -n 64 --out samples.png",
            f"zerosum sample {path} --out walk.gif",
        ]


def load_split(config: Settings, split: str) -> ImageSet:
    """Load one split of the data that the config names, in the shape that it says."""
    size = parse_size(config.size) if config.size else None
    return data.load(
        config.data, split=split, size=size, channels=config.channels, strict=config.strict
    )
