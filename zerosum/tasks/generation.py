"""The task of making images of noise."""

from __future__ import annotations

from collections.abc import Callable

from zerosum import data
from zerosum.callbacks.monitor import Monitor
from zerosum.config.base import Settings
from zerosum.data.images import ImageSet, to_array
from zerosum.data.names import natural_key
from zerosum.errors import and_more
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

    def load_split(self, config: Settings, split: str) -> ImageSet:
        """Load one split, in the shape that the config says."""
        return data.load(config.data, split=split, strict=config.strict, **config.loading())

    def holds_out(self, config: Settings) -> bool:
        """By a split of its own, or as it was asked for."""
        return bool(config.hold_out) or data.has_splits(config.data)

    def held_out(
        self, config: Settings, images: ImageSet, notice: Callable[[str], None]
    ) -> ImageSet | None:
        """Load the validation split, or that to test on, where there is one."""
        if not self.holds_out(config):
            return None
        held_out = self.load_split(config, "val")
        found = held_out.with_classes(images.classes)
        if foreign := len(held_out) - len(found):
            names = sorted({*held_out.classes} - {*images.classes}, key=natural_key)
            notice(
                f"WARNING: {foreign:,} of the {len(held_out):,} held-out images are left out: they "
                f"are of classes that are not trained on, {and_more(names)}."
            )
        if images.classes and found.labels is None and len(found):
            notice("The held-out images have no classes: D is not asked about them.")
        return found if len(found) else None

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
        """Sample it, and play with it."""
        return [
            f"zerosum sample {path} -n 64 --out samples.png",
            f"zerosum sample {path} --out walk.gif",
            f"zerosum play {path} --open",
        ]
