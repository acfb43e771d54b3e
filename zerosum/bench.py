"""`zerosum bench`: how fast recipes train on this machine, beside the best that it could do.

Everything is timed in turns, so that other jobs on the machine disturb all alike, and the fastest
repetition counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import torch

from zerosum import recipes
from zerosum._version import __version__
from zerosum.config.base import Settings
from zerosum.data.images import ImageSet, to_float
from zerosum.errors import UserError
from zerosum.hardware import (
    choose_device,
    device_name,
    exhaustion_explained,
    processor_share,
    repeatable_convolutions,
    tuned_processor,
)
from zerosum.preparation import build_game, outline_batch
from zerosum.seeds import own_randomness
from zerosum.training.layout import put_channels_last
from zerosum.training.precision import WORTH, bf16_pace, heaviest_products, products_of, wait
from zerosum.training.roofline import (
    Ceiling,
    Load,
    ceiling,
    computing_in,
    counting_work,
    thread_counts,
    traffic_of_round,
)
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

DEFAULT_RECIPES = ("vanilla", "dcgan", "wgan-gp", "sngan", "r3gan", "pix2pix")
"""One for each kind of nets and objective; the others have their nets."""
DEFAULT_SIZES = ((28, 28), (64, 64))
DIGITS = (28, 28)
NUM_OWN = 10_000
"""Images of one's own that the other sizes are thought to be of."""
SECONDS, LEAST_SECONDS = 80.0, 10.0
CEILINGS = 0.2
"""The share of the time that goes to what the machine can do at best."""
LEAST_BATCH = 4
REPETITIONS = 6
"""Rounds of each way that should fit, at the pace that is expected before anything is played."""
EXPECTED = 0.3
"""Of the best rate: what a round is expected to reach."""
BUSY = 0.5
"""Other jobs, in processors, from which on it is said that they disturbed."""

Notice = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How fast a recipe trains at a size.

    Attributes:
        recipe: its name.
        size: height and width of the images.
        channels: of the images; of pairs, of both together.
        batch_size: the recipe's.
        timed_batch: how many images a round had that was timed: fewer where a whole batch would
            have taken too long.
        images_per_second: in fp32, by way: "all threads", "half the threads", "channels_last".
        bf16: its pace against fp32 in the recipe's largest products, by which `--precision auto`
            decides; None where the nets have none.
        roofline: images a second in fp32 that the machine's ceilings would allow.
        bound: what they are bound by: products, convolutions or memory.
    """

    recipe: str
    size: tuple[int, int]
    channels: int
    batch_size: int
    timed_batch: int
    images_per_second: dict[str, float]
    bf16: float | None
    roofline: float
    bound: str

    @property
    def fastest(self) -> str:
        """The way that is fastest."""
        return max(self.images_per_second, key=lambda way: self.images_per_second[way])

    def gain(self, way: str) -> float | None:
        """How many times the usual pace a way has, if it was tried."""
        pace = self.images_per_second.get(way)
        return None if pace is None else pace / self.images_per_second["all threads"]

    @property
    def share(self) -> float:
        """Of the roofline, in the usual way."""
        return self.images_per_second["all threads"] / self.roofline


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All that was measured.

    Attributes:
        device: what it calls itself.
        processors: how many this process may use.
        others: jobs besides, by the machine's load average, before anything was run; None where
            the system tells no load.
        ceilings: with all threads, and with half of them.
        measured: recipes at sizes.
        seconds: that it took.
    """

    device: str
    processors: int
    others: float | None
    ceilings: list[Ceiling]
    measured: list[Measured]
    seconds: float

    @property
    def busy(self) -> bool:
        """Whether other jobs disturbed."""
        return self.others is not None and self.others >= BUSY

    def json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "zerosum": __version__,
            "torch": torch.__version__,
            **asdict(self),
            "measured": [
                {**asdict(each), "fastest": each.fastest, "share_of_roofline": each.share}
                for each in self.measured
            ],
            "advice": advice(self),
        }


def bench(
    names: Sequence[str] = (),
    *,
    sizes: Sequence[tuple[int, int]] = DEFAULT_SIZES,
    device: str = "auto",
    seconds: float = SECONDS,
    notice: Notice = lambda text: None,
) -> Bench:
    """Measure this machine.

    Args:
        names: of recipes; () for one of each kind.
        sizes: of images, height and width. 28×28 is gray, as MNIST is trained on; other sizes are
            RGB, as images of one's own.
        device: as `--device`.
        seconds: for all of it, about; more where a machine is busy.
        notice: told what is being measured.

    Raises:
        UserError: a recipe is unknown, comes not in such a size, or there is too little time.
    """
    if not LEAST_SECONDS <= seconds < math.inf:  # nor is NaN
        raise UserError(
            f"--seconds was {seconds:g}: expected a number of at least {LEAST_SECONDS:g}, since a "
            "recipe takes seconds to warm up."
        )
    began = perf_counter()
    others = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    where = choose_device(device)
    with tuned_processor(), repeatable_convolutions(), own_randomness(where):
        cases = [case_of(name, size, where) for name in names or DEFAULT_RECIPES for size in sizes]
        threads = torch.get_num_threads()
        counts = thread_counts(threads) if where.type == "cpu" else (None,)
        notice("Measuring products, convolutions and copies.")
        ceilings = [
            ceiling(where, count, seconds=CEILINGS * seconds / len(counts)) for count in counts
        ]
        measured = []
        for number, case in enumerate(cases):
            name, size, *_ = case
            notice(f"Training {name} at {size[0]}×{size[1]}.")
            left = max(began + seconds - perf_counter(), 0) / (len(cases) - number)
            measured.append(measure(*case, where, ceilings, seconds=left))
    return Bench(
        device=device_name(where),
        processors=processor_share(),
        others=others,
        ceilings=ceilings,
        measured=measured,
        seconds=perf_counter() - began,
    )


Case = tuple[str, tuple[int, int], Settings, ImageSet]


def case_of(name: str, size: tuple[int, int], device: torch.device) -> Case:
    """A recipe with the settings that a user gets who trains it at a size, and images of it.

    Raises:
        UserError: nobody knows the recipe, or it does not come in this size.
    """
    about = recipes.get(name)
    channels = 1 if size == DIGITS else 3
    if size == DIGITS:
        config = about.configure({"data": "mnist"})
    else:
        config = about.configure({"data": "images", "size": f"{size[0]}x{size[1]}"})
        if about.own is not None:
            own = about.own(config, count=NUM_OWN, channels=channels, device=device.type)
            config, _ = about.on_own(config, own)
    source_channels = 0 if about.task == "generation" else channels
    count = config.batch_size
    images = ImageSet(
        images=torch.randint(256, (count, channels + source_channels, *size), dtype=torch.uint8),
        labels=torch.arange(count) % 10,
        classes=tuple(map(str, range(10))),
        name="noise",
        source_channels=source_channels,
        matched=about.task == "translation",
    )
    config = config.settled(config.budget(NUM_OWN))
    build_game(name, config, images, device=torch.device("meta"))  # if it does not come so, now
    return name, size, config, images


def measure(
    name: str,
    size: tuple[int, int],
    config: Settings,
    images: ImageSet,
    device: torch.device,
    ceilings: Sequence[Ceiling],
    *,
    seconds: float,
) -> Measured:
    """Time rounds of a recipe in every way, in turns.

    Args:
        name: the recipe's.
        size: of the images.
        config: its settings.
        images: as many as a batch has.
        device: where.
        ceilings: what it can do at best, with all threads and with half of them.
        seconds: for all of it, about.
    """
    began = perf_counter()
    outline = build_game(name, config, images, device=torch.device("meta"))
    batch = outline_batch(config, images, images.shape)
    heaviest = heaviest_products(outline, batch)
    bf16 = bf16_pace(heaviest, device) if heaviest else None
    timed = affordable_batch(
        sum(product.work * times for product, times in products_of(outline, batch).items()),
        ceilings[0],
        config,
        seconds=(seconds - (perf_counter() - began)) / (REPETITIONS * (len(ceilings) + 1)),
    )
    ways: dict[str, Callable[[], None]] = {}
    with exhaustion_explained(f"batches of {timed} images", "Choose smaller --sizes."):
        play = player_of(name, config, images, device, timed)
        for count, way in zip(ceilings, ("all threads", "half the threads"), strict=False):
            ways[way] = in_threads(play, count.threads)
        with counting_work() as work:
            play()
        if work["convolutions"]:
            last = player_of(name, config, images, device, timed, channels_last=True)
            ways["channels_last"] = in_threads(last, ceilings[0].threads)
        paces = timed_in_turns(ways, device, deadline=began + seconds)
    dealt = timed * outline.turns.count("D")
    smaller = config.model_copy(update={"batch_size": timed})
    traffic = traffic_of_round(outline, outline_batch(smaller, images, images.shape))
    load = Load(**work, traffic=traffic)
    least, bound = load.seconds(ceilings[0])
    return Measured(
        recipe=name,
        size=size,
        channels=images.shape[0],
        batch_size=config.batch_size,
        timed_batch=timed,
        images_per_second={way: dealt / best for way, best in paces.items()},
        bf16=bf16,
        roofline=dealt / least,
        bound=bound,
    )


def affordable_batch(work: float, best: Ceiling, config: Settings, *, seconds: float) -> int:
    """The largest batch, by halves of the recipe's, whose round is expected to fit.

    Args:
        work: floating point operations of a round of the recipe's batch, as products count them.
        best: what the machine reaches.
        config: the recipe's settings.
        seconds: for a round.
    """
    rate = EXPECTED * min(best.products["fp32"], best.convolutions["fp32"])
    batch = config.batch_size
    least = max(LEAST_BATCH, getattr(config, "pack", 1))
    while batch // 2 >= least and work * batch / config.batch_size / rate > seconds:
        batch //= 2
    return batch


def player_of(
    name: str,
    config: Settings,
    images: ImageSet,
    device: torch.device,
    num_images: int,
    *,
    channels_last: bool = False,
) -> Callable[[], None]:
    """Make what plays a round, on a game that nobody needs afterwards, in fp32.

    Args:
        name: the recipe's.
        config: its settings.
        images: what is dealt.
        device: where.
        num_images: how many of them in a batch.
        channels_last: whether images and weights lie in memory with the channels last.
    """
    game = build_game(name, config, images, device=device)
    real = to_float(images.images[:num_images]).to(device)
    if channels_last:
        real = real.contiguous(memory_format=torch.channels_last)
        for net in (game.G.net, game.D.net):
            put_channels_last(net)
    labels = None if images.labels is None else images.labels[:num_images].to(device)

    def play() -> None:
        play_round(
            game,
            lambda: (real, labels),
            seed=0,
            turn_index=0,
            seen=0,
            bf16=False,
            stats=StepStats(),
        )

    return play


def in_threads(play: Callable[[], None], threads: int | None) -> Callable[[], None]:
    """Play in so many threads."""

    def playing() -> None:
        with computing_in(threads):
            play()

    return playing


def timed_in_turns(
    ways: dict[str, Callable[[], None]], device: torch.device, *, deadline: float
) -> dict[str, float]:
    """Time each way in turns until the deadline, once at least. Returns the least seconds."""
    best = dict.fromkeys(ways, math.inf)
    for play in ways.values():  # the first ones warm up
        play()
    while math.inf in best.values() or perf_counter() < deadline:
        for way, play in ways.items():
            wait(device)
            start = perf_counter()
            play()
            wait(device)
            best[way] = min(best[way], perf_counter() - start)
    return best


def advice(found: Bench) -> list[str]:
    """What is fastest here, in sentences."""
    lines = []
    paces = [each.bf16 for each in found.measured if each.bf16 is not None]
    if paces:
        low, high = min(paces), max(paces)
        faster = [each.recipe for each in found.measured if (each.bf16 or 0) >= WORTH]
        if not faster:
            lines.append(f"fp32: bf16 has {span(low, high)} times its pace. --precision fp32")
        elif low >= WORTH:
            lines.append(f"bf16: it has {span(low, high)} times fp32's pace. --precision bf16")
        else:
            lines.append(
                f"bf16 for {', '.join(dict.fromkeys(faster))}, fp32 for the others. "
                "--precision auto"
            )
    halves = gains(found, "half the threads")
    if halves:
        threads = found.ceilings[0].threads
        fewer = [recipe for recipe, gain in halves if gain > 1]
        if not fewer:
            lines.append(f"{threads} threads: half as many have {spanned(halves)} times their pace")
        else:
            lines.append(
                f"{found.ceilings[1].threads} of {threads} threads for "
                f"{', '.join(dict.fromkeys(fewer))}: OMP_NUM_THREADS={found.ceilings[1].threads}"
            )
    if last := gains(found, "channels_last"):
        lines.append(
            f"channels_last has {spanned(last)} times the pace of the usual layout; trainings on "
            "a CPU have it where their nets ask for it"
        )
    return lines


def gains(found: Bench, way: str) -> list[tuple[str, float]]:
    """Of each recipe at each size that was tried so, how many times the usual pace it has."""
    tried = ((each.recipe, each.gain(way)) for each in found.measured)
    return [(recipe, gain) for recipe, gain in tried if gain is not None]


def spanned(found: list[tuple[str, float]]) -> str:
    """The least and the most of them."""
    return span(*(pick(gain for _, gain in found) for pick in (min, max)))


def span(low: float, high: float) -> str:
    """From a number of times to another."""
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
