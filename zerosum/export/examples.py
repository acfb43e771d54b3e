"""Images of a translator's data, to show it with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from zerosum.data.arrays import Pixels
from zerosum.data.images import to_array
from zerosum.errors import UserError
from zerosum.evaluation.translation import Targets
from zerosum.inference.run import Run

NUM_EXAMPLES = 4


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Sources, uint8 (n, h, w, c), whether training never saw them, and their domain's name."""

    images: Pixels
    held_out: bool
    domain: str


def example_sources(run: Run, *, reverse: bool) -> Examples | str:
    """Choose sources of the run's data, held-out ones where there are.

    Returns:
        Why there are none, where the data cannot be read any more.
    """
    try:
        data = Targets(run, lambda _: None)
        found = data.load("val") if reverse else data.sources("val")
    except UserError as error:
        return str(error)
    count = len(found.images)
    places = np.linspace(0, count - 1, min(NUM_EXAMPLES, count)).astype(int)
    images = to_array(found.images[torch.from_numpy(places)])
    return Examples(images=images, held_out=data.has_splits, domain=data.way[1 if reverse else 0])
