"""How fast a training will be on this device, before it is under way."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

from zerosum.data.images import ImageSet, to_float
from zerosum.game.core import Game
from zerosum.training.precision import Product, wait
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

SECONDS = 5.0
"""No round is begun that would probably end later than this: the pace is known well enough."""
GROWTH = 2
"""How much larger the next batch is that is tried."""


def images_per_second(
    game: Game, images: ImageSet, *, batch_size: int, least: int, enough: float, bf16: bool
) -> float:
    """Play rounds with a game that nobody needs afterwards, and time them.

    Small batches first, then larger ones while there is time: a round of a whole batch of large
    nets takes a CPU minutes. Where the first ones are fast enough, no more are played.

    Args:
        game: the game; its weights change.
        images: what to deal.
        batch_size: of the training.
        least: images of the smallest batch that can be played.
        enough: a pace above which nobody wants to know more.
        bf16: whether nets multiply in bfloat16.

    Returns:
        Real images a second, in the largest batch that was played.
    """
    began = perf_counter()

    def play(size: int) -> tuple[float, float]:
        """Play a round; give the images a second, and the seconds."""
        labels = None if images.labels is None else images.labels[:size].to(game.device)
        batch = to_float(images.images[:size]).to(game.device), labels
        wait(game.device)
        start = perf_counter()
        dealt = play_round(
            game, lambda: batch, seed=0, turn_index=0, seen=0, bf16=bf16, stats=StepStats()
        )
        wait(game.device)
        seconds = perf_counter() - start
        return dealt / seconds, seconds

    def is_time_for(seconds: float) -> bool:
        return perf_counter() + seconds < began + SECONDS

    whole = min(batch_size, len(images))
    size = min(least, whole)
    pace, seconds = play(size)
    if pace < enough and is_time_for(seconds):
        pace, seconds = max((pace, seconds), play(size))  # the first round of all warms up
    while pace < enough and size < whole and is_time_for(GROWTH * seconds):
        size = min(GROWTH * size, whole)
        pace, seconds = play(size)
    return pace


def work(products: Mapping[Product, int], images: int) -> float:
    """Floating point operations that these products spend on an image."""
    return sum(product.work * times for product, times in products.items()) / images
