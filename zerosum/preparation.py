"""Before a training: its data, defaults, size, memory, precision and pace, and its game.

What cannot be done, or would take more than somebody is likely to wait, is said here, before
anything is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from zerosum import recipes
from zerosum._version import __version__
from zerosum.callbacks.console import PROMISE_SECONDS, in_pace, in_time
from zerosum.config.base import Settings, as_flag, unread
from zerosum.config.specs import parse_size
from zerosum.data.catalog import DATASETS
from zerosum.data.images import ImageSet
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.core import Batch, Game
from zerosum.hardware import GIB, choose_device, exhaustion_explained, memory_bytes, require_memory
from zerosum.seeds import enter_stream
from zerosum.tasks import TASKS
from zerosum.training import distributed, torchrun
from zerosum.training.footprint import bytes_of_round
from zerosum.training.interfaces import Callback
from zerosum.training.layout import lay_out
from zerosum.training.pace import images_per_second, work
from zerosum.training.precision import (
    SLOWER,
    WORTH,
    bf16_pace,
    heaviest_products,
    products_of,
)
from zerosum.training.run_directory import RunDirectory

# Four bytes each for the weight, its gradient and Adam's two moments, half of that for the average
# of G, and while a checkpoint is written all but the gradients twice more.
BYTES_PER_WEIGHT = 4 * (4.5 + 2 * 3.5)

DAY = 24 * 3600
"""Seconds beyond which a new training is only begun by somebody who knows that."""
FEW_IMAGES = 1000
"""Trainings of no more than so many images are not timed beforehand."""
LARGE = 256
"""Sides beyond which the memory of a round is told before the first one."""
LEAST_BATCH = 4
DEVICE_SHARE = 0.5
"""Of a GPU's free memory, up to which the images lie there."""
FAST = 2
"""How many times the pace of a day's training need not be measured any better."""
MUCH_FASTER = 4
"""The pace from which a flag that does not fit alone is named beside fewer images."""
LEAST_SIDE = 8
"""No narrower nets and no smaller images are suggested."""


def load_images(recipe: str, config: Settings, callback: Callback) -> ImageSet:
    """Load what the config says, and warn of what is likely not meant."""
    images = TASKS[recipes.get(recipe).task].load_split(config, "train")
    for warning in images.report.warnings:
        callback.notice(f"WARNING: {warning}")
    return images


def settle_own(
    recipe: str,
    config: Settings,
    images: ImageSet,
    saved: Mapping[str, Any] | None,
    device: torch.device,
    callback: Callback,
) -> tuple[Settings, dict[str, Any]]:
    """Fill in what follows from number and size of a user's own images, and from the device.

    Args:
        recipe: the recipe's name.
        config: its settings.
        images: what is trained on.
        saved: of a run that goes on, its config.json: its defaults count, whatever would follow
            today. None for a new run.
        device: where it is trained.
        callback: told which defaults a new run takes.

    Returns:
        The settings, and the defaults to keep in config.json.
    """
    about = recipes.get(recipe)
    if about.own is None or config.data in DATASETS or images.spec.are_points:
        return config, {}
    if saved is not None:
        kept = dict(saved.get("own_defaults", {}))
        return about.on_own(config, kept)[0], kept
    values = about.own(config, count=len(images), channels=images.shape[0], device=device.type)
    config, taken = about.on_own(config, values)
    if taken:
        flags = " ".join(
            f"--{name.replace('_', '-')} {value}"
            for name, value in taken.items()
            if value is not None
        )
        callback.notice(
            f"Defaults for {len(images):,} images of your own: {flags}. What you give counts "
            "before them."
        )
    return config, taken


def require_room(
    recipe: str, config: Settings, images: ImageSet, device: torch.device, callback: Callback
) -> None:
    """Say what a round of large images takes of the device's memory, before it is taken.

    Raises:
        UserError: it is more than there is.
    """
    height, width = images.shape[1:]
    if max(height, width) <= LARGE:
        return
    outline = build_game(recipe, config, images, device=torch.device("meta"))
    batch = outline_batch(config, images, images.shape)
    needed = bytes_of_round(outline, batch) + BYTES_PER_WEIGHT * outline.num_weights
    what = f"A round of {len(batch)} images of {height}×{width} pixels"
    callback.notice(f"{what} takes about {needed / GIB:.1f} GiB of memory, or more.")
    memory = memory_bytes()
    if device.type == "cuda":
        memory = torch.cuda.mem_get_info(device)[0]
    require_memory(needed, memory=memory, what=what, advice=needs_less(config))


def fits_device(config: Settings, images: ImageSet, device: torch.device) -> bool:
    """Whether the images shall lie on the device, once and for all.

    By itself they do where they take no more than half of what is free there.
    """
    if config.data_tier != "auto" or device.type != "cuda":
        return config.data_tier in ("auto", "device")
    free, _ = torch.cuda.mem_get_info(device)
    return math.prod(images.shape) * len(images) <= DEVICE_SHARE * free


def require_same_command(recipe: str, config: Settings) -> None:
    """Refuse processes that were started to train something else, or more than a batch has images.

    Raises:
        UserError: they were.
    """
    if distributed.world() == 1:
        return
    origin = recipes.get(recipe).origin
    free = {"data", "device", "log"}  # it is the images that count; process 0 alone logs
    flags = {f"--{name.replace('_', '-')}": as_flag(value) for name, value in config}
    distributed.require_alike(
        {
            "zerosum": __version__,
            "torch": torch.__version__,
            "the recipe": recipe if origin is None else f"{recipe} {origin.sha256[:12]}",
            "the kind of device": choose_device(torchrun.own_device(config.device)).type,
            **{flag: value for flag, value in flags.items() if flag.removeprefix("--") not in free},
        },
        "Start all of them by one command, in environments of the same versions.",
    )
    packs = config.batch_size // getattr(config, "pack", 1)
    if packs < distributed.world():
        unit = "pack" if packs < config.batch_size else "image"
        raise UserError(
            f"--batch-size {config.batch_size}: received a batch of {packs} {unit}s for "
            f"{distributed.world()} processes, expected at least one {unit} for each. Choose a "
            "larger --batch-size, which is that of all together, or fewer processes."
        )


def require_same_images(config: Settings, images: ImageSet) -> None:
    """Refuse processes that were given other images.

    Raises:
        UserError: they were.
    """
    if distributed.world() > 1:
        distributed.require_alike(
            {"the number of images": len(images), "the images' sha256": images.fingerprint()[:12]},
            f"All have to read the same images: look at '{config.data}' on each machine.",
        )


def require_size(recipe: str, config: Settings) -> None:
    """Refuse a size that the recipe's nets cannot make, before images are decoded for minutes.

    Raises:
        UserError: they cannot.
    """
    about = recipes.get(recipe)
    if config.size is None or about.origin is not None:  # what a user's own recipe takes is unknown
        return
    channels = config.channels or 3
    pair = about.task != "generation"
    spec = DataSpec(
        shape=(channels * (1 + pair), *parse_size(config.size)),
        classes=("", ""),
        source_channels=channels * pair,
    )
    meta = torch.device("meta")
    with meta:
        recipes.build(recipe, config.settled(1), spec, device=meta)


def build_game(
    recipe: str,
    config: Settings,
    images: ImageSet,
    *,
    device: torch.device,
    channels_last: bool = False,
) -> Game:
    """Build the game, after making sure that this machine can hold it; on "meta", its outline.

    Args:
        recipe: the recipe's name.
        config: its settings.
        images: what is trained on.
        device: where the nets live.
        channels_last: whether the nets that ask for it lie in memory with the channels last.

    Raises:
        UserError: it cannot.
    """
    make = partial(
        recipes.build,
        recipe,
        config,
        images.spec,
    )
    if device.type == "meta":  # where weights have shapes and take no memory
        with device:
            return make(device=device)
    if device.type == "cpu":
        outline = build_game(recipe, config, images, device=torch.device("meta"))
        require_memory(
            BYTES_PER_WEIGHT * outline.num_weights,
            memory=memory_bytes(),
            what=f"Training the {outline.num_weights:,} weights of G and D at this size",
            advice="Choose narrower nets, or smaller images with --size.",
        )
    enter_stream(torch.device("cpu"), "init", config.seed)
    game = make(device=device)
    if channels_last:
        lay_out(game)
    return game


def lies_channels_last(saved: Mapping[str, Any] | None, device: torch.device) -> bool:
    """Whether nets that ask for it shall have the channels last: where it was found to gain.

    Args:
        saved: of a run that goes on, its config.json: it stays as it began. None for a new run.
        device: where it is trained.
    """
    return device.type == "cpu" if saved is None else bool(saved.get("channels_last"))


def settle_precision(
    recipe: str,
    config: Settings,
    images: ImageSet,
    directory: RunDirectory,
    device: torch.device,
    callback: Callback,
) -> Settings:
    """Put what is faster here in the place of `--precision auto`, and warn where bf16 is slower.

    A run keeps what was chosen when it began, on whatever machine it goes on.
    """
    if config.precision == "auto" and directory.checkpoints.seen():
        kept = directory.read_config().get("config", {}).get("precision", "fp32")
        return config.model_copy(update={"precision": kept})
    if config.precision in ("fp32", "fp64"):
        return config
    outline = build_game(recipe, config, images, device=torch.device("meta"))
    batch = outline_batch(config, images, images.shape)
    with exhaustion_explained(f"batches of {len(batch)} images", advice=needs_less(config)):
        products = heaviest_products(outline, batch)
        pace = bf16_pace(products, device) if products else 1.0
    found = f"bf16 runs at {pace:.2f} times the pace of fp32 in this recipe's largest products here"
    if not products:
        found = "this recipe's nets have no products that could be measured"
    if config.precision == "auto":
        config = config.model_copy(update={"precision": "bf16" if pace >= WORTH else "fp32"})
        callback.notice(f"Precision {config.precision}: {found}.")
    elif pace < SLOWER:
        callback.notice(f"WARNING: {found}. --precision fp32 is faster; auto measures and chooses.")
    return config


def outline_batch(config: Settings, images: ImageSet, shape: tuple[int, int, int]) -> Batch:
    """A batch of images of this shape without content, on "meta", as such data has it."""
    meta, size = torch.device("meta"), min(config.batch_size, len(images))
    labels = None if images.labels is None else torch.empty(size, dtype=torch.int64, device=meta)
    return Batch(torch.empty(size, *shape, device=meta), labels)


def require_patience(
    recipe: str,
    config: Settings,
    images: ImageSet,
    device: torch.device,
    callback: Callback,
    confirm: Callable[[str], None],
) -> None:
    """Find out how fast a new training will be, and make sure that somebody wants to wait for it.

    Rounds are timed on a game that is thrown away: nothing that the training depends on is touched.

    Args:
        recipe: the recipe's name.
        config: its settings.
        images: what is trained on.
        device: where.
        callback: told how long it will take where the first round alone takes long.
        confirm: told of a training that would take more than a day, with flags that would fit.

    Raises:
        UserError: nobody does; or the device's memory does not suffice.
    """
    budget = config.budget(len(images))
    if budget <= FEW_IMAGES:
        return
    game = build_game(
        recipe, config, images, device=device, channels_last=lies_channels_last(None, device)
    )
    with exhaustion_explained(f"batches of {config.batch_size} images", advice=needs_less(config)):
        pace = images_per_second(
            game,
            images,
            batch_size=config.batch_size,
            least=max(LEAST_BATCH, getattr(config, "pack", 1)),
            enough=FAST * budget / DAY,
            bf16=config.precision == "bf16",
        )
    del game  # before the real one takes its memory
    if budget / pace <= DAY:
        if config.batch_size / pace > PROMISE_SECONDS:
            callback.notice(
                f"About {in_pace(pace)}: {in_time(budget / pace)} in all, and "
                f"{in_time(config.batch_size / pace)} until the bar moves."
            )
        return
    ways = {"images": f"--images {rounded_down(pace * DAY)}"}
    both: dict[str, str] = {}
    for flag, faster in faster_ways(recipe, config, images, pace):
        kind = flag.split()[0]
        if budget / faster <= DAY:  # of the widths, and of the sizes, the largest is named
            ways.setdefault(kind, f"{flag} (about {in_time(budget / faster)})")
        elif faster >= MUCH_FASTER * pace:
            both.setdefault(kind, f"{flag} --images {rounded_down(faster * DAY)}")
    ways = both | ways
    threads = torch.get_num_threads()
    where = f"this CPU, {threads} thread{'s' * (threads != 1)}" if device.type == "cpu" else device
    confirm(
        f"{budget:,} images would take about {in_time(budget / pace)} on {where}: "
        f"{in_pace(pace)}. Within a day: {', or '.join(ways.values())}."
    )


def faster_ways(
    recipe: str, config: Settings, images: ImageSet, pace: float
) -> Iterator[tuple[str, float]]:
    """Narrower nets, and smaller images, by halves.

    Yields:
        A flag, and the pace to expect with it, by the arithmetic that it leaves.
    """

    def work_of(changed: Settings, shape: tuple[int, int, int]) -> float:
        meta = torch.device("meta")
        pixels = replace(images, images=torch.empty(0, *shape, dtype=torch.uint8))
        outline = build_game(recipe, changed, pixels, device=meta)
        batch = outline_batch(config, images, shape)
        return work(products_of(outline, batch), len(batch))

    channels, height, width = images.shape
    whole = work_of(config, images.shape)
    if not whole:  # a user's nets may be of products that are not counted
        return
    if "width" in type(config).model_fields and "width" not in unread(config):
        for narrower in halves(config.model_dump()["width"]):
            changed = config.model_copy(update={"width": narrower})
            yield f"--width {narrower}", pace * whole / work_of(changed, images.shape)
    if height == width:
        for side in halves(height):
            with suppress(UserError):  # the nets may not come in this size
                yield f"--size {side}", pace * whole / work_of(config, (channels, side, side))


def halves(value: int) -> Iterator[int]:
    """The half of a number, the half of that, and so on."""
    while (value := value // 2) >= LEAST_SIDE:
        yield value


def rounded_down(count: float) -> int:
    """A number of images in two digits that count, and zeros."""
    unit = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    return int(count // unit * unit)


def needs_less(config: Settings) -> str:
    """Say what makes a training need less of a device's memory, what changes least first."""
    ways = []
    if parts := getattr(config, "grad_accumulation", None):
        ways.append(f"--grad-accumulation {2 * parts}, which plays each batch in {2 * parts} parts")
    if config.precision == "fp32":
        ways.append("--precision bf16")
    if config.batch_size > 1:
        ways.append(f"--batch-size {config.batch_size // 2}")
    return f"Try {', or '.join([*ways, 'smaller images with --size'])}."
