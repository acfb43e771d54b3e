"""What a recipe's G makes of what, and what follows from it outside the game.

Where the data comes from, what the picture of an epoch shows, what is evaluated, and what to try
when the training is done. A recipe names its task; `experiment.py` asks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zerosum.config.base import Settings
from zerosum.data.catalog import mixture_of
from zerosum.data.images import ImageSet
from zerosum.data.spec import DataSpec
from zerosum.plots.grids import Presentation
from zerosum.tasks import generation, points, translation
from zerosum.training.interfaces import Evaluation
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State


class Task(Protocol):
    """A task's part in a training."""

    @property
    def presentation(self) -> Presentation:
        """What its G's samples look like outside."""
        ...

    @property
    def least_images(self) -> int:
        """With fewer images nothing can be evaluated."""
        ...

    def describe(self, images: ImageSet) -> str:
        """What the data are, in a few words that follow their number."""
        ...

    def load_split(self, config: Settings, split: str) -> ImageSet:
        """Load what the config names: "train", "val" or "test" of it."""
        ...

    def holds_out(self, config: Settings) -> bool:
        """Whether some of what the config names is kept from training."""
        ...

    def held_out(
        self, config: Settings, images: ImageSet, notice: Callable[[str], None]
    ) -> ImageSet | None:
        """Load images that are not trained on, if there are any; say what that means if not."""
        ...

    def painter(
        self, state: State, config: Settings, held_out: ImageSet | None, directory: RunDirectory
    ) -> Callable[[float], None]:
        """Make the function that draws the picture of an epoch, given the epoch's number."""
        ...

    def evaluator(
        self,
        state: State,
        config: Settings,
        images: ImageSet,
        held_out: ImageSet | None,
    ) -> Callable[[History], Evaluation]:
        """Make the function that judges the players as they stand, knowing the log so far.

        Of several processes each makes one, when all others do, and calls it when they do: it
        takes its share of the work. Process 0 alone has held-out images, and gets the metrics.
        """
        ...

    def next_steps(self, path: str) -> list[str]:
        """Commands to try with a run, whose path is quoted for a shell."""
        ...


TASKS: dict[str, Task] = {
    "generation": generation.Generation(),
    "points": points.Points(),
    "translation": translation.Translation(matched=True),
    "unpaired translation": translation.Translation(matched=False),
}


def task_on(name: str, spec: DataSpec) -> Task:
    """The task of this name on such data: what is made of noise is points where the data are."""
    return TASKS["points" if name == "generation" and spec.are_points else name]


def task_of_data(data: str) -> Task:
    """The task of making of noise what a data set's name or a path stands for, before a load."""
    return TASKS["points" if mixture_of(data) else "generation"]
